"""Blind maps of Darkroom-Permuted, climbed to by the exact gradient of their mean return.

A policy that sees the cell alone forgets what its actions did, but where it is tells some of it: a walker that is far
along the lower edge, and takes one action wherever it is there, has found the one that leads right. There are many
maxima. An ascent from uniform chances ends at two actions in turn, right for two of the twenty pairs; better ones are
found from one action that is likelier everywhere, with a reward for undecided cells that is taken back by and by.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from metabench.envs.batched import TaskParameters
from metabench.envs.grids.blind_map import describe_map
from metabench.envs.grids.grid import MOVES, SIZE, list_cells, number_cells, walk
from metabench.envs.spaces import Array

STARTS = 8
"""Ascents; which of them is the best is known exactly."""

BONUSES, ROUNDS = (0.3, 0.1, 0.03, 0.01, 0.0), 100
"""On the entropy of each cell's chances, one after another; and steps of ascent with each."""

LIKELIER, SPREAD = 1.5, 0.1
"""Of the first action's logits over the others, and of all around these: where an ascent starts."""

STEP, SMALLEST = 0.1, 1e-9
"""Of Adam; and what keeps logarithms and quotients finite."""


def propose_climbs(training: Sequence[TaskParameters], horizon: int) -> dict[str, dict[str, Any]]:
    """Two actions in turn, and the best map found if every order of the moves is as likely; takes minutes.

    Actions are dealt to a map's columns anew in each episode: all orders are then alike to it, and its score does not
    hang on which of them happen to be test tasks. Which are training tasks is left out for the same reason.
    """
    del training
    orders = list_orders()
    climbed = [climb(np.random.default_rng(seed), horizon) for seed in range(STARTS)]
    best = max(climbed, key=lambda chances: measure_return(chances, orders, horizon)[0])
    in_turn = np.eye(len(MOVES))[list_cells().sum(axis=1) % 2]
    maps = {"two actions in turn": in_turn, "the best map": best}
    return {name: describe_map(name, chances, dealt=True) for name, chances in maps.items()}


def list_orders() -> Array:
    """`(120, 5)`: all orders of the moves."""
    return np.array(list(itertools.permutations(range(len(MOVES)))))


def climb(
    generator: np.random.Generator,
    horizon: int,
    bonuses: Sequence[float] = BONUSES,
    rounds: int = ROUNDS,
) -> Array:
    """`(81, 5)` chances at a maximum of the mean return over all orders, or near one.

    Args:
        generator: says where to start.
        horizon: steps of an episode.
        bonuses: on entropy, one after another.
        rounds: steps of ascent with each.
    """
    orders = list_orders()
    logits = SPREAD * generator.standard_normal((SIZE * SIZE, len(MOVES)))
    logits[:, 0] += LIKELIER
    for bonus in bonuses:
        mean, square = np.zeros_like(logits), np.zeros_like(logits)
        for number in range(1, rounds + 1):
            chances = _normalise(logits)
            _, gradient = measure_return(chances, orders, horizon)
            gradient -= bonus * np.log(chances + SMALLEST)
            slope = chances * (gradient - (chances * gradient).sum(axis=1, keepdims=True))
            mean, square = 0.9 * mean + 0.1 * slope, 0.99 * square + 0.01 * slope**2
            pace = np.sqrt(square / (1 - 0.99**number)) + SMALLEST
            logits = logits + STEP * mean / (1 - 0.9**number) / pace
    return _normalise(logits)


def measure_return(chances: Array, orders: Array, horizon: int) -> tuple[float, Array]:
    """The exact mean return of a map over tasks, and its gradient in the chances, `(81, 5)`.

    Args:
        chances: `(81, 5)`, of each action in each cell.
        orders: `(tasks, 5)`, the move of each action in each task.
        horizon: steps.
    """
    tasks, cells = len(orders), len(chances)
    ways = number_cells(walk(list_cells()[None, :, None], orders[:, None]))  # (tasks, 81, 5)
    rows = np.arange(tasks)[:, None, None]
    pays = np.zeros(cells)
    pays[-1] = 1.0
    values = np.zeros((tasks, cells))  # of the steps that are left
    gains = []
    for _ in range(horizon):
        gains.append((pays + values)[rows, ways])
        values = (gains[-1] * chances).sum(axis=2)
    places = (rows * cells + ways).ravel()
    here: Array = np.zeros((tasks, cells))
    here[:, 0] = 1.0
    gradient = np.zeros_like(chances)
    for gain in reversed(gains):
        gradient += (here[:, :, None] * gain).sum(axis=0)
        moved = here[:, :, None] * chances
        here = np.bincount(places, moved.ravel(), tasks * cells).reshape(tasks, cells)
    return float(values[:, 0].mean()), gradient / tasks


def _normalise(logits: Array) -> Array:
    chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(chances / chances.sum(axis=1, keepdims=True))
