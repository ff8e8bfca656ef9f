"""Half-cheetah and ant against Gymnasium's own, and every suite's Gymnasium id."""

from __future__ import annotations

import math
import warnings

import gymnasium
import mujoco
import numpy as np
import pytest
from gymnasium.envs.mujoco.ant_v5 import AntEnv
from gymnasium.envs.mujoco.half_cheetah_v5 import HalfCheetahEnv
from gymnasium.envs.mujoco.mujoco_env import MujocoEnv
from gymnasium.utils.env_checker import check_env

from metabench import load_suite

STEPS = 200
IDS = {
    "cheetah-vel": "CheetahVel-v2",
    "cheetah-dir": "CheetahDir-v2",
    "ant-dir": "AntDir-v2",
    "ant-dir-arc": "AntDirArc-v2",
    "hopper-param": "HopperParam-v2",
    "walker-param": "WalkerParam-v2",
}


def without_warm_starts(env: MujocoEnv) -> MujocoEnv:
    env.model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_WARMSTART
    return env


def actions_of(name: str) -> np.ndarray:
    return load_suite(name).spaces.uniform_actions(np.random.default_rng(2), (STEPS,))


@pytest.mark.parametrize("seed", [0, 11])
def test_half_cheetah_is_gymnasiums(seed: int) -> None:
    """Our observation has the torso's place besides; rewards agree but for what the task changes."""
    theirs = without_warm_starts(HalfCheetahEnv(ctrl_cost_weight=0.05))
    forwards, slow = load_suite("cheetah-dir"), load_suite("cheetah-vel")
    directions = [forwards.tasks[task].parameters for task in (0, 1)]
    speed = slow.tasks[45].parameters["speed"]
    environments = forwards.environment(), slow.environment()
    observation, _ = theirs.reset(seed=seed)
    mine = environments[0].reset(directions, [seed, seed])
    environments[1].reset([slow.tasks[45].parameters], [seed])
    np.testing.assert_array_equal(mine[0, :17], observation.astype(np.float32))
    np.testing.assert_array_equal(mine[0], mine[1])
    for action in actions_of("cheetah-dir"):
        observation, reward, _, _, info = theirs.step(action)
        step = environments[0].step(np.stack([action, action]))
        np.testing.assert_array_equal(step.observation[0, :17], observation.astype(np.float32))
        np.testing.assert_array_equal(step.observation[0, 17:], theirs.data.body("torso").xpos.astype(np.float32))
        assert abs(step.reward[0] - reward) <= 1e-6  # Gymnasium's control cost is a sum in float32
        cost = 0.05 * np.square(action.astype(float)).sum()
        assert abs(step.reward[0] - (info["x_velocity"] - cost)) <= 1e-12
        assert abs(step.reward[1] - (-info["x_velocity"] - cost)) <= 1e-12
        wanted = environments[1].step(action[None]).reward[0]
        assert abs(wanted - (-abs(info["x_velocity"] - speed) - cost)) <= 1e-12


@pytest.mark.parametrize("seed", [0, 11])
def test_ant_is_gymnasiums_but_for_the_velocity_within_a_step(seed: int) -> None:
    """Gymnasium takes the velocity from `xpos`, which MuJoCo last computed within the step, ours is of the state."""
    theirs = without_warm_starts(
        AntEnv(contact_cost_weight=0.0, include_cfrc_ext_in_observation=False, terminate_when_unhealthy=False)
    )
    ours = load_suite("ant-dir").environment()
    angles = [0.0, math.pi / 2, 2.2]
    observation, info = theirs.reset(seed=seed)
    mine = ours.reset([{"angle": angle} for angle in angles], [seed] * 3)
    np.testing.assert_array_equal(mine[0], observation.astype(np.float32))
    before = theirs.data.qpos[:2].copy()
    moved = {"theirs": np.zeros(2), "ours": np.zeros(2)}
    fastest = 0.0
    for action in actions_of("ant-dir"):
        observation, _, terminated, _, info = theirs.step(action)
        step = ours.step(np.stack([action] * 3))
        assert not terminated
        np.testing.assert_array_equal(step.observation, np.stack([observation.astype(np.float32)] * 3))
        after = np.array([info["x_position"], info["y_position"]])
        velocity, before = (after - before) / 0.05, after
        rest = 1.0 - 0.5 * np.square(action.astype(float)).sum()
        for lane, angle in enumerate(angles):
            forward = velocity[0] * math.cos(angle) + velocity[1] * math.sin(angle)
            assert abs(step.reward[lane] - (forward + rest)) <= 1e-12
        moved["theirs"] += [0.05 * info["x_velocity"], 0.05 * info["y_velocity"]]
        moved["ours"] += 0.05 * (step.reward[:2] - rest)
        fastest = max(fastest, float(np.abs(theirs.data.qvel[:2]).max()))
    assert np.abs(moved["ours"]).max() > 0.1
    # Over an episode they differ by what the ant moves in one simulator step of 0.01 s at most.
    np.testing.assert_allclose(moved["ours"], moved["theirs"], rtol=0, atol=0.01 * fastest)


@pytest.mark.parametrize("name", IDS)
def test_gymnasium_accepts_every_suite(name: str) -> None:
    env = gymnasium.make(f"metabench:metabench/{IDS[name]}", task=2)
    assert env.spec is not None
    assert env.spec.max_episode_steps == 200
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*Box observation space.*infinity.*")
        check_env(env.unwrapped, skip_render_check=True)


@pytest.mark.parametrize("name", IDS)
def test_a_view_is_a_lane(name: str) -> None:
    suite = load_suite(name)
    tasks = [0, 3, len(suite.tasks) - 1]
    views = [gymnasium.make(f"metabench:metabench/{IDS[name]}", task=task) for task in tasks]
    batched = suite.environment()
    # The view draws the seed of an episode's noise from the stream that its own seed starts.
    seeds = [int(np.random.default_rng(lane).integers(2**63)) for lane in range(3)]
    observations = batched.reset([suite.tasks[task].parameters for task in tasks], seeds)
    for lane, view in enumerate(views):
        np.testing.assert_array_equal(view.reset(seed=lane)[0], observations[lane])
    generator = np.random.default_rng(0)
    falls = {name for name in IDS if name.startswith(("hopper", "walker"))}
    going = [0, 1, 2]
    for timestep in range(suite.entry.horizon):
        actions = suite.spaces.uniform_actions(generator, (3,))
        step = batched.step(actions)
        for lane in going:
            observation, reward, terminated, truncated, info = views[lane].step(actions[lane])
            np.testing.assert_array_equal(observation, step.observation[lane])
            assert (reward, terminated, info) == (step.reward[lane], step.terminated[lane], {})
            assert truncated == (timestep == suite.entry.horizon - 1)
        going = [lane for lane in going if not step.terminated[lane]]
    assert going == ([] if name in falls else [0, 1, 2])
