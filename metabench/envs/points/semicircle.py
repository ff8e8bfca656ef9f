"""The rules of Point-Robot-Sparse in numbers: where goals are, what nearness pays, and the most that can be earned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metabench.envs.batched import TaskParameters
from metabench.envs.points.walking import measure_shortfall
from metabench.envs.spaces import Array

RADIUS = 0.2
"""Of the disc around the goal that pays."""


def read_angles(parameters: Sequence[TaskParameters]) -> tuple[Array, Array]:
    """`(lanes, 2)` float64 twice: each lane's goal, and that there is no wind."""
    goals = place_goals(np.array([task["angle"] for task in parameters], np.float64))
    return goals, np.zeros_like(goals)


def place_goals(angles: Array) -> Array:
    """`(angles, 2)`: the places on the circle of radius 1."""
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def pay_nearness(distance: Array) -> Array:
    """Rewards of distances from the goal."""
    return np.asarray(np.maximum(RADIUS - distance, 0.0) / RADIUS)


def measure_best(goal: Array, horizon: int) -> float:
    """The largest return in the task of a goal."""
    nearest, _ = measure_shortfall(goal, np.zeros(2), horizon)
    return float(pay_nearness(nearest).sum())
