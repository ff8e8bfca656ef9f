"""Blind maps of Darkroom-Permuted, climbed to by the exact gradient of their mean return.

A policy that sees the cell alone forgets what its actions did, but where it is tells some of it: a walker that is on
the lower edge, and always takes one action there, has found the one that leads right. The map that is climbed from
makes use of that. From uniform or random maps the same ascent ends at a pair of actions in turn, which is right for two
of the twenty pairs.
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

ROUNDS = 500
"""Steps of ascent; the last hundred add less than a thousandth."""

STEP, SMALLEST = 0.05, 1e-9
"""Of Adam."""

STRAYING = 0.03
"""Share of random actions that the ascent begins with: what has no chance has no gradient."""


def propose_climbs(training: Sequence[TaskParameters], horizon: int) -> dict[str, dict[str, Any]]:
    """Two actions in turn, and the best map found if every order of the moves is as likely.

    Actions are dealt to a map's columns anew in each episode: all orders are then alike to it, and its score does not
    hang on which of them happen to be test tasks. Which are training tasks is left out for the same reason.
    """
    del training
    in_turn = np.eye(len(MOVES))[list_cells().sum(axis=1) % 2]
    maps = {"two actions in turn": in_turn, "the best map": climb(lay_tracks(), horizon)}
    return {name: describe_map(name, chances, dealt=True) for name, chances in maps.items()}


def lay_tracks() -> Array:
    """`(81, 5)` chances: action 0 leads right along the lower edge, and each other one is tried as the way up.

    Action k of 1 to 4 is tried in column k: if it leads up, the walker follows that column, then a row of its own to
    the right edge, and there goes on up. If it leads nowhere else, action 0 takes the walker on to the next column.
    """
    chances = np.zeros((SIZE, SIZE, len(MOVES)))
    chances[..., 0] = 1.0
    last = len(MOVES) - 1
    for action in range(1, last + 1):
        turn = SIZE - action  # the row to turn into
        chances[action, :turn] = np.eye(len(MOVES))[action]
        if action < last:
            chances[action, 0] = 0.2 * np.eye(len(MOVES))[0] + 0.8 * np.eye(len(MOVES))[action]
        # On the right edge, whoever came by this row or a lower one.
        chances[-1, turn : SIZE - 1, 0] = 0.0
        chances[-1, turn : SIZE - 1, action] = 1.0
    chances /= chances.sum(axis=-1, keepdims=True)
    return chances.reshape(-1, len(MOVES))


def climb(chances: Array, horizon: int, rounds: int = ROUNDS) -> Array:
    """`(81, 5)` chances uphill of those given in the mean return over all orders: after all rounds, near a maximum."""
    logits = np.log((1 - STRAYING) * chances + STRAYING / len(MOVES))
    mean, square = np.zeros_like(logits), np.zeros_like(logits)
    orders = np.array(list(itertools.permutations(range(len(MOVES)))))
    for number in range(1, rounds + 1):
        chances = _normalise(logits)
        _, gradient = measure_return(chances, orders, horizon)
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
    here = np.zeros((tasks, cells))
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
