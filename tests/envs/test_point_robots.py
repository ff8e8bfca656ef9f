"""Point-Robot in wind and with sparse rewards: against plain loops, brute force and bounds on blind policies."""

import itertools
import math

import numpy as np
import pytest

from metabench import load_suite
from metabench.data.making.roll_out import roll_out
from metabench.envs import load_family
from metabench.errors import UnknownNameError

SUITES = ("point-robot-wind", "point-robot-sparse")


def goal_and_wind(task: dict) -> tuple[np.ndarray, np.ndarray]:
    if "wind" in task:
        return np.array([1.0, 0.0]), np.array(task["wind"])
    return np.array([math.cos(task["angle"]), math.sin(task["angle"])]), np.zeros(2)


def pay(task: dict, distance: float) -> float:
    return -distance if "wind" in task else max(0.2 - distance, 0.0) / 0.2


def plain_loop(task: dict, actions: np.ndarray) -> tuple[list[list[float]], list[float]]:
    """The rules, once more, for one lane: positions and rewards."""
    (goal, wind), position = goal_and_wind(task), [0.0, 0.0]
    positions, rewards = [position], []
    for move in actions.tolist():
        position = [position[i] + min(max(move[i], -0.1), 0.1) + float(wind[i]) for i in range(2)]
        positions.append(position)
        rewards.append(pay(task, math.sqrt((position[0] - goal[0]) ** 2 + (position[1] - goal[1]) ** 2)))
    return positions, rewards


@pytest.mark.parametrize("name", SUITES)
def test_batched_equals_a_plain_loop(name: str) -> None:
    suite = load_suite(name)
    tasks = [suite.tasks[lane * 3].parameters for lane in range(25)]
    environment, teacher = suite.environment(), suite.teacher()
    observation = environment.reset(tasks, [0] * 25)
    teacher.reset(["stage-4"] * 25, tasks, list(range(25)))  # it comes near goals, which random actions do not
    observations, rewards, actions = [observation], [], []
    for _ in range(suite.entry.horizon):
        actions.append(teacher.act(observations[-1]).astype(np.float32))
        step = environment.step(actions[-1])
        assert not step.terminated.any()
        observations.append(step.observation)
        rewards.append(step.reward)
    for lane, task in enumerate(tasks):
        positions, expected = plain_loop(task, np.stack(actions)[:, lane])
        np.testing.assert_array_equal(np.stack(observations)[:, lane], np.float32(positions))
        np.testing.assert_allclose(np.stack(rewards)[:, lane], expected, rtol=0, atol=1e-12)
    assert (np.sum(rewards, axis=0) > 0).all() == (name == "point-robot-sparse")


@pytest.mark.parametrize(
    "task", [{"wind": [0.04, -0.03]}, {"wind": [-0.05, 0.0]}, {"wind": [0.09, 0.09]}, {"wind": [-0.02, 0.08]}]
)
def test_return_bounds_of_wind_against_all_sequences_of_moves(task: dict) -> None:
    """All sequences of moves to the edges, of none, and to the goal, as far as each goes."""
    horizon, (goal, wind) = 3, goal_and_wind(task)
    worst, best = load_family("point-robot-wind").return_bounds(task, horizon)
    returns = []
    for sequence in itertools.product(itertools.product((-0.1, 0.0, 0.1, "goal"), repeat=2), repeat=horizon):
        position, total = np.zeros(2), 0.0
        for choice in sequence:
            move = [goal[i] - position[i] - wind[i] if c == "goal" else c for i, c in enumerate(choice)]
            position = position + np.clip(move, -0.1, 0.1) + wind
            total -= float(np.linalg.norm(position - goal))
        returns.append(total)
    assert max(returns) == pytest.approx(best, abs=1e-12)
    assert min(returns) == pytest.approx(worst, abs=1e-12)


def test_closed_forms() -> None:
    """Against the strongest wind the goal takes 20 steps; a goal on the right is entered in the ninth."""
    _, best = load_family("point-robot-wind").return_bounds({"wind": [-0.05, 0.0]}, 25)
    assert best == pytest.approx(-sum(1 - 0.05 * step for step in range(1, 20)))
    _, best = load_family("point-robot-sparse").return_bounds({"angle": 0.0}, 20)
    assert best == pytest.approx(0.5 + 11)  # at 0.9, then from the tenth step on at the goal
    assert load_family("point-robot-sparse").return_bounds({"angle": 1.0}, 5)[1] == 0.0


@pytest.mark.parametrize("name", SUITES)
def test_the_expert_is_near_the_optimum_and_the_others_are_in_order(name: str) -> None:
    suite = load_suite(name)
    assert suite.teacher().behaviours == ("stage-1", "stage-2", "medium", "stage-4", "expert")
    tasks = [task.id for split in ("train", "test") for task in suite.split(split) for _ in range(4)]
    bounds = [suite.family.return_bounds(suite.tasks[task].parameters, suite.entry.horizon) for task in tasks]
    low, high = np.array(bounds).T
    means = []
    for behaviour in ("random", *suite.teacher().behaviours):
        returns = roll_out(suite, tasks, [behaviour] * len(tasks), list(range(len(tasks)))).columns.episode_returns
        means.append(np.mean(suite.normalised(tasks, returns.tolist())))
        assert ((returns >= low - 1e-4) & (returns <= high + 1e-4)).all()
        if behaviour == "expert":
            assert (high - returns).mean() < 0.03 * np.abs(high).mean()
    assert means == sorted(means)
    assert 40 < means[3] < 60


def test_a_spring_rests_beside_the_goal_by_the_wind_over_its_strength() -> None:
    """A law of the blind script, and why there is little to find out: half a wind is all that is lost."""
    suite = load_suite("point-robot-wind")
    tasks = [task.parameters for task in suite.split("test")]
    environment, blind = suite.environment(), suite.blind()
    observation = environment.reset(tasks, [0] * len(tasks))
    blind.reset([0] * len(tasks))
    for _ in range(400):
        observation = environment.step(blind.act(observation).astype(np.float32)).observation
    winds = np.array([task["wind"] for task in tasks])
    mean = np.mean([task.parameters["wind"] for task in suite.split("train")], axis=0)
    # The script says how strong it is; a weaker one would rest farther off.
    rest = (winds - mean) / (observation - [1.0, 0.0])
    np.testing.assert_allclose(rest, rest[0, 0], rtol=1e-3)
    assert 1.5 <= rest[0, 0] < 2


def test_no_blind_policy_of_sparse_is_much_better_than_the_shipped_walk() -> None:
    """Rewards are all that differs between tasks: who sees none walks one way, and each step ends in one place.

    So no blind policy has more than the sum over steps of the best place within reach, if every angle is as likely.
    """
    suite = load_suite("point-robot-sparse")
    angles = np.linspace(0, math.pi, 721)
    goals = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    best = np.array([suite.family.return_bounds({"angle": angle}, 20)[1] for angle in angles.tolist()])
    axis = np.arange(-1.2, 1.2001, 0.02)
    places = np.stack(np.meshgrid(axis, axis[axis >= 0]), axis=-1).reshape(-1, 2)
    places = places[np.abs(np.linalg.norm(places, axis=1) - 1) < 0.2]
    distances = np.sqrt(((places[:, None] - goals) ** 2).sum(axis=2))
    worth = (np.maximum(0.2 - distances, 0) / 0.2 / best).mean(axis=1)
    limit = sum(worth[np.abs(places).max(axis=1) <= 0.1 * step + 1e-9].max(initial=0.0) for step in range(1, 21))
    environment, blind = suite.environment(), suite.blind()
    observation = environment.reset([{"angle": angle} for angle in angles.tolist()], [0] * len(angles))
    blind.reset([0] * len(angles))
    total = np.zeros(len(angles))
    for _ in range(20):
        step = environment.step(blind.act(observation).astype(np.float32))
        observation, total = step.observation, total + step.reward
    assert 0.97 * limit < (total / best).mean() <= 1.01 * limit  # places of the bound are on a lattice


WRONG = [
    ("point-robot-wind", {}, "expected exactly 'wind', a list of two numbers"),
    ("point-robot-wind", {"wind": [0.01]}, "expected exactly 'wind'"),
    ("point-robot-wind", {"wind": [0.01, float("nan")]}, r"wind must hold two numbers between -1e\+06 and 1e\+06"),
    ("point-robot-wind", {"wind": [0.01, -0.1]}, r"wind must be weaker than 0.1 on each axis, not \[0.01, -0.1\]"),
    ("point-robot-sparse", {"angle": [1.0]}, "expected exactly 'angle', a number"),
    ("point-robot-sparse", {"angle": True}, "expected exactly 'angle', a number"),
    ("point-robot-sparse", {"angle": -0.1}, "angle must be from 0 to pi, not -0.1"),
    ("point-robot-sparse", {"angle": float("nan")}, "angle must be from 0 to pi"),
]


@pytest.mark.parametrize(("name", "parameters", "problem"), WRONG)
def test_parameters_that_fix_no_task_are_refused_in_one_line(name: str, parameters: dict, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        load_family(name).check_parameters(parameters)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("point-robot-wind", {"script": "", "stiffness": 2.0, "lean": [0.0, 0.0]}, "stiffness"),
        ("point-robot-wind", {"script": "", "stiffness": 1.0}, "lean"),
        ("point-robot-sparse", {"script": "", "places": [[0.0]]}, "places"),
        ("point-robot-sparse", {"script": "", "places": []}, "places"),
        ("point-robot-sparse", {"script": "", "places": [[0.0, 1.0]], "wait": 1}, "wait"),
    ],
)
def test_what_is_no_blind_script_is_refused_in_one_line(name: str, content: dict, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        load_family(name).blind_scripts().load(content, 20)
    assert "\n" not in str(caught.value)


def test_an_unknown_behaviour_gives_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean 'medium'\?"):
        load_suite("point-robot-wind").teacher().reset(["meduim"], [{"wind": [0.0, 0.0]}], [0])
