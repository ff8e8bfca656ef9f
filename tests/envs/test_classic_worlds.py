"""GridWorld and SimpleEnv against plain loops and the published numbers; bounds against brute force; bad parameters."""

import itertools

import numpy as np
import pytest

from metabench import load_suite
from metabench.envs import load_family


def walk(width: int, height: int, row: int, actions: list[int]) -> tuple[list[tuple[int, int]], list[float], str]:
    """The rules of GridWorld, once more, for one lane: cells, rewards, and how it ended."""
    x, y = 1, row
    cells, rewards = [(x, y)], []
    for action in actions:
        x, y = {0: (x + 1, y), 1: (x - 1, y), 2: (x, y + 1), 3: (x, y - 1)}[action]
        cells.append((x, y))
        reward = -1 + 0.01 * x
        if x in (0, width - 1) or y in (0, height - 1):
            return cells, [*rewards, reward - 10], "wall"
        if x == width - 2:
            return cells, [*rewards, reward + 10], "goal"
        rewards.append(reward)
    return cells, rewards, "time"


def test_grid_world_equals_a_plain_loop() -> None:
    lanes, horizon = 300, 27
    sizes = [(4 + lane % 6, 4 + lane % 5) for lane in range(lanes)]
    environment = load_family("grid-world").environment(horizon)
    first = environment.reset([{"width": w, "height": h} for w, h in sizes], list(range(lanes)))
    actions = np.random.default_rng(0).choice(4, (lanes, horizon), p=[0.3, 0.25, 0.225, 0.225])
    actions[1::30] = np.arange(horizon) % 2  # to and fro between two columns until time is up
    steps = [environment.step(actions[:, timestep]) for timestep in range(horizon)]
    ends = []
    for lane, (width, height) in enumerate(sizes):
        assert first[lane, 0] == 1
        cells, rewards, end = walk(width, height, int(first[lane, 1]), actions[lane].tolist())
        assert 1 <= cells[0][1] <= height - 2
        taken = steps[: len(rewards)]
        assert [tuple(step.observation[lane].tolist()) for step in taken] == cells[1:]
        np.testing.assert_allclose([step.reward[lane] for step in taken], rewards, atol=1e-12)
        assert [bool(step.terminated[lane]) for step in taken[:-1]] == [False] * (len(rewards) - 1)
        assert bool(taken[-1].terminated[lane]) == (end != "time")
        assert bool(taken[-1].success[lane]) == (end == "goal")
        ends.append(end)
    assert {*ends} == {"wall", "goal", "time"}


def test_every_row_of_grid_world_is_a_start() -> None:
    environment = load_family("grid-world").environment(27)
    first = environment.reset([{"width": 8, "height": 8}] * 200, list(range(200)))
    assert {tuple(cell) for cell in first.tolist()} == {(1.0, float(row)) for row in range(1, 7)}


@pytest.mark.parametrize(("width", "horizon"), [(4, 3), (5, 4), (6, 5), (8, 4)])
def test_grid_world_bounds_against_all_sequences_of_moves(width: int, horizon: int) -> None:
    returns = [
        sum(walk(width, 4, row, list(actions))[1])
        for row in (1, 2)
        for actions in itertools.product(range(4), repeat=horizon)
    ]
    bounds = load_family("grid-world").return_bounds({"width": width, "height": 4}, horizon)
    assert (min(returns), max(returns)) == (pytest.approx(bounds[0]), pytest.approx(bounds[1]))


def test_simple_env_equals_a_plain_loop_and_keeps_its_bounds() -> None:
    lanes, horizon = 50, 20
    tasks = [{"start": 1.0 + lane % 5, "limit": 15.0 + lane % 7} for lane in range(lanes)]
    family = load_family("simple-env")
    environment = family.environment(horizon)
    state = environment.reset(tasks, list(range(lanes)))[:, 0].tolist()
    actions = np.random.default_rng(0).uniform(-10, 10, (horizon, lanes, 1)).astype(np.float32)
    actions[:, 0], actions[:, 1] = 10.0, -10.0
    total = np.zeros(lanes)
    for chosen in actions:
        step = environment.step(chosen)
        for lane, task in enumerate(tasks):
            limit = task["limit"]
            state[lane] = max(-limit, min(limit, state[lane] + chosen[lane].item()))
        np.testing.assert_allclose(step.observation[:, 0], state, atol=1e-4)
        np.testing.assert_allclose(step.reward, -np.abs(state), atol=1e-4)
        assert not step.terminated.any()
        assert step.success is None
        total += step.reward
    bounds = np.array([family.return_bounds(task, horizon) for task in tasks])
    assert (total >= bounds[:, 0]).all()
    assert (total <= bounds[:, 1]).all()
    assert max(total[:2]) < -0.9 * 15 * horizon


@pytest.mark.parametrize(
    ("name", "random", "tolerance"), [("grid-world", -14.2, 0.8), ("simple-env", -256.2, 12), ("cartpole", 21.3, 1.5)]
)
def test_random_actions_earn_what_was_published(name: str, random: float, tolerance: float) -> None:
    references = [task.reference for task in load_suite(name).tasks]
    assert np.mean([reference.random for reference in references]) == pytest.approx(random, abs=tolerance)


def test_the_optimum_of_the_published_grid_is_the_known_one() -> None:
    suite = load_suite("grid-world")
    assert suite.family.return_bounds(suite.tasks[0].parameters, 27)[1] == pytest.approx(5.20)
    assert suite.tasks[0].reference.expert == pytest.approx(5.20)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("cartpole", {"force": 0}, "force must not be 0"),
        ("cartpole", {"gravity": float("nan")}, "gravity must be a number from 1 to 30, not nan"),
        ("cartpole", {"cart_mass": True}, "cart_mass must be a number"),
        ("cartpole", {"wind": 1.0}, "expected exactly 'gravity', 'cart_mass'"),
        ("pendulum", {"gain": 0.0}, "gain must not be 0"),
        ("pendulum", {"mass": "heavy"}, "mass must be a number from 0.1 to 10, not 'heavy'"),
        ("pendulum", {"length": -1.0}, "length must be a number"),
        ("mountain-car", {"flag": 0.7}, "flag must be a number from -0.3 to 0.6, not 0.7"),
        ("mountain-car", {"flag_speed": -0.01}, "flag_speed must be"),
        ("grid-world", {"width": 8.0}, "width must be a whole number from 4 to 16, not 8.0"),
        ("grid-world", {"height": 3}, "height must be a whole number"),
        ("simple-env", {"start": 11.0}, "start must be a number from 0 to 10, not 11.0"),
        ("simple-env", {"limit": float("inf")}, "limit must be"),
    ],
)
def test_parameters_that_fix_no_task_are_refused(name: str, change: dict, message: str) -> None:
    suite = load_suite(name)
    suite.family.check_parameters(suite.tasks[0].parameters)
    with pytest.raises(ValueError, match=message) as refused:
        suite.family.check_parameters({**suite.tasks[0].parameters, **change})
    assert "\n" not in str(refused.value)
    with pytest.raises(ValueError, match="expected exactly"):
        suite.family.check_parameters({})
