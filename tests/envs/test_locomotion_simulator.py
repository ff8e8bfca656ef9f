"""The batched MuJoCo families against a plain loop over `mj_step`, one lane at a time, written from the definitions."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import mujoco
import numpy as np
import pytest

from metabench.envs import BatchedEnvironment
from metabench.suites import Suite, load_named_suite

pytestmark = pytest.mark.slow


STEPS = 200
TASKS = {
    "cheetah-vel": (0, 7, 45, 54),
    "cheetah-dir": (0, 1, 2, 3),
    "ant-dir": (0, 7, 45, 49),
    "hopper-param": (0, 7, 45, 54),
    "walker-param": (0, 7, 45, 54),
}
"""Tasks of different splits."""

FILES = {"cheetah": "half_cheetah.xml", "ant": "ant.xml", "hopper": "hopper.xml", "walker": "walker2d.xml"}

families = pytest.mark.parametrize("name", TASKS)


class PlainLoop:
    """One lane of one task, stepped by `mj_step`."""

    def __init__(self, family: str, task: Mapping[str, Any], seed: int, warm_starts: bool = False) -> None:
        self.body, self.task = family.split("-")[0], task
        assets = Path(gymnasium.__file__).parent / "envs/mujoco/assets"
        self.model = model = mujoco.MjModel.from_xml_path(str(assets / FILES[self.body]))
        if not warm_starts:
            model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_WARMSTART
        self.scaled = self.body in ("hopper", "walker")
        self.skip = 4 if self.scaled else 5
        if self.scaled:
            model.opt.timestep = 0.004
            for body in range(1, model.nbody):
                model.body_mass[body] *= task["mass"][body - 1]
                model.body_inertia[body] *= task["inertia"][body - 1]
            for joint in range(3, model.nv):
                model.dof_damping[joint] *= task["damping"][joint - 3]
            for geom in range(model.ngeom):
                model.geom_friction[geom] *= task["friction"][geom]
        self.data = mujoco.MjData(model)
        generator = np.random.default_rng(seed)
        noise = 0.005 if self.scaled else 0.1
        self.data.qpos[:] += generator.uniform(-noise, noise, model.nq)
        if self.scaled:
            self.data.qvel[:] = generator.uniform(-noise, noise, model.nv)
        else:
            self.data.qvel[:] = noise * generator.standard_normal(model.nv)
        mujoco.mj_forward(model, self.data)

    def observation(self) -> np.ndarray:
        qpos, qvel = self.data.qpos, self.data.qvel
        if self.body == "cheetah":
            values = [*qpos[1:], *qvel, *self.data.body("torso").xpos]
        elif self.body == "ant":
            values = [*qpos[2:], *qvel]
        else:
            values = [*qpos[1:], *(min(max(velocity, -10.0), 10.0) for velocity in qvel)]
        return np.array(values, np.float32)

    def step(self, action: np.ndarray) -> float:
        """The reward."""
        x, y = self.data.qpos[:2].tolist()
        self.data.ctrl[:] = action
        for _ in range(self.skip):
            mujoco.mj_step(self.model, self.data)
        seconds = 0.016 if self.scaled else 0.05
        speed = (self.data.qpos[0] - x) / seconds
        squares = sum(float(part) ** 2 for part in action)
        if "speed" in self.task:
            return float(-abs(speed - self.task["speed"]) - 0.05 * squares)
        if "direction" in self.task:
            return float(self.task["direction"] * speed - 0.05 * squares)
        if "angle" in self.task:
            sideways = (self.data.qpos[1] - y) / seconds
            along = speed * np.cos(self.task["angle"]) + sideways * np.sin(self.task["angle"])
            return float(along - 0.5 * squares + 1.0)
        return float(speed + 1.0 - 0.001 * squares)


def load_suite(name: str) -> Suite:
    """Version 1, in which no body falls: whole episodes are compared."""
    return dataclasses.replace(load_named_suite(name, 1), archived=False)


def tasks_of(name: str) -> list[Mapping[str, Any]]:
    tasks = load_suite(name).tasks
    return [tasks[task].parameters for task in TASKS[name]]


def actions_of(name: str, lanes: int, steps: int = STEPS) -> np.ndarray:
    """`(lanes, steps, action_dim)` float32: uniform, and in a tenth of the steps at the bounds."""
    generator = np.random.default_rng(7)
    actions = load_suite(name).spaces.uniform_actions(generator, (lanes, steps))
    extreme = generator.random((lanes, steps, 1)) < 0.1
    return np.where(extreme, np.sign(actions), actions)


def trajectories(
    environment: BatchedEnvironment, tasks: Sequence[Mapping[str, Any]], seeds: Sequence[int], actions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """`(lanes, steps + 1, observation_dim)` observations and `(lanes, steps)` rewards."""
    observations, rewards = [environment.reset(tasks, seeds)], []
    for timestep in range(actions.shape[1]):
        step = environment.step(actions[:, timestep])
        assert step.observation.dtype == np.float32
        assert not step.terminated.any()
        assert step.success is None
        observations.append(step.observation)
        rewards.append(step.reward)
    return np.stack(observations, axis=1), np.stack(rewards, axis=1)


@families
def test_it_equals_a_plain_loop(name: str) -> None:
    tasks, actions = tasks_of(name), actions_of(name, 4)
    seeds = [3, 1, 4, 15]
    observations, rewards = trajectories(load_suite(name).environment(), tasks, seeds, actions)
    for lane, task in enumerate(tasks):
        plain = PlainLoop(name, task, seeds[lane])
        np.testing.assert_array_equal(observations[lane, 0], plain.observation())
        for timestep in range(STEPS):
            reward = plain.step(actions[lane, timestep])
            assert abs(rewards[lane, timestep] - reward) <= 1e-12, f"lane {lane}, step {timestep}"
            np.testing.assert_array_equal(observations[lane, timestep + 1], plain.observation())
        assert plain.data.time == pytest.approx(STEPS * (0.016 if plain.scaled else 0.05))


@pytest.mark.slow
@families
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_neither_order_nor_batch_nor_threads_matter(name: str, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    suite = load_suite(name)
    lanes = 7
    tasks = [*tasks_of(name), *tasks_of(name)[:3]]
    seeds, actions = list(range(10, 10 + lanes)), actions_of(name, lanes, 100)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    observations, rewards = trajectories(suite.environment(), tasks, seeds, actions)
    assert len({row.tobytes() for row in rewards}) == lanes
    monkeypatch.setenv("OMP_NUM_THREADS", str(threads))
    environment = suite.environment()
    for chosen in ([6, 2, 0, 5, 1, 4, 3], [4], [5, 2], [1, 1, 3] * 11, list(range(lanes))):
        mine, yields = trajectories(
            environment, [tasks[lane] for lane in chosen], [seeds[lane] for lane in chosen], actions[chosen]
        )
        np.testing.assert_array_equal(mine, observations[chosen])
        np.testing.assert_array_equal(yields, rewards[chosen])


@families
def test_an_episode_leaves_nothing_behind(name: str) -> None:
    tasks, actions = tasks_of(name), actions_of(name, 4, 60)
    used = load_suite(name).environment()
    trajectories(used, tasks[::-1], [9, 8, 7, 6], -actions)
    for one, other in zip(
        trajectories(used, tasks, [1, 2, 3, 4], actions),
        trajectories(load_suite(name).environment(), tasks, [1, 2, 3, 4], actions),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


@families
def test_what_was_returned_is_not_overwritten(name: str) -> None:
    environment, actions = load_suite(name).environment(), actions_of(name, 4, 3)
    first = environment.reset(tasks_of(name), [1, 2, 3, 4])
    kept = first.copy()
    step = environment.step(actions[:, 0])
    copies = step.observation.copy(), step.reward.copy()
    environment.step(actions[:, 1])
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(step.observation, copies[0])
    np.testing.assert_array_equal(step.reward, copies[1])


@pytest.mark.parametrize(
    ("name", "task", "least"),
    [
        ("cheetah-vel", 5, 0.1),
        ("cheetah-dir", 1, 0.1),
        ("ant-dir", 25, 0.1),
        ("hopper-param", 30, 1e-12),
        ("walker-param", 45, 1e-10),
    ],
)
def test_a_loop_with_warm_starts_parts_from_it(name: str, task: int, least: float) -> None:
    """What the cards say, and how far: half-cheetah and ant by metres, hopper and walker by more than rounding."""
    parameters, actions = load_suite(name).tasks[task].parameters, actions_of(name, 1)[0]
    cold, warm = PlainLoop(name, parameters, task), PlainLoop(name, parameters, task, warm_starts=True)
    apart = []
    for action in actions:
        cold.step(action)
        warm.step(action)
        apart.append(np.abs(cold.data.qpos - warm.data.qpos).max())
    assert apart[0] < 1e-14
    assert max(apart) > least
