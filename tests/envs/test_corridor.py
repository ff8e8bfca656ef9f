"""Corridor against a plain loop over single lanes, and its bounds against every sequence of moves."""

import itertools

import numpy as np
import pytest

from metabench import load_suite
from metabench.envs import load_family

HORIZON = 16


def plain_loop(start: int, goal: int, actions: list[int]) -> tuple[list[int], list[float], bool]:
    """The rules, once more, for one lane: cells, rewards, whether the goal was reached."""
    cells, rewards = [start], []
    for action in actions:
        cells.append(max(-8, min(8, cells[-1] + {0: -1, 1: 0, 2: 1}[action])))
        rewards.append(0.9 if cells[-1] == goal else -0.1)
        if cells[-1] == goal:
            return cells, rewards, True
    return cells, rewards, False


def test_batched_equals_a_plain_loop_until_each_lane_ends() -> None:
    generator = np.random.default_rng(0)
    goals = [int(sign * generator.integers(2, 9)) for sign in (-1, 1) for _ in range(20)]
    actions = np.where(generator.random((40, HORIZON)) < 0.5, 1 + np.sign(goals)[:, None], 1)
    actions = np.where(generator.random((40, HORIZON)) < 0.2, generator.integers(3, size=(40, HORIZON)), actions)
    environment = load_family("corridor").environment(HORIZON)
    observations = [environment.reset([{"goal": goal} for goal in goals], list(range(40)))]
    steps = [environment.step(actions[:, timestep]) for timestep in range(HORIZON)]
    ended_early = 0
    for lane, goal in enumerate(goals):
        start = round(observations[0][lane].item() * 8)
        assert start in (-1, 0, 1)
        cells, rewards, reached = plain_loop(start, goal, actions[lane].tolist())
        taken = steps[: len(rewards)]
        assert [step.observation[lane].item() * 8 for step in taken] == cells[1:]
        np.testing.assert_allclose([step.reward[lane] for step in taken], rewards)
        assert [bool(step.terminated[lane]) for step in taken] == [False] * (len(rewards) - 1) + [reached]
        assert [bool(step.success[lane]) for step in taken] == [bool(step.terminated[lane]) for step in taken]
        ended_early += reached
    assert 5 < ended_early < 40


def test_reset_noise_is_the_lane_seed_only() -> None:
    environment = load_family("corridor").environment(HORIZON)
    together = environment.reset([{"goal": 5}] * 30, list(range(30)))
    assert set((together * 8).ravel().tolist()) == {-1.0, 0.0, 1.0}
    for seed in (0, 11, 29):
        np.testing.assert_array_equal(environment.reset([{"goal": -3}], [seed]), together[seed : seed + 1])


@pytest.mark.parametrize(("goal", "horizon"), [(2, 3), (-3, 4), (-4, 5), (5, 3), (8, 4)])
def test_return_bounds_against_all_sequences_of_moves(goal: int, horizon: int) -> None:
    returns = [
        sum(plain_loop(start, goal, list(actions))[1])
        for start in (-1, 0, 1)
        for actions in itertools.product(range(3), repeat=horizon)
    ]
    worst, best = load_family("corridor").return_bounds({"goal": goal}, horizon)
    assert max(returns) == pytest.approx(best)
    assert min(returns) == pytest.approx(worst)


def test_the_expert_takes_the_shortest_way() -> None:
    suite = load_suite("tiny-discrete")
    parameters = [task.parameters for task in suite.tasks]
    environment, teacher = suite.environment(), suite.teacher()
    observation = environment.reset(parameters, [0] * 4)
    start = np.rint(observation[:, 0] * 8)
    teacher.reset(["expert"] * 4, parameters, [0] * 4)
    reached = np.zeros(4)
    for timestep in range(suite.entry.horizon):
        step = environment.step(teacher.act(observation))
        observation = step.observation
        reached[step.terminated & (reached == 0)] = timestep + 1
    np.testing.assert_array_equal(
        reached, [abs(task["goal"] - cell) for task, cell in zip(parameters, start, strict=True)]
    )


@pytest.mark.parametrize(
    "parameters", [{}, {"goal": 0}, {"goal": 9}, {"goal": 2.0}, {"goal": True}, {"goal": 3, "x": 0}]
)
def test_parameters_that_fix_no_task_are_refused(parameters: dict) -> None:
    with pytest.raises(ValueError, match="goal"):
        load_family("corridor").check_parameters(parameters)
