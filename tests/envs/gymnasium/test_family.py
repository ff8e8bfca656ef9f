"""Gymnasium's environments as lanes: the same numbers as one at a time, no time limit but ours, clear errors."""

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete

from metabench.envs import DeclaredSpaces, load_family
from metabench.envs.gymnasium.family import find_registered_environment
from metabench.envs.gymnasium.spaces import check_declared, declare_spaces, flatten_observations
from metabench.errors import MetabenchError, SimulationError

PENDULUM = DeclaredSpaces(observation_dim=3, action_low=(-2.0,), action_high=(2.0,))
CART = DeclaredSpaces(observation_dim=4, num_actions=2)


def task(environment: str, **arguments: Any) -> dict[str, Any]:
    return {"environment": environment, "arguments": arguments}


def alone(parameters: dict[str, Any], seed: int, actions: np.ndarray) -> tuple[list, list]:
    """A plain loop over Gymnasium's own environment, without its time limit."""
    env = gymnasium.make(parameters["environment"], max_episode_steps=10**6, **parameters["arguments"])
    observations, rewards = [env.reset(seed=seed)[0]], []
    for action in actions:
        observation, reward, terminated, _, _ = env.step(action)
        observations.append(observation)
        rewards.append(reward)
        if terminated:
            break
    return observations, rewards


def test_lanes_are_environments_of_their_own() -> None:
    tasks, seeds = [task("Pendulum-v1", g=g) for g in (9.0, 3.0, 9.0)], [5, 6, 7]
    actions = np.random.default_rng(0).uniform(-2, 2, (250, 3, 1)).astype(np.float32)
    lanes = load_family("gymnasium", PENDULUM).environment(horizon=250)
    assert lanes.spaces.horizon == 250
    observations, rewards = [lanes.reset(tasks, seeds)], []
    for step in actions:  # 250 steps: Pendulum's own time limit is 200
        outcome = lanes.step(step)
        assert not outcome.terminated.any()
        assert outcome.success is None
        observations.append(outcome.observation)
        rewards.append(outcome.reward)
    for lane in range(3):
        expected = alone(tasks[lane], seeds[lane], actions[:, lane])
        np.testing.assert_array_equal(np.array(observations)[:, lane], np.array(expected[0], np.float32))
        np.testing.assert_array_equal(np.array(rewards)[:, lane], expected[1])


def test_a_lane_that_has_ended_waits() -> None:
    tasks, right = [task("CartPole-v1")] * 2, np.ones(60, np.int64)
    lanes = load_family("gymnasium", CART).environment(horizon=60)
    lanes.reset(tasks, [1, 2])
    ends = [len(alone(tasks[0], seed, right)[1]) for seed in (1, 2)]
    seen = [lanes.step(np.ones(2, np.int64)) for _ in range(max(ends) + 3)]
    for lane in range(2):
        terminated = [bool(step.terminated[lane]) for step in seen]
        assert terminated.index(True) + 1 == ends[lane]
        assert all(terminated[ends[lane] :])
        assert all(step.reward[lane] == 0 for step in seen[ends[lane] :])
        np.testing.assert_array_equal(seen[-1].observation[lane], seen[ends[lane] - 1].observation[lane])


def test_a_second_reset_is_a_fresh_start() -> None:
    lanes = load_family("gymnasium", PENDULUM).environment(horizon=5)
    first = lanes.reset([task("Pendulum-v1")], [3])
    lanes.step(np.ones((1, 1)))
    np.testing.assert_array_equal(lanes.reset([task("Pendulum-v1")], [3]), first)
    assert lanes.reset([task("Pendulum-v1")] * 2, [3, 2**62 + 1]).shape == (2, 3)


class Chest(gymnasium.Env):
    """Observations are dictionaries; opened, with success, at step `opens`; truncates itself at step `locks`."""

    observation_space = Dict({"inside": Box(-1, 1, (2, 1)), "key": Box(0, 9, (1,), np.float64)})
    action_space = Discrete(2)

    def __init__(self, opens: int, locks: int = 99, value: float = 0.5) -> None:
        self.opens, self.locks, self.value = opens, locks, value

    def reset(self, *, seed=None, options=None):
        self.time = 0
        return self._seen(), {}

    def step(self, action):
        assert type(action) is int
        self.time += 1
        return self._seen(), 1.0, self.time == 4, self.time == self.locks, {"success": self.time == self.opens}

    def _seen(self):
        return {"inside": np.full((2, 1), self.value if self.time else 0.0), "key": np.array([self.time], float)}


@pytest.fixture
def chest() -> Any:
    gymnasium.register("tests/Chest-v0", Chest)
    yield lambda **arguments: task("tests/Chest-v0", **arguments)
    del gymnasium.registry["tests/Chest-v0"]


def test_dictionaries_success_and_own_truncations(chest: Any) -> None:
    declared = DeclaredSpaces(observation_dim=3, observation_keys=("key", "inside"), num_actions=2)
    lanes = load_family("gymnasium", declared).environment(horizon=9)
    np.testing.assert_array_equal(lanes.reset([chest(opens=2), chest(opens=7, locks=3)], [0, 0]), np.zeros((2, 3)))
    steps = [lanes.step(np.zeros(2, np.int64)) for _ in range(5)]
    np.testing.assert_array_equal(steps[1].observation, [[2, 0.5, 0.5], [2, 0.5, 0.5]])
    assert [step.success.tolist() for step in steps[:3]] == [[False, False], [True, False], [False, False]]
    assert [step.terminated.tolist() for step in steps[1:4]] == [[False, False], [False, True], [True, True]]


def test_a_simulation_that_diverges_is_named(chest: Any) -> None:
    declared = DeclaredSpaces(observation_dim=2, observation_keys=("inside",), num_actions=2)
    lanes = load_family("gymnasium", declared).environment(horizon=9)
    lanes.reset([chest(opens=2), chest(opens=2, value=float("inf"))], [0, 0])
    with pytest.raises(SimulationError) as caught:
        lanes.step(np.zeros(2, np.int64))
    assert (caught.value.lane, caught.value.step) == (1, 1)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, "expected 'environment' and perhaps 'arguments', or 'recorded' alone"),
        ({"environment": "Pendulum-v1", "goal": 3}, "expected 'environment' and perhaps 'arguments'"),
        ({"environment": "Pendulum-v1", "recorded": "a-v0"}, "expected 'environment' and perhaps 'arguments'"),
        ({"recorded": ""}, "recorded must be the id"),
        ({"environment": 3}, "environment must be a Gymnasium id"),
        ({"environment": "Pendulum"}, "environment must be a Gymnasium id"),
        ({"environment": "os; import x:Pendulum-v1"}, "environment must be a Gymnasium id"),
        ({"environment": "Pendulum-v1", "arguments": [1]}, "arguments must be a table"),
        ({"environment": "Pendulum-v1", "arguments": {"max_episode_steps": 3}}, "'max_episode_steps' is not a task's"),
        ({"environment": "Pendulum-v1", "arguments": {"render_mode": "human"}}, "'render_mode' is not a task's"),
        ({"environment": "Pendulum-v1", "arguments": {"g": float("nan")}}, "arguments: expected plain finite values"),
        ({"environment": "Pendulum-v1", "arguments": {"g": {1, 2}}}, "arguments: expected plain finite values"),
    ],
)
def test_parameters_are_checked(parameters: dict, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        load_family("gymnasium", PENDULUM).check_parameters(parameters)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        (task("Pendulm-v1"), "environment 'Pendulm-v1' cannot be made: .*Pendulm"),
        (task("Pendulum-v1", colour="red"), "environment 'Pendulum-v1' cannot be made: .*colour"),
        (task("CartPole-v1"), "environment 'CartPole-v1': observation space: expected 3 numbers"),
        (task("MountainCarContinuous-v0"), "environment 'MountainCarContinuous-v0': observation space: expected 3"),
        (
            task("no_such_package:Thing-v0"),
            "needs the package 'no_such_package', which is missing; install its package",
        ),
        ({"recorded": "a/b-v0"}, "no environment: it is known only from the recorded data 'a/b-v0'"),
    ],
)
def test_an_environment_that_cannot_be_had_is_one_line(parameters: dict, expected: str) -> None:
    family = load_family("gymnasium", PENDULUM)
    family.check_parameters(parameters)
    with pytest.raises(MetabenchError, match=expected):
        family.check_available(parameters, 9)
    with pytest.raises(MetabenchError, match=expected):
        family.environment(9).reset([parameters], [0])


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MetabenchError, match=r"'gymnasium_robotics', which is missing; pip install 'gymnasium-"):
        load_family("gymnasium", PENDULUM).check_available(task("gymnasium_robotics:PointMaze_UMaze-v3"), 9)


def test_it_has_no_teacher() -> None:
    family = load_family("gymnasium", PENDULUM)
    teacher = family.teacher(Path(), 9)
    assert teacher.behaviours == ()
    with pytest.raises(MetabenchError, match="task family 'gymnasium' has no teacher"):
        teacher.reset(["expert"], [task("Pendulum-v1")], [0])
    with pytest.raises(MetabenchError, match="task family 'gymnasium' has no teacher"):
        teacher.act(np.zeros((1, 3)))


def test_numbers_tell_tasks_where_there_are_numbers_only() -> None:
    family = load_family("gymnasium", PENDULUM)
    assert family.task_vector(task("Pendulum-v1", g=9.0, b=2)).tolist() == [2.0, 9.0]
    assert family.task_vector({"environment": "Pendulum-v1"}) is None
    assert family.task_vector(task("Pendulum-v1", g=9.0, wind=True)) is None
    assert family.task_vector({"recorded": "a-v0"}) is None


@pytest.mark.parametrize(
    ("name", "entry_point", "expected"),
    [
        ("Pendulum-v1", "os:system", "Pendulum-v1"),
        ("PointMaze_UMaze-v3", "gymnasium_robotics.envs.maze:PointMaze", "gymnasium_robotics:PointMaze_UMaze-v3"),
        ("NoSuchThing-v1", "os:system", None),
        ("os:Pendulum-v1", "os:system", None),
        ("../Pendulum-v1", None, None),
        (None, None, None),
        (3, {}, None),
    ],
)
def test_what_data_say_of_their_environment_is_looked_up_only(name: Any, entry_point: Any, expected: Any) -> None:
    assert find_registered_environment(name, entry_point) == expected


def test_declared_spaces_compare_bounds_as_float32() -> None:
    space = Box(np.float32([-0.1, -3]), np.float32([0.1, 3]))
    declared = DeclaredSpaces(observation_dim=4, action_low=(-0.1, -3.0), action_high=(0.1, 3.0))
    check_declared(declared, Box(-1, 1, (2, 2)), space)
    check_declared(declare_spaces(Box(-1, 1, (2, 2)), space), Box(-1, 1, (2, 2)), space)
    with pytest.raises(ValueError, match=r"action space: expected 2 coordinates"):
        check_declared(declared, Box(-1, 1, (2, 2)), Box(-0.2, 0.2, (2,)))
    for wrong in (Discrete(3, start=1), Box(-1, 1, (2, 2)), Box(-1, 1, (2,), np.int64), Dict({})):
        with pytest.raises(ValueError, match="action space: expected"):
            declare_spaces(Box(-1, 1), wrong)


def test_flat_observations_keep_leading_axes() -> None:
    one = np.arange(2.0).reshape(2, 1)
    many = np.stack([one, one + 2])
    flat = flatten_observations({"a": one, "b": one + 10, "c": one}, ("b", "a"), leading=0)
    np.testing.assert_array_equal(flat, [10, 11, 0, 1])
    assert flat.dtype == np.float32
    flat = flatten_observations({"a": many, "b": many + 10}, ("b", "a"), leading=1)
    np.testing.assert_array_equal(flat, [[10, 11, 0, 1], [12, 13, 2, 3]])
    np.testing.assert_array_equal(flatten_observations(many, (), leading=1), [[0, 1], [2, 3]])
