"""Blind maps of the dark rooms: the best of all walks, tours that nothing betters, exact gradients, draws by chance."""

import itertools
import json
import math

import numpy as np
import pytest

from metabench import load_suite
from metabench.envs.grids.blind_ascent import climb, measure_return
from metabench.envs.grids.blind_map import describe_choices, load_map
from metabench.envs.grids.blind_walk import find_best_walk, measure_worth
from metabench.envs.grids.key_to_door import draw_spiral

MOVES = {0: (0, 0), 1: (0, 1), 2: (1, 0), 3: (0, -1), 4: (-1, 0)}


def step_cell(cell: tuple[int, int], move: int) -> tuple[int, int]:
    x, y = cell[0] + MOVES[move][0], cell[1] + MOVES[move][1]
    return min(max(x, 0), 8), min(max(y, 0), 8)


def play_map(content: dict, start: tuple[int, int], horizon: int) -> list[tuple[int, int]]:
    """The cells after each step of a map without chances, whose actions are moves."""
    policy, cell, cells = load_map(content, horizon), start, []
    policy.reset([0])
    for _ in range(horizon):
        cell = step_cell(cell, int(policy.act(np.array([cell], np.float32))[0]))
        cells.append(cell)
    return cells


@pytest.mark.parametrize("horizon", [1, 3, 6])
def test_the_best_walk_is_the_best_of_all_walks(horizon: int) -> None:
    worth = np.random.default_rng(horizon).random(81)
    found = play_map(describe_choices("", find_best_walk(worth, horizon)), (4, 4), horizon)
    walks: list[tuple[tuple[int, int], ...]] = [()]
    for _ in range(horizon):
        walks = [(*walk, step_cell((walk or ((4, 4),))[-1], move)) for walk in walks for move in MOVES]
    sums = [sum(worth[9 * x + y] for x, y in walk) for walk in walks]
    # A map has one action a cell, so that it cannot come back and go on elsewhere; in this room that costs nothing.
    assert sum(worth[9 * x + y] for x, y in found) == pytest.approx(max(sums))


def test_no_blind_policy_of_darkroom_beats_the_shipped_walk() -> None:
    """What nobody can better who sees no reward: a search over all walks, by the worth that episodes had."""
    suite = load_suite("darkroom")
    offers = {tuple(task.parameters["goal"]): task.reference.expert - task.reference.random for task in suite.tasks}
    worth = np.array([1 / offers[cell] / 81 for cell in itertools.product(range(9), repeat=2)])
    np.testing.assert_allclose(measure_worth(20), worth, rtol=0.02)  # references are means of episodes
    best = dict.fromkeys(offers, 0.0)
    for _ in range(20):
        best = {c: max(1 / offers[n] / 81 + best[n] for n in (step_cell(c, move) for move in MOVES)) for c in best}
    blind = np.mean([task.reference.blind / offers[tuple(task.parameters["goal"])] for task in suite.tasks])
    assert blind == pytest.approx(best[4, 4], rel=1e-3)


def test_spirals_pass_every_cell_once_and_no_tour_is_better() -> None:
    spirals = {(first, turn): play_map(describe_choices("", draw_spiral(first, turn)), (4, 4), 80)
               for first in (1, 2, 3, 4) for turn in (1, -1)}  # fmt: skip
    assert len({tuple(each) for each in spirals.values()}) == 8
    for cells in spirals.values():
        assert len({*cells, (4, 4)}) == 81
    # Over all 6,480 pairs: the key is one of the 50 cells that 50 steps can pass, the door one of those after it.
    bound = sum((1 + (50 - i) / 80) / 81 for i in range(1, 51))
    place = {cell: i for i, cell in enumerate(spirals[1, 1][:50])}
    pairs = itertools.permutations(itertools.product(range(9), repeat=2), 2)
    returns = [1 + (place.get(door, -1) > place[key]) if key in place else 0 for key, door in pairs]
    assert np.mean(returns) == pytest.approx(bound) == pytest.approx(0.8063, abs=1e-4)


ORDERS = np.array(list(itertools.permutations(range(5))))


def test_the_return_of_a_map_is_exact_and_so_is_its_gradient() -> None:
    generator = np.random.default_rng(0)
    chances = generator.dirichlet(np.ones(5), 81)
    orders, horizon = ORDERS[[7, 60]], 18
    value, gradient = measure_return(chances, orders, horizon)
    expected = []
    for order in orders.tolist():
        here, total = {(0, 0): 1.0}, 0.0
        for _ in range(horizon):
            there: dict[tuple[int, int], float] = {}
            for cell, mass in here.items():
                for action in range(5):
                    target = step_cell(cell, order[action])
                    there[target] = there.get(target, 0.0) + mass * chances[9 * cell[0] + cell[1], action]
            here, total = there, total + there.get((8, 8), 0.0)
        expected.append(total)
    assert value == pytest.approx(np.mean(expected), rel=1e-12)
    for cell, action in ((0, 0), (10, 3), (71, 1), (80, 4)):
        moved = chances.copy()
        moved[cell, action] += 1e-4
        slope = (measure_return(moved, orders, horizon)[0] - value) / 1e-4
        assert gradient[cell, action] == pytest.approx(slope, rel=0.02, abs=1e-12)


def test_the_shipped_map_of_permuted_is_at_the_top_of_its_climb() -> None:
    """It is far above two actions in turn, and the returns that references have of it are the exact ones."""
    suite = load_suite("darkroom-permuted")
    chances = np.array(json.loads((suite.references_folder / "blind.json").read_text())["chances"])
    value, gradient = measure_return(chances, ORDERS, 50)
    in_turn = np.eye(5)[[sum(divmod(number, 9)) % 2 for number in range(81)]]
    assert measure_return(in_turn, ORDERS, 50)[0] == pytest.approx(35 * 12 / 120)
    assert value > 1.7 * 35 * 12 / 120
    # Which actions a cell takes cannot be bettered: none that it leaves out is better than those it has.
    for row, slopes in zip(chances, gradient, strict=True):
        assert slopes.max() - (row * slopes).sum() < 0.02
    blind = [task.reference.blind for task in suite.tasks]
    assert np.mean(blind) == pytest.approx(value, abs=4 * math.sqrt(value * 35 / 500 / 120))


def test_a_short_climb_goes_up() -> None:
    climbed = [climb(np.random.default_rng(0), 20, (0.0,), rounds) for rounds in (0, 3, 6)]
    values = [measure_return(chances, ORDERS, 20)[0] for chances in climbed]
    assert values[0] < values[1] < values[2]
    np.testing.assert_allclose(climbed[2].sum(axis=1), 1.0)


def test_dealt_maps_are_alike_to_all_orders() -> None:
    """Which orders are test tasks makes no difference to a policy whose actions are dealt anew in each episode."""
    suite = load_suite("darkroom-permuted")
    by_task = np.array([task.reference.blind for task in suite.tasks])
    assert by_task.std() < 0.15 * by_task.mean()
    assert abs(by_task[-12:].mean() / by_task[:-12].mean() - 1) < 0.1


def test_a_map_draws_by_its_chances_and_by_its_own_seed() -> None:
    chances = np.tile([0.1, 0.2, 0.0, 0.3, 0.4], (81, 1)).tolist()
    policy = load_map({"script": "", "dealt": False, "chances": chances}, 4)
    policy.reset(list(range(5000)))
    cells = np.full((5000, 2), 3, np.float32)
    taken = np.concatenate([policy.act(cells) for _ in range(4)])
    assert taken.dtype == np.int64
    np.testing.assert_allclose(np.bincount(taken, minlength=5) / len(taken), chances[0], atol=0.015)
    policy.reset([17])
    assert int(policy.act(cells[:1])[0]) == taken[17]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"chances": [[1.0, 0.0, 0.0, 0.0, 0.0]] * 80}, "chances"),
        ({"chances": [[0.5, 0.0, 0.0, 0.0, 0.0]] * 81}, r"cell \(0, 0\): expected 5 chances that sum to 1"),
        ({"chances": [[2.0, -1.0, 0.0, 0.0, 0.0]] * 81}, "expected 5 chances"),
        ({"chances": [[1.0]] * 81}, "expected 5 chances"),
        ({"dealt": "often"}, "dealt"),
        ({"more": 1}, "more"),
    ],
)
def test_what_is_no_map_is_refused_in_one_line(change: dict, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        load_map({**describe_choices("stay", [0] * 81), **change}, 20)
    assert "\n" not in str(caught.value)
