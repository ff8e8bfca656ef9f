"""The units of errors and what the control says, both from training tasks: how far a step leads, what it earns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metabench.data.columns import Columns
from metabench.data.load import load_columns
from metabench.envs import Array
from metabench.evaluation.prediction.quota import SUPPORT_DATASET
from metabench.suites import Suite

AT_ONCE = 65_536
"""Rows that are read together: a whole dataset need not fit into memory."""

LEAST_CHANGE = 1e-6
"""Of the largest value of a dimension: one whose change varies by less does not change, but for rounding."""


@dataclass(frozen=True)
class PredictionUnits:
    """What errors are measured in.

    Attributes:
        deviations: `(observation_dim,)` float64, of one-step changes; 0 for dimensions that do not change.
        mean_reward: of a training step, which is what the control says.
        cells: all observations are whole numbers: a prediction is then right or wrong.
    """

    deviations: Array
    mean_reward: float
    cells: bool


def measure_units(suite: Suite, behaviours: tuple[str, ...]) -> PredictionUnits:
    """Measure the training tasks of `medium`, or of the first of `behaviours` where a suite has no such dataset.

    They are the same for all methods of a suite, whatever data they are trained on.

    Raises:
        DataError: the dataset is not built.
    """
    known = SUPPORT_DATASET in suite.entry.datasets
    dataset = SUPPORT_DATASET if known else behaviours[0]
    columns = load_columns(suite, dataset, "train", build=False)
    total, squares, largest, cells = _sum_changes(columns)
    count = len(columns.rewards)
    mean = total / count
    deviations = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
    deviations[deviations <= LEAST_CHANGE * largest] = 0.0
    return PredictionUnits(deviations, float(columns.rewards.mean(dtype=np.float64)), cells)


def _sum_changes(columns: Columns) -> tuple[Array, Array, Array, bool]:
    """Sum and sum of squares of one-step changes, largest absolute observation, whether all are whole numbers."""
    seen = columns.observations  # (N + E, observation_dim)
    width = seen.shape[1]
    total, squares, largest = np.zeros(width), np.zeros(width), np.zeros(width)
    cells = True
    # Row i + 1 less row i is a change, but where row i is an episode's last.
    last = np.zeros(len(seen), bool)
    last[columns.offsets[1:] + np.arange(len(columns.tasks))] = True
    for first in range(0, len(seen), AT_ONCE):
        part = np.asarray(seen[first : first + AT_ONCE + 1], np.float64)
        change = np.diff(part, axis=0)[~last[first : first + len(part) - 1]]
        total += change.sum(axis=0)
        squares += (change**2).sum(axis=0)
        largest = np.maximum(largest, np.abs(part).max(axis=0))
        cells = cells and bool((part == np.rint(part)).all())
    return total, squares, largest, cells
