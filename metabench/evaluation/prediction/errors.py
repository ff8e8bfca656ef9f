"""Errors from sums: the share of the control's error that a world model leaves."""

from __future__ import annotations

import itertools
import math
from typing import Literal, TypeAlias

import numpy as np

from metabench.envs import Array
from metabench.evaluation.prediction.sums import ErrorSums, Predictions

Predicted: TypeAlias = Literal["observations", "rewards"]
"""What an error is of."""

PREDICTED: tuple[Predicted, ...] = ("observations", "rewards")

LEAST_ERROR, LARGEST_ERROR = 1e-3, 1e3
"""Errors are clipped to these before their logarithm is taken: one task that is hit exactly decides no mean."""


def compute_error(
    predictions: Predictions, what: Predicted, shots: int, steps: int
) -> float | None:
    """The error over all tasks, behaviours and prefixes: 0 is perfect, 1 equals the control's.

    The square root of the ratio of summed squared errors; for cells, the ratio of the numbers of wrong cells.

    Returns:
        None if there is no such pair, or if the control makes no error.
    """
    sums = _select(predictions.by_task, predictions, what, shots, steps)
    (error,) = _divide(sums.sum(axis=1, keepdims=True), predictions, what)
    return error


def compute_task_errors(
    predictions: Predictions, what: Predicted, shots: int, steps: int
) -> tuple[float | None, ...]:
    """The same of each of `predictions.tasks`."""
    return _divide(_select(predictions.by_task, predictions, what, shots, steps), predictions, what)


def compute_condition_errors(
    predictions: Predictions, what: Predicted, shots: int, steps: int
) -> dict[tuple[str, int], float | None]:
    """The same over tasks, by behaviour and prefix."""
    found = _divide(
        _select(predictions.by_condition, predictions, what, shots, steps), predictions, what
    )
    conditions = itertools.product(predictions.behaviours, predictions.prefixes)
    return dict(zip(conditions, found, strict=True))


def compute_share_inside(
    predictions: Predictions, what: Predicted, shots: int, steps: int, central: Literal[50, 90]
) -> float | None:
    """The share of outcomes in the central `central` per cent of what was predicted; None without deviations."""
    calibration = predictions.calibration
    rows = None if calibration is None else getattr(calibration, f"{what}_{central}")
    if rows is None:
        return None
    every = slice(predictions.steps.index(steps), None, len(predictions.steps))
    shares = np.array(rows[predictions.shots.index(shots)])[every]
    pairs = np.array(predictions.by_condition.pairs)[every]
    return float((shares * pairs).sum() / pairs.sum()) if pairs.any() else None


def score_error(error: float) -> float:
    """What verdicts compare: minus the logarithm of the clipped error, higher is better."""
    return -float(np.log(np.clip(error, LEAST_ERROR, LARGEST_ERROR)))


def _select(
    sums: ErrorSums, predictions: Predictions, what: Predicted, shots: int, steps: int
) -> Array:
    """`(2, places)` sums of the policy and of the control at these `steps`."""
    row = getattr(sums, what)[predictions.shots.index(shots)]
    control = getattr(sums, f"control_{what}")
    return np.array([row, control])[:, predictions.steps.index(steps) :: len(predictions.steps)]


def _divide(sums: Array, predictions: Predictions, what: Predicted) -> tuple[float | None, ...]:
    wrong = predictions.cells and what == "observations"
    ratios = [own / control if control > 0 else None for own, control in sums.T.tolist()]
    return tuple(
        None if ratio is None else ratio if wrong else math.sqrt(ratio) for ratio in ratios
    )
