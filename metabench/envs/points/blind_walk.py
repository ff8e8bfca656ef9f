"""The blind policy of Point-Robot-Sparse: a walk to the semicircle and along it.

Tasks differ in their rewards alone, so whoever sees none walks one way in all of them, and the best way can be
computed: a place is worth the share of the score that one step in it earns, over all angles.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import Field, ValidationError

from metabench.envs.batched import TaskParameters
from metabench.envs.blind import BlindPolicy
from metabench.envs.points.semicircle import measure_best, pay_nearness, place_goals
from metabench.envs.points.walking import MAX_MOVE
from metabench.envs.spaces import Array
from metabench.errors import first_problem
from metabench.system.strict_model import StrictModel

FINENESS = 2
"""Points of the lattice within a largest move, on each axis; with twice as many the walk is better by 0.03 points."""

REACH = 12
"""Largest moves from the start to the last points of the lattice: beyond the semicircle."""

GOALS = 1000
"""Angles, evenly over the half circle, that places are judged by."""


class Walk(StrictModel):
    """What `references/blind.json` holds."""

    script: str = Field(description="its name among the walks that were tried")
    places: tuple[tuple[float, float], ...] = Field(
        min_length=1, description="from the one nearest to the point it goes to the next"
    )


def propose_walks(training: Sequence[TaskParameters], horizon: int) -> dict[str, dict[str, Any]]:
    """Staying at the start, and the best walk if every angle is as likely.

    Which angles are training tasks is left out: between them are the test tasks, and a walk that is fitted to the ones
    leaves out the others.
    """
    del training
    walks = {"stay at the start": np.zeros((1, 2)), "the best walk": find_best_walk(horizon)}
    scripts = [Walk(script=name, places=places.tolist()) for name, places in walks.items()]
    return {each.script: each.model_dump(mode="json") for each in scripts}


def find_best_walk(horizon: int) -> Array:
    """`(places, 2)` of a walk over a lattice, by dynamic programming; it stays in its last place."""
    spacing = MAX_MOVE / FINENESS
    reach = REACH * FINENESS
    columns, rows = np.arange(-reach, reach + 1), np.arange(reach + 1)
    goals = place_goals((np.arange(GOALS) + 0.5) / GOALS * math.pi)
    best = np.array([measure_best(goal, horizon) for goal in goals])
    lines = [spacing * np.stack([np.full_like(rows, x), rows], axis=1) for x in columns]
    worth = np.stack([measure_worth(line, goals, best) for line in lines])
    moves = [(i, j) for i in range(-FINENESS, FINENESS + 1) for j in range(-FINENESS, FINENESS + 1)]
    moves.sort(key=lambda move: abs(move[0]) + abs(move[1]))  # of equals the shortest
    gained, choices = np.zeros_like(worth), []
    for _ in range(horizon):
        edged = np.pad(worth + gained, FINENESS, constant_values=-math.inf)
        values = np.stack([_shift(edged, move, worth.shape) for move in moves])
        choices.append(values.argmax(axis=0))
        gained = values.max(axis=0)
    place, walk = (reach, 0), []
    for choice in reversed(choices):
        walk.append(place)
        i, j = moves[int(choice[place])]
        place = place[0] + i, place[1] + j
    walk.append(place)
    distinct = list(dict.fromkeys(walk))
    return np.round(spacing * (np.array(distinct) - (reach, 0)), 4)


def measure_worth(points: Array, goals: Array, best: Array) -> Array:
    """`(points,)`: what a step into each of `points`, `(points, 2)`, adds to the mean score over `goals`, `(goals, 2)`.

    A reward of 1 in a task adds 1 / (expert - random) to its score; random actions never come to a goal, and the
    expert has the best return, `(goals,)`.
    """
    distances = np.linalg.norm(points[:, None] - goals, axis=2)
    return np.asarray((pay_nearness(distances) / best).mean(axis=1))


def _shift(edged: Array, move: tuple[int, int], shape: tuple[int, ...]) -> Array:
    i, j = FINENESS + move[0], FINENESS + move[1]
    return edged[i : i + shape[0], j : j + shape[1]]


def load_walk(content: Mapping[str, Any], horizon: int) -> BlindPolicy:
    """The policy that goes for a walk; raises `ValueError` with one line if `content` is none."""
    del horizon
    try:
        return WalkPolicy(Walk.model_validate(content))
    except ValidationError as error:
        raise ValueError(first_problem(error)) from error


class WalkPolicy(BlindPolicy):
    """Goes from the place that is nearest to the next, and stays in the last; it remembers nothing."""

    def __init__(self, walk: Walk) -> None:
        """Keep the walk."""
        self._places = np.array(walk.places)
        self._next = np.concatenate([self._places[1:], self._places[-1:]])

    def reset(self, seeds: Sequence[int]) -> None:
        """Nothing: nothing is random."""

    def act(self, observation: Array) -> Array:
        """`(lanes, 2)` float64."""
        here = np.asarray(observation, np.float64)
        nearest = np.linalg.norm(here[:, None] - self._places, axis=2).argmin(axis=1)
        return np.asarray(np.clip(self._next[nearest] - here, -MAX_MOVE, MAX_MOVE))
