"""Point-Maze: gymnasium-robotics' environment behind our lanes, its mazes as tasks, and the scripted teacher."""

import itertools
import tempfile
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from metabench import load_suite
from metabench.envs import DeclaredSpaces, load_family
from metabench.envs.family import NoTeacher
from metabench.envs.points.point_maze import PointMazeTeacher
from metabench.errors import MetabenchError, UnknownNameError

SPACES = DeclaredSpaces(
    observation_dim=6,
    observation_keys=("desired_goal", "observation"),
    action_low=(-1.0, -1.0),
    action_high=(1.0, 1.0),
)
HIDDEN = SPACES.model_copy(update={"observation_keys": ("observation",), "observation_dim": 4})
SMALL = [[1, 1, 1, 1, 1], [1, 0, 1, 0, 1], [1, 0, 0, 0, 1], [1, 1, 1, 1, 1]]


def task(maze: Any, **arguments: Any) -> dict[str, Any]:
    arguments = {"reward_type": "sparse", "continuing_task": False, **arguments}
    return {"environment": "gymnasium_robotics:PointMaze_UMaze-v3", "arguments": {**arguments, "maze_map": maze}}


@pytest.fixture(scope="module")
def robotics() -> Any:
    return pytest.importorskip("gymnasium_robotics", reason="needs gymnasium-robotics: the extra `robotics`")


def test_the_suites_mazes_are_those_of_gymnasium_robotics(robotics: Any) -> None:
    from gymnasium_robotics.envs.maze import maps

    theirs = [maps.OPEN, maps.U_MAZE, maps.LARGE_MAZE, maps.MEDIUM_MAZE]
    suite = load_suite("pointmaze")
    assert [task.parameters["arguments"]["maze_map"] for task in suite.tasks] == theirs
    suite.check_available()


def test_lanes_are_the_environment_without_its_time_limit(robotics: Any) -> None:
    import gymnasium

    suite, seeds = load_suite("pointmaze"), [11, 12]
    tasks = [suite.tasks[1].parameters, suite.tasks[3].parameters]
    actions = np.random.default_rng(0).uniform(-1, 1, (40, 2, 2)).astype(np.float32)
    lanes = suite.environment()
    observations, outcomes = [lanes.reset(tasks, seeds)], [lanes.step(action) for action in actions]
    observations += [outcome.observation for outcome in outcomes]
    for lane, name in enumerate(["PointMaze_UMaze-v3", "PointMaze_Medium-v3"]):
        env = gymnasium.make(name, continuing_task=False)
        seen, _ = env.reset(seed=seeds[lane])
        for step in range(len(actions)):
            expected = np.concatenate([seen["desired_goal"], seen["observation"]])
            np.testing.assert_array_equal(observations[step][lane], expected.astype(np.float32))
            seen, reward, terminated, _, info = env.step(actions[step, lane])
            outcome = outcomes[step]
            assert (outcome.reward[lane], outcome.terminated[lane]) == (reward, terminated)
            assert outcome.success is not None
            assert outcome.success[lane] == info["success"]
        Path(env.unwrapped.tmp_xml_file_path).unlink()


def test_no_model_is_left_in_the_folder_for_temporary_files(
    robotics: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    load_family("pointmaze", SPACES).environment(9).reset([task(SMALL)] * 2, [0, 1])
    assert list(tmp_path.iterdir()) == []


def test_the_goal_is_hidden_where_the_suite_does_not_name_it(robotics: Any) -> None:
    shown = load_family("pointmaze", SPACES).environment(9).reset([task(SMALL)], [4])
    hidden = load_family("pointmaze", HIDDEN).environment(9).reset([task(SMALL)], [4])
    np.testing.assert_array_equal(hidden, shown[:, 2:])
    assert isinstance(load_family("pointmaze", HIDDEN).teacher(Path(), 9), NoTeacher)


@pytest.mark.slow
def test_the_expert_reaches_goals_that_noise_does_not(robotics: Any) -> None:
    from metabench.data.making.roll_out import roll_out

    suite, episodes = load_suite("pointmaze"), 6
    tasks = np.repeat([0, 1, 3], episodes).tolist()
    seeds = list(range(len(tasks)))
    expert, random = (roll_out(suite, tasks, [name] * len(tasks), seeds) for name in ("expert", "random"))
    np.testing.assert_array_equal(expert.columns.episode_returns, 1.0)
    assert expert.columns.terminated.all()
    assert random.columns.episode_returns.mean() < 0.6
    assert expert.success is not None
    assert expert.success.sum() == len(tasks)


def steps_to(maze: list, start: tuple, goal: tuple) -> int:
    """Cells on the shortest way, by breadth-first search from the start."""
    distance, edge = {start: 0}, deque([start])
    while edge:
        row, column = cell = edge.popleft()
        for near in ((row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)):
            if maze[near[0]][near[1]] != 1 and near not in distance:
                distance[near] = distance[cell] + 1
                edge.append(near)
    return distance[goal]


def middle(maze: list, cell: tuple) -> np.ndarray:
    """As gymnasium-robotics computes it."""
    return np.array([cell[1] + 0.5 - len(maze[0]) / 2, len(maze) / 2 - cell[0] - 0.5])


@pytest.mark.parametrize("index", range(4))
def test_the_expert_takes_the_shortest_way(index: int) -> None:
    parameters = load_suite("pointmaze").tasks[index].parameters
    maze = parameters["arguments"]["maze_map"]
    free = [(r, c) for r, row in enumerate(maze) for c, cell in enumerate(row) if cell != 1]
    pairs = list(itertools.product(free, free[:: len(free) // 4]))
    at = [middle(maze, start) for start, _ in pairs]
    goals = np.array([middle(maze, goal) for _, goal in pairs])
    teacher = PointMazeTeacher(SPACES.observation_keys, horizon=99)
    teacher.reset(["expert"] * len(pairs), [parameters] * len(pairs), range(len(pairs)))
    lengths = np.zeros(len(pairs), int)
    for _ in range(99):  # each action is read as a move to the next cell on the axis that it pulls most along
        actions = teacher.act(np.hstack([goals, at, np.zeros((len(pairs), 2))]))
        for lane, action in enumerate(actions):
            if not np.array_equal(at[lane], goals[lane]):
                axis = np.abs(action).argmax()
                at[lane] = at[lane] + np.eye(2)[axis] * np.sign(action[axis])
                lengths[lane] += 1
    assert lengths.tolist() == [steps_to(maze, start, goal) for start, goal in pairs]


def test_a_lanes_actions_depend_on_itself_only() -> None:
    tasks, seeds = [task(SMALL)] * 3, [7, 8, 9]
    observation = np.random.default_rng(0).uniform(-1, 1, (3, 6))
    together, alone = (PointMazeTeacher(SPACES.observation_keys, 9) for _ in range(2))
    together.reset(["medium", "expert", "medium"], tasks, seeds)
    alone.reset(["medium"], tasks[:1], seeds[2:])
    for _ in range(9):
        np.testing.assert_array_equal(together.act(observation)[2:], alone.act(observation[2:]))
    with pytest.raises(UnknownNameError, match="unknown teacher behaviour 'exprt'; did you mean 'expert'"):
        alone.reset(["exprt"], tasks[:1], [0])


def test_medium_walks_elsewhere_in_half_of_the_episodes() -> None:
    lanes = 400
    teacher = PointMazeTeacher(SPACES.observation_keys, 1)
    teacher.reset(["medium"] * lanes, [task([[1, 1, 1, 1], [1, 0, 0, 1], [1, 1, 1, 1]])] * lanes, range(lanes))
    observation = np.tile([-0.5, 0.0, -0.5, 0.0, 0.0, 0.0], (lanes, 1))  # at the goal, in the left of two cells
    away = (teacher.act(observation)[:, 0] > 0.9).mean()  # lost (0.55), in half of these to the other cell, or by noise
    assert 0.2 < away < 0.4


@pytest.mark.parametrize(
    ("maze", "expected"),
    [
        (None, "arguments must have maze_map, a list of rows"),
        ([], "arguments must have maze_map"),
        ([1, 1], "arguments must have maze_map"),
        ([*SMALL[:-1], [1, 1]], "rows of one length"),
        ([*SMALL[:1], [1, 0, 2, 0, 1], *SMALL[2:]], "rows of one length, of 0, 1, 'r', 'g', 'c'"),
        (SMALL[:-1], "walls all round"),
        ([row[:-1] for row in SMALL], "walls all round"),
        ([[1, 1, 1], [1, 0, 1], [1, 1, 1]], "at least two free cells"),
    ],
)
def test_mazes_are_checked(maze: Any, expected: str) -> None:
    family = load_family("pointmaze", SPACES)
    family.check_parameters(task(SMALL))
    with pytest.raises(ValueError, match=expected):
        family.check_parameters(task(maze))


def test_return_bounds() -> None:
    family = load_family("pointmaze", SPACES)
    assert family.return_bounds(task(SMALL), 300) == (0.0, 1.0)
    assert family.return_bounds(task(SMALL, continuing_task=True), 300) == (0.0, 300.0)
    assert family.return_bounds(task(SMALL, reward_type="dense"), 300) == (0.0, 300.0)


def test_without_the_package_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MetabenchError, match=r"suite pointmaze: task 3: .*pip install 'gymnasium-robotics>="):
        load_suite("pointmaze").check_available()
