"""Blind maps of Darkroom: the walk that no policy which knows neither goal nor rewards can better.

In a room that looks the same in every task, such a policy walks the same way whatever it sees. So the best is found
exactly, by dynamic programming: a cell is worth the share of the score that one step in it earns, over all tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from metabench.envs.batched import TaskParameters
from metabench.envs.grids.blind_map import describe_choices
from metabench.envs.grids.grid import (
    CENTRE,
    MOVES,
    STAY,
    list_cells,
    number_cells,
    walk,
)
from metabench.envs.spaces import Array


def propose_walks(training: Sequence[TaskParameters], horizon: int) -> dict[str, dict[str, Any]]:
    """Staying where episodes begin, and the best walk if every cell is as likely to be the goal.

    Which goals are training tasks is left out: the others are the test tasks, and would be walked around.
    """
    del training
    plans = {
        "stay in the middle": np.full(len(list_cells()), STAY),
        "the best walk": find_best_walk(measure_worth(horizon), horizon),
    }
    return {name: describe_choices(name, actions) for name, actions in plans.items()}


def measure_worth(horizon: int) -> Array:
    """`(81,)`: what a step into each cell adds to the mean score over all goals.

    A reward of 1 in a task adds 1 / (expert - random) to its score, both as returns.
    """
    distances = np.abs(list_cells() - CENTRE).sum(axis=1)
    expert = horizon - np.maximum(distances, 1) + 1
    return np.asarray(1.0 / (expert - _measure_visits(horizon)) / len(distances))


def find_best_walk(worth: Array, horizon: int) -> Array:
    """`(81,)` actions, one a cell, of a walk from the middle that gathers most `worth`, `(81,)`, in `horizon` steps."""
    ways = number_cells(walk(list_cells()[:, None], np.arange(len(MOVES))))  # (81, 5)
    gained, choices = np.zeros(len(ways)), []
    for _ in range(horizon):
        values = (worth + gained)[ways]
        choices.append(values.argmax(axis=1))  # of equals the first: to stay
        gained = values.max(axis=1)
    actions, here = np.full(len(ways), STAY), int(number_cells(np.array(CENTRE)))
    for choice in reversed(choices):
        actions[here] = choice[here]
        here = int(ways[here, choice[here]])
    return actions


def _measure_visits(horizon: int) -> Array:
    """`(81,)`: how many of `horizon` uniformly random steps from the middle end in each cell, in the mean."""
    ways = number_cells(walk(list_cells()[:, None], np.arange(len(MOVES))))
    here: Array = np.zeros(len(ways))
    here[number_cells(np.array(CENTRE))] = 1.0
    visits = np.zeros(len(ways))
    for _ in range(horizon):
        here = np.bincount(ways.ravel(), np.repeat(here, len(MOVES)) / len(MOVES), len(ways))
        visits += here
    return visits
