"""The dark rooms against plain loops over single lanes, and their optima against an independent search."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metabench import load_suite
from metabench.data.making.roll_out import roll_out
from metabench.envs import load_family

MOVES = {0: (0, 0), 1: (0, 1), 2: (1, 0), 3: (0, -1), 4: (-1, 0)}
ROOMS = ("darkroom", "darkroom-permuted", "key-to-door")
LOADED = {name: load_suite(name) for name in ROOMS}


def step_cell(cell: tuple[int, int], move: int) -> tuple[int, int]:
    x, y = cell[0] + MOVES[move][0], cell[1] + MOVES[move][1]
    return min(max(x, 0), 8), min(max(y, 0), 8)


def plain_loop(name: str, task: dict, actions: list[int]) -> tuple[list[tuple[int, int]], list[float], bool]:
    """The rules, once more, for one lane: cells, rewards, whether the task ended the episode."""
    cells = [(0, 0) if name == "darkroom-permuted" else (4, 4)]
    rewards, has_key = [], False
    for action in actions:
        cells.append(step_cell(cells[-1], task["moves"][action] if name == "darkroom-permuted" else action))
        if name == "key-to-door":
            key, door = tuple(task["key_and_door"][:2]), tuple(task["key_and_door"][2:])
            opened, found = has_key and cells[-1] == door, not has_key and cells[-1] == key
            has_key = has_key or found
            rewards.append(float(opened or found))
            if opened:
                return cells, rewards, True
        else:
            goal = (8, 8) if name == "darkroom-permuted" else tuple(task["goal"])
            rewards.append(float(cells[-1] == goal))
    return cells, rewards, False


def make_actions(name: str, lanes: int) -> tuple[list[dict], np.ndarray]:
    """Tasks of the suite in turn, and `(lanes, horizon)` actions: the expert's, every third of them at random."""
    suite = load_suite(name)
    tasks = [suite.tasks[lane * 7 % len(suite.tasks)] for lane in range(lanes)]
    environment, teacher = suite.environment(), suite.teacher()
    parameters = [task.parameters for task in tasks]
    observation = environment.reset(parameters, list(range(lanes)))
    teacher.reset(["expert"] * lanes, parameters, list(range(lanes)))
    generator, taken = np.random.default_rng(0), []
    for _ in range(suite.entry.horizon):
        drawn = generator.integers(5, size=lanes)
        taken.append(np.where(generator.random(lanes) < 0.33, drawn, teacher.act(observation)))
        observation = environment.step(taken[-1]).observation
    return parameters, np.stack(taken, axis=1)


@pytest.mark.parametrize("name", ROOMS)
def test_batched_equals_a_plain_loop_until_each_lane_ends(name: str) -> None:
    parameters, actions = make_actions(name, 40)
    environment = load_suite(name).environment()
    observations = [environment.reset(parameters, list(range(40)))]
    steps = [environment.step(each) for each in actions.T]
    ended = paid = 0
    for lane, task in enumerate(parameters):
        cells, rewards, done = plain_loop(name, task, actions[lane].tolist())
        taken = steps[: len(rewards)]
        seen = [observations[0][lane].tolist(), *(step.observation[lane].tolist() for step in taken)]
        assert seen == [list(cell) for cell in cells]
        assert [step.reward[lane] for step in taken] == rewards
        assert [bool(step.terminated[lane]) for step in taken] == [False] * (len(rewards) - 1) + [done]
        assert all(step.success is None or bool(step.success[lane]) == bool(step.terminated[lane]) for step in taken)
        ended, paid = ended + done, paid + (sum(rewards) > 0)
    assert paid > 30
    assert (ended > 20) == (name == "key-to-door")


@settings(deadline=None, max_examples=12)
@given(st.sampled_from(ROOMS), st.data())
def test_a_lane_alone_is_what_it_is_among_others_and_stays_in_the_room(name: str, data: st.DataObject) -> None:
    suite = LOADED[name]
    lanes = data.draw(st.lists(st.integers(0, len(suite.tasks) - 1), min_size=2, max_size=5))
    rows = [data.draw(st.lists(st.integers(0, 4), min_size=12, max_size=12)) for _ in lanes]
    parameters = [suite.tasks[lane].parameters for lane in lanes]
    together, alone = suite.environment(), suite.environment()
    together.reset(parameters, [0] * len(lanes))
    alone.reset(parameters[-1:], [1])
    for actions in np.array(rows).T:
        many, one = together.step(actions), alone.step(actions[-1:])
        np.testing.assert_array_equal(many.observation[-1:], one.observation)
        assert many.reward[-1] == one.reward[0]
        assert ((many.observation >= 0) & (many.observation <= 8)).all()


def find_optimum(name: str, task: dict, horizon: int) -> float:
    """The best return of a task by a search over cells, and whether the key is held, backwards from the end."""
    cells = list(itertools.product(range(9), repeat=2))
    best = {(cell, key): 0.0 for cell in cells for key in (False, True)}
    for _ in range(horizon):
        found = {}
        for cell, has_key in best:
            values = []
            for move in MOVES:
                there = step_cell(cell, move)
                if name == "key-to-door":
                    at_key, at_door = (there == tuple(task["key_and_door"][i : i + 2]) for i in (0, 2))
                    opened = has_key and at_door
                    reward = float(opened or (at_key and not has_key))
                    values.append(reward + (0.0 if opened else best[there, has_key or at_key]))
                else:
                    goal = (8, 8) if name == "darkroom-permuted" else tuple(task["goal"])
                    values.append((there == goal) + best[there, has_key])
            found[cell, has_key] = max(values)
        best = found
    return best[(0, 0) if name == "darkroom-permuted" else (4, 4), False]


def test_the_known_optima() -> None:
    bounds = load_family("darkroom").return_bounds
    best = [bounds({"goal": list(goal)}, 20)[1] for goal in itertools.product(range(9), repeat=2)]
    assert np.mean(best) == pytest.approx(16.54, abs=0.005)  # 16.5 in the literature
    assert load_family("darkroom-permuted").return_bounds({"moves": [0, 1, 2, 3, 4]}, 50) == (0.0, 35.0)


@pytest.mark.parametrize(
    ("name", "horizon", "tasks"),
    [
        ("darkroom", 20, [{"goal": goal} for goal in ([4, 4], [0, 8], [5, 4], [2, 7])]),
        ("darkroom", 5, [{"goal": goal} for goal in ([4, 4], [0, 8], [8, 5], [7, 6])]),
        ("darkroom-permuted", 50, [{"moves": [3, 0, 4, 1, 2]}]),
        ("darkroom-permuted", 16, [{"moves": [0, 1, 2, 3, 4]}]),
        ("key-to-door", 50, [{"key_and_door": places} for places in ([4, 4, 0, 0], [0, 0, 8, 8])]),
        ("key-to-door", 6, [{"key_and_door": places} for places in ([4, 4, 0, 3], [4, 5, 7, 7], [0, 0, 4, 4])]),
    ],
)
def test_return_bounds_are_what_a_search_finds(name: str, horizon: int, tasks: list[dict]) -> None:
    for task in tasks:
        assert load_family(name).return_bounds(task, horizon) == (0.0, find_optimum(name, task, horizon)), task


@pytest.mark.parametrize("name", ROOMS)
def test_the_expert_is_optimal_in_every_task_and_the_others_are_in_order(name: str) -> None:
    suite = load_suite(name)
    assert suite.teacher().behaviours == ("stage-1", "stage-2", "medium", "stage-4", "expert")
    tasks, means = [task.id for task in suite.tasks], []
    best = [suite.family.return_bounds(task.parameters, suite.entry.horizon)[1] for task in suite.tasks]
    for behaviour in ("random", *suite.teacher().behaviours):
        acted = roll_out(suite, tasks, [behaviour] * len(tasks), tasks)
        means.append(np.mean(suite.normalised(tasks, acted.columns.episode_returns.tolist())))
        assert (acted.columns.episode_returns <= best).all()
        if behaviour == "expert":
            np.testing.assert_array_equal(acted.columns.episode_returns, best)
    assert means == sorted(means)
    assert 40 < means[3] < 60


def test_experts_of_other_seeds_go_other_ways() -> None:
    suite = load_suite("darkroom")
    (corner,) = [task.id for task in suite.tasks if task.parameters["goal"] == [8, 8]]
    columns = roll_out(suite, [corner] * 20, ["expert"] * 20, list(range(20))).columns
    assert len({tuple(row) for row in columns.actions.reshape(20, -1).tolist()}) > 10


WRONG = [
    ("darkroom", {}, "expected exactly 'goal'"),
    ("darkroom", {"goal": [1, 9]}, r"goal must be a cell, two whole numbers from 0 to 8, not \[1, 9\]"),
    ("darkroom", {"goal": [1.0, 2]}, "goal must be a cell"),
    ("darkroom", {"goal": [True, 2]}, "goal must be a cell"),
    ("darkroom", {"goal": 3}, "goal must be a cell"),
    ("darkroom", {"goal": [1, 2], "start": [0, 0]}, "expected exactly 'goal'"),
    ("darkroom-permuted", {"moves": [0, 1, 2, 3]}, "moves must be the numbers 0 to 4, each once"),
    ("darkroom-permuted", {"moves": [0, 1, 2, 3, 3]}, "moves must be the numbers 0 to 4, each once"),
    ("darkroom-permuted", {"moves": [0, 1, 2, 3, 4.0]}, "moves must be the numbers 0 to 4, each once"),
    ("key-to-door", {"key_and_door": [0, 0, 1]}, "key_and_door must be four numbers"),
    ("key-to-door", {"key_and_door": [0, 0, 1, 9]}, "door must be a cell"),
    ("key-to-door", {"key_and_door": [0, 0.5, 1, 1]}, "key must be a cell"),
    ("key-to-door", {"key_and_door": [3, 4, 3, 4]}, "key_and_door must be two cells, not one"),
]


@pytest.mark.parametrize(("name", "parameters", "problem"), WRONG)
def test_parameters_that_fix_no_task_are_refused_in_one_line(name: str, parameters: dict, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        load_family(name).check_parameters(parameters)
    assert "\n" not in str(caught.value)
