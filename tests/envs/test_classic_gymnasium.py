"""CartPole, MountainCar and Pendulum against Gymnasium's own classes: states, rewards and ends to the last bit."""

from typing import Any

import numpy as np
import pytest
from gymnasium.envs.classic_control import CartPoleEnv, MountainCarEnv, PendulumEnv

from metabench import load_suite
from metabench.envs import load_family

HORIZON, LANES = 200, 24

NOMINAL = {
    "cartpole": {"gravity": 9.8, "cart_mass": 1.0, "pole_mass": 0.1, "half_length": 0.5, "force": 10.0},
    "mountain-car": {"force": 0.001, "gravity": 0.0025, "flag": 0.5, "flag_speed": 0.0},
    "pendulum": {"gravity": 10.0, "mass": 1.0, "length": 1.0, "gain": 1.0},
}
"""Gymnasium's own numbers."""


def changed(family: str, lane: int) -> dict[str, float]:
    """The task of a lane: Gymnasium's own in the first third, then each number its own, some forces turned round."""
    if lane < LANES // 3:
        return NOMINAL[family]
    factors = np.random.default_rng(lane).uniform(0.6, 1.6, len(NOMINAL[family]))
    task = {name: float(value * factor) for (name, value), factor in zip(NOMINAL[family].items(), factors, strict=True)}
    for name in ("force", "gain"):
        if name in task and family != "mountain-car" and lane % 2:
            task[name] = -task[name]
    if family == "mountain-car":
        task.update(flag=0.3 + lane / 100, flag_speed=lane / 1000)
    return task


def gymnasium_of(family: str, task: dict[str, float]) -> Any:
    """Gymnasium's environment with the attributes of a task."""
    if family == "cartpole":
        cartpole = CartPoleEnv()
        cartpole.gravity, cartpole.masscart, cartpole.masspole, cartpole.length, cartpole.force_mag = task.values()
        cartpole.total_mass = cartpole.masspole + cartpole.masscart
        cartpole.polemass_length = cartpole.masspole * cartpole.length
        return cartpole
    if family == "mountain-car":
        car = MountainCarEnv()
        car.force, car.gravity, car.goal_position, car.goal_velocity = task.values()
        return car
    pendulum = PendulumEnv()
    pendulum.g, pendulum.m, pendulum.l, gain = task.values()
    pendulum.max_torque = 2.0 * abs(gain)
    return pendulum


def state_of(family: str, environment: Any, lane: int) -> list[float]:
    if family == "mountain-car":
        return [environment._position[lane], environment._speed[lane]]
    return environment._state[:, lane].tolist()


@pytest.mark.parametrize("behaviour", ["random", "expert"])
@pytest.mark.parametrize("family", NOMINAL)
def test_episodes_are_those_of_gymnasium(family: str, behaviour: str) -> None:
    tasks = [changed(family, lane) for lane in range(LANES)]
    rules = load_family(family)
    environment, teacher = rules.environment(HORIZON), rules.teacher(None, HORIZON)
    seeds = [2**40 + lane for lane in range(LANES)]
    observation = environment.reset(tasks, seeds)
    teacher.reset(["expert"] * LANES, tasks, seeds)
    originals = [gymnasium_of(family, task) for task in tasks]
    for lane, original in enumerate(originals):
        first, _ = original.reset(seed=seeds[lane])
        np.testing.assert_array_equal(observation[lane], first)
    drawn = rules.spaces(HORIZON).uniform_actions(np.random.default_rng(3), (HORIZON, LANES))
    active, ended = set(range(LANES)), 0
    for timestep in range(HORIZON):
        actions = drawn[timestep] if behaviour == "random" else teacher.act(observation)
        step = environment.step(actions)
        observation = step.observation
        for lane in sorted(active):
            action = actions[lane]
            if family == "pendulum":  # in float64: Gymnasium computes with the type that it is given
                action = np.float64(tasks[lane]["gain"]) * np.asarray(action, np.float64)
            expected, reward, terminated, truncated, _ = originals[lane].step(action)
            assert state_of(family, environment, lane) == [float(value) for value in originals[lane].state]
            np.testing.assert_array_equal(step.observation[lane], expected)
            assert step.reward[lane] == reward
            assert step.terminated[lane] == terminated
            assert not truncated
            if terminated:
                active.remove(lane)
                ended += 1
    if family == "cartpole":
        assert (ended == 0) == (behaviour == "expert")
    if family == "mountain-car":
        assert (ended > LANES // 2) == (behaviour == "expert")


@pytest.mark.parametrize("family", NOMINAL)
def test_the_single_task_suite_has_the_numbers_of_gymnasium(family: str) -> None:
    assert [task.parameters for task in load_suite(family).tasks] == [NOMINAL[family]] * 2


@pytest.mark.parametrize("family", [*NOMINAL, "grid-world", "simple-env"])
def test_lanes_depend_neither_on_order_nor_on_number(family: str) -> None:
    suite = load_suite(family)
    tasks = [suite.tasks[0].parameters] * LANES
    if family in NOMINAL:
        tasks = [changed(family, lane) for lane in range(LANES)]
    environment, alone = suite.environment(), suite.environment()
    horizon = suite.entry.horizon
    actions = suite.spaces.uniform_actions(np.random.default_rng(0), (LANES, horizon))
    order = np.random.default_rng(1).permutation(LANES)
    together = [environment.reset(tasks, list(range(LANES)))]
    together += [environment.step(actions[:, timestep]).observation for timestep in range(horizon)]
    shuffled = [environment.reset([tasks[lane] for lane in order], order.tolist())]
    shuffled += [environment.step(actions[order, timestep]).observation for timestep in range(horizon)]
    single = [alone.reset(tasks[7:8], [7])] + [
        alone.step(actions[7:8, timestep]).observation for timestep in range(horizon)
    ]
    np.testing.assert_array_equal(np.stack(together)[:, order], np.stack(shuffled))
    np.testing.assert_array_equal(np.stack(together)[:, 7:8], np.stack(single))
    assert np.isfinite(np.stack(together)).all()
