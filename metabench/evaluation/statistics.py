"""Statistics of scores: intervals over seeds, and rliable's aggregates.

Aggregates over a matrix of run x task scores follow the definitions of rliable (Agarwal et al., NeurIPS 2021). What two
methods' scores allow to say is in `verdicts`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Any]
"""Maps scores `(..., runs, tasks)` to one number for each leading index, `(...)`."""

CONFIDENCE = 0.95
_BOOTSTRAP_CHUNK = 4_000_000
"""Scores that the bootstrap resamples at once, which bounds its memory."""


class Interval(NamedTuple):
    """A confidence interval, in the unit of what it is about."""

    low: float
    high: float


def matrix_interquartile_mean(scores: Floats) -> Floats:
    """Interquartile mean over all run x task scores: `(..., runs, tasks)` to `(...)`."""
    return _trimmed_mean(scores.reshape(*scores.shape[:-2], -1))


def matrix_mean(scores: Floats) -> Floats:
    """Mean over tasks of the mean over runs: `(..., runs, tasks)` to `(...)`."""
    return np.asarray(scores.mean(axis=(-2, -1)))


def matrix_median(scores: Floats) -> Floats:
    """Median over tasks of the mean over runs: `(..., runs, tasks)` to `(...)`."""
    return np.asarray(np.median(scores.mean(axis=-2), axis=-1))


def optimality_gap(scores: Floats, target: float = 100.0) -> Floats:
    """How far scores stay below `target` on average, what exceeds it not counted: `(..., runs, tasks)` to `(...)`."""
    return np.asarray(target - np.minimum(scores, target).mean(axis=(-2, -1)))


def performance_profile(scores: ArrayLike, thresholds: ArrayLike) -> Floats:
    """Share of scores strictly above each threshold: scores of any shape and `(t,)` thresholds to `(t,)`."""
    ascending = np.sort(np.asarray(scores, np.float64).reshape(-1))
    above = len(ascending) - np.searchsorted(
        ascending, np.asarray(thresholds, np.float64), side="right"
    )
    return np.asarray(above / len(ascending))


def find_profile_band(
    scores: ArrayLike, thresholds: Sequence[float], confidence: float = CONFIDENCE
) -> tuple[Floats, Floats]:
    """Percentile intervals of the performance profile under rliable's stratified bootstrap, without resampling.

    Of n runs of a task, k of them above a threshold, resampling draws a binomial number of n and k / n. The share's
    distribution is that of a sum of these over tasks, computed here exactly by its characteristic function.

    Args:
        scores: `(runs, tasks)`.
        thresholds: `(thresholds,)`.
        confidence: share of the distribution that an interval holds.

    Returns:
        Lower and upper ends, `(thresholds,)` each.
    """
    matrix = _as_matrix(scores)
    runs, tasks = matrix.shape
    limits = np.asarray(thresholds, np.float64)
    above = (matrix[:, :, None] > limits).mean(axis=0)  # (tasks, thresholds)
    size = runs * tasks + 1
    turns = np.exp(-2j * np.pi * np.arange(size) / size)  # (size,)
    factors = 1.0 - above[..., None] + above[..., None] * turns  # (tasks, thresholds, size)
    chances = np.fft.ifft((factors**runs).prod(axis=0), axis=-1).real  # (thresholds, size)
    total = chances.cumsum(axis=-1)
    # Half a rounding error of the transform below a bound counts as having reached it.
    ends = [
        (total < bound - 1e-9).sum(axis=-1) / (runs * tasks)
        for bound in (0.5 - confidence / 2, 0.5 + confidence / 2)
    ]
    return ends[0], ends[1]


def probability_of_improvement(first: ArrayLike, second: ArrayLike) -> float:
    """Mean over tasks of the share of run pairs in which `first` is higher, ties counted half.

    Args:
        first: scores `(runs, tasks)`; `(runs,)` is taken as one task.
        second: scores `(other_runs, tasks)` or `(other_runs,)`.
    """
    x, y = (_as_matrix(scores) for scores in (first, second))
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"{x.shape[1]} and {y.shape[1]} tasks: expected the same number of both")
    return float(_improvement(x, y))


def t_interval(scores: ArrayLike, confidence: float = CONFIDENCE) -> Interval | None:
    """Student's t interval of the mean of `(seeds,)` scores; None for fewer than two."""
    return weighted_sum_interval([scores], [1.0], confidence)


def welch_interval(
    first: ArrayLike, second: ArrayLike, confidence: float = CONFIDENCE
) -> Interval | None:
    """Welch's interval of mean(first) - mean(second), scores `(seeds,)` each; None with fewer than two of either."""
    return weighted_sum_interval([first, second], [1.0, -1.0], confidence)


def weighted_sum_interval(
    samples: Sequence[ArrayLike], weights: Sequence[float], confidence: float = CONFIDENCE
) -> Interval | None:
    """Interval of a weighted sum of the means of independent samples, degrees of freedom by Welch and Satterthwaite.

    Args:
        samples: k arrays of scores, `(seeds_i,)` each.
        weights: k numbers.
        confidence: probability with which such intervals cover the true value.

    Returns:
        The interval, of width zero where no sample varies; None if a sample has fewer than two scores.
    """
    from scipy.special import stdtrit

    arrays = [np.asarray(sample, np.float64).reshape(-1) for sample in samples]
    if any(len(array) < 2 for array in arrays):
        return None
    centre = sum(
        weight * float(array.mean()) for weight, array in zip(weights, arrays, strict=True)
    )
    parts = [
        weight**2 * float(array.var(ddof=1)) / len(array)
        for weight, array in zip(weights, arrays, strict=True)
    ]
    variance = sum(parts)
    if variance == 0.0:  # the degrees of freedom below would be 0 / 0
        return Interval(centre, centre)
    # Welch and Satterthwaite, written in shares of the variance so that nothing is squared but numbers up to 1.
    shares = [part / variance for part in parts]
    freedom = 1.0 / sum(
        share**2 / (len(array) - 1) for share, array in zip(shares, arrays, strict=True)
    )
    half = float(stdtrit(freedom, 0.5 + confidence / 2)) * math.sqrt(variance)
    return Interval(centre - half, centre + half)


def stratified_bootstrap(
    scores: ArrayLike,
    statistic: Statistic,
    generator: np.random.Generator,
    replications: int = 50_000,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Percentile interval as rliable defines it: runs are resampled with replacement, for each task independently.

    Args:
        scores: `(runs, tasks)`.
        statistic: maps `(..., runs, tasks)` to `(...)`.
        generator: the only randomness.
        replications: how often the scores are resampled.
        confidence: share of replications that the interval holds.
    """
    matrix = _as_matrix(scores)
    runs, tasks = matrix.shape
    size = max(1, _BOOTSTRAP_CHUNK // matrix.size)
    values = np.empty(replications)
    for start in range(0, replications, size):
        count = min(size, replications - start)
        chosen = generator.integers(runs, size=(count, runs, tasks))
        # `arange` pairs each column of draws with its own task: runs are never mixed across tasks.
        values[start : start + count] = statistic(
            matrix[chosen, np.arange(tasks)]
        )  # (count,) of (count, runs, tasks)
    low, high = np.quantile(values, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return Interval(float(low), float(high))


def bootstrap_improvement(
    first: ArrayLike,
    second: ArrayLike,
    generator: np.random.Generator,
    replications: int = 50_000,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Percentile interval of `probability_of_improvement`, as rliable defines it: each method is resampled by itself.

    Args:
        first: scores `(runs, tasks)`.
        second: scores `(other_runs, tasks)`.
        generator: the only randomness.
        replications: how often the scores are resampled.
        confidence: share of replications that the interval holds.
    """
    matrices = _as_matrix(first), _as_matrix(second)
    tasks = np.arange(matrices[0].shape[1])
    size = max(1, _BOOTSTRAP_CHUNK // (len(matrices[0]) * len(matrices[1]) * len(tasks)))
    values = np.empty(replications)
    for start in range(0, replications, size):
        count = min(size, replications - start)
        # The methods draw in turn, piece by piece: with pieces of another size the numbers drawn are others.
        resampled = [
            matrix[generator.integers(len(matrix), size=(count, *matrix.shape)), tasks]
            for matrix in matrices
        ]  # of each method (count, its runs, tasks)
        values[start : start + count] = _improvement(*resampled)
    low, high = np.quantile(values, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return Interval(float(low), float(high))


def _improvement(x: Floats, y: Floats) -> Floats:
    """Mean over tasks of the share of pairs that x wins: `(..., runs, tasks)` and its like to `(...)`."""
    mine, others = (
        x[..., :, None, :],
        y[..., None, :, :],
    )  # (..., runs, 1, tasks) and (..., 1, other_runs, tasks)
    shares = np.where(mine == others, 0.5, mine > others)
    return np.asarray(shares.mean(axis=(-3, -2, -1)))


def _trimmed_mean(scores: Floats) -> Floats:
    """Mean along the last axis without floor(n/4) scores at each end."""
    count = scores.shape[-1]
    cut = count // 4
    return np.asarray(np.sort(scores, axis=-1)[..., cut : count - cut].mean(axis=-1))


def _as_matrix(scores: ArrayLike) -> Floats:
    array = np.asarray(scores, np.float64)
    return array[:, None] if array.ndim == 1 else array
