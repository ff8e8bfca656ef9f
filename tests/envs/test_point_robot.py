"""Point-Robot against a plain loop over single lanes, and its bounds against brute force."""

import itertools
import math

import numpy as np
import pytest

from metabench import load_suite
from metabench.envs import load_family
from metabench.envs.points.point_robot import SKILLS, PointRobotFamily
from metabench.envs.points.walking import MAX_MOVE

HORIZON = 20


def plain_loop(goal: list[float], actions: np.ndarray) -> tuple[list[list[float]], list[float]]:
    """The rules, once more, for one lane: positions and rewards."""
    x, y = 0.0, 0.0
    positions, rewards = [[x, y]], []
    for dx, dy in actions.tolist():
        x += min(max(dx, -0.1), 0.1)
        y += min(max(dy, -0.1), 0.1)
        positions.append([x, y])
        rewards.append(-math.sqrt((x - goal[0]) ** 2 + (y - goal[1]) ** 2))
    return positions, rewards


def batched(goals: list[list[float]], actions: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """`(lanes, T+1, 2)` observations and `(lanes, T)` rewards of the suite's environment."""
    environment = PointRobotFamily().environment(HORIZON)
    observations = [environment.reset([{"goal": goal} for goal in goals], [seed + i for i in range(len(goals))])]
    rewards = []
    for timestep in range(actions.shape[1]):
        step = environment.step(actions[:, timestep])
        assert not step.terminated.any()
        assert step.success is None
        observations.append(step.observation)
        rewards.append(step.reward)
    return np.stack(observations, axis=1), np.stack(rewards, axis=1)


def some_lanes(lanes: int) -> tuple[list[list[float]], np.ndarray]:
    generator = np.random.default_rng(5)
    goals = generator.uniform(-1.5, 1.5, (lanes, 2)).tolist()
    return goals, generator.uniform(-0.1, 0.1, (lanes, HORIZON, 2)).astype(np.float32)


def test_batched_equals_a_plain_loop() -> None:
    goals, actions = some_lanes(30)
    observations, rewards = batched(goals, actions)
    assert observations.dtype == np.float32
    for lane, goal in enumerate(goals):
        expected_positions, expected_rewards = plain_loop(goal, actions[lane])
        np.testing.assert_array_equal(observations[lane], np.float32(expected_positions))
        np.testing.assert_array_equal(rewards[lane], expected_rewards)


def test_lanes_depend_neither_on_order_nor_on_number_nor_on_seeds() -> None:
    goals, actions = some_lanes(12)
    observations, rewards = batched(goals, actions)
    order = np.random.default_rng(1).permutation(12)
    shuffled_observations, shuffled_rewards = batched([goals[i] for i in order], actions[order], seed=99)
    np.testing.assert_array_equal(shuffled_observations, observations[order])
    np.testing.assert_array_equal(shuffled_rewards, rewards[order])
    alone_observations, alone_rewards = batched(goals[7:8], actions[7:8])
    np.testing.assert_array_equal(alone_observations[0], observations[7])
    np.testing.assert_array_equal(alone_rewards[0], rewards[7])


def test_goals_are_the_formula_to_the_last_bit() -> None:
    goals = [task.parameters["goal"] for task in load_suite("point-robot").tasks[:50]]
    expected = np.random.RandomState(123456).uniform(-1, 1, 100).reshape(50, 2)
    assert np.array(goals).tobytes() == expected.tobytes()


def test_analytic_optimum_is_the_known_one() -> None:
    suite = load_suite("point-robot")
    find_bounds = suite.family.return_bounds
    best = {
        split: np.mean([find_bounds(task.parameters, HORIZON)[1] for task in suite.split(split)[:number]])
        for split, number in (("train", 45), ("test", 5))  # the field's
    }
    assert best["test"] == pytest.approx(-2.98, abs=0.01)
    assert best["train"] == pytest.approx(-2.16, abs=0.01)


@pytest.mark.parametrize("goal", [[0.25, -0.1], [0.32, 0.31], [-0.04, 0.0], [0.9, 0.07]])
def test_return_bounds_against_all_sequences_of_moves(goal: list[float]) -> None:
    """The axes are independent only in the moves: all 9^3 sequences of corner, edge and zero moves, and exact ones."""
    horizon = 3
    worst, best = load_family("point-robot").return_bounds({"goal": goal}, horizon)
    returns = []
    for sequence in itertools.product(itertools.product((-1.0, 0.0, 1.0, "goal"), repeat=2), repeat=horizon):
        position, total = np.zeros(2), 0.0
        for choice in sequence:
            move = [goal[i] - position[i] if c == "goal" else c * MAX_MOVE for i, c in enumerate(choice)]
            position = position + np.clip(move, -MAX_MOVE, MAX_MOVE)
            total -= float(np.linalg.norm(position - goal))
        returns.append(total)
    assert max(returns) == pytest.approx(best, abs=1e-12)
    assert min(returns) == pytest.approx(worst, abs=1e-12)


def test_teacher_never_beats_the_bounds_and_the_expert_is_close() -> None:
    suite = load_suite("point-robot")
    tasks = [task for task in suite.tasks for _ in SKILLS]
    behaviours = [name for _ in suite.tasks for name in SKILLS]
    environment, teacher = suite.environment(), suite.teacher()
    observation = environment.reset([task.parameters for task in tasks], [0] * len(tasks))
    teacher.reset(behaviours, [task.parameters for task in tasks], list(range(len(tasks))))
    total = np.zeros(len(tasks))
    for _ in range(suite.entry.horizon):
        step = environment.step(teacher.act(observation))
        observation = step.observation
        total += step.reward
    bounds = np.array([suite.family.return_bounds(task.parameters, HORIZON) for task in tasks])
    assert (total <= bounds[:, 1] + 1e-9).all()
    assert (total >= bounds[:, 0] - 1e-9).all()
    expert = np.array(behaviours) == "expert"
    assert (bounds[expert, 1] - total[expert]).mean() < 0.2


def test_teacher_actions_depend_on_their_own_lane_only() -> None:
    suite = load_suite("tiny")
    parameters = [task.parameters for task in suite.tasks]
    positions = np.random.default_rng(0).uniform(-1, 1, (4, 2)).astype(np.float32)
    together, alone = suite.teacher(), suite.teacher()
    together.reset(["medium", "expert", "stage-1", "medium"], parameters, [1, 2, 3, 4])
    alone.reset(["stage-1"], parameters[2:3], [3])
    for _ in range(HORIZON):
        np.testing.assert_array_equal(together.act(positions)[2:3], alone.act(positions[2:3]))


@pytest.mark.parametrize(
    "parameters", [{}, {"goal": [1.0]}, {"goal": [1.0, float("nan")]}, {"goal": [0.0, True]}, {"goal": [0, 1], "x": 1}]
)
def test_parameters_that_fix_no_task_are_refused(parameters: dict) -> None:
    with pytest.raises(ValueError, match="goal"):
        load_family("point-robot").check_parameters(parameters)
