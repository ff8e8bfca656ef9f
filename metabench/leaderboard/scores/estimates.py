"""Estimates as the leaderboard publishes them: rounded, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from metabench.evaluation import statistics
from metabench.evaluation.verdicts import Contrast
from metabench.leaderboard.scores.models import Bootstrap, Estimate, Profile
from metabench.seeding import derive_seed

BOOTSTRAP_REPLICATIONS = 2_000
PROFILE_THRESHOLDS = tuple(float(threshold) for threshold in range(-20, 125, 5))
"""Normalised scores at which performance profiles are given."""

LEAST_HEADROOM = 10.0
"""Points between the best blind policy and the expert below which adaptation is not told: it would be noise divided."""

_DIGITS = 6
_BOOTSTRAPPED: Mapping[str, statistics.Statistic] = {
    "iqm": statistics.matrix_interquartile_mean,
    "mean": statistics.matrix_mean,
    "median": statistics.matrix_median,
    "optimality_gap": statistics.optimality_gap,
}


def estimate_mean(values: Sequence[float | None]) -> Estimate | None:
    """Mean and interval of `(seeds,)` values; None if there are none or one of them is None."""
    told = [value for value in values if value is not None]
    if not told or len(told) < len(values):
        return None
    interval = statistics.t_interval(told)
    return Estimate(
        mean=round_score(float(np.mean(told))), interval=interval and round_interval(interval)
    )


def estimate_adaptation(headlines: Sequence[float], headroom: float | None) -> Estimate | None:
    """What of a split's `headroom` `(seeds,)` headlines make use of, in per cent; None where that says little.

    Args:
        headlines: means over tasks.
        headroom: 100 less the score of the best policy that knows neither task nor past; None where it is unknown.
    """
    if headroom is None or headroom < LEAST_HEADROOM:
        return None
    blind = 100.0 - headroom
    return estimate_mean([100.0 * (headline - blind) / headroom for headline in headlines])


def round_score(value: float) -> float:
    """`value` to six decimals: what differs between machines in the last bits is equal here."""
    return round(value, _DIGITS) + 0.0  # makes 0.0 of -0.0, which JSON would write with its sign


def round_interval(interval: statistics.Interval) -> tuple[float, float]:
    """`interval` to six decimals."""
    return round_score(interval.low), round_score(interval.high)


def round_contrast(contrast: Contrast | None) -> tuple[float, float] | None:
    """The interval of a difference over seeds and tasks, to six decimals."""
    return None if contrast is None else round_interval(contrast.find_interval())


def bootstrap_statistics(matrix: statistics.Floats, purpose: str) -> Bootstrap:
    """The statistics that rliable defines, of `(seeds, tasks)` scores; `purpose` seeds the resampling."""
    # One stream for all four, in the order of `_BOOTSTRAPPED`: another order would change published intervals.
    generator = np.random.default_rng(derive_seed("bootstrap", purpose))
    found = {}
    for name, statistic in _BOOTSTRAPPED.items():
        interval = None
        if len(matrix) > 1:
            bounds = statistics.stratified_bootstrap(
                matrix, statistic, generator, BOOTSTRAP_REPLICATIONS
            )
            interval = round_interval(bounds)
        found[name] = Estimate(mean=round_score(float(statistic(matrix))), interval=interval)
    return Bootstrap(**found, replications=BOOTSTRAP_REPLICATIONS)


def compute_profile(matrix: statistics.Floats) -> Profile:
    """The performance profile that rliable defines, of `(seeds, tasks)` scores, with its band."""

    def round_all(values: statistics.Floats) -> tuple[float, ...]:
        return tuple(round_score(value) for value in values.tolist())

    shares = statistics.performance_profile(matrix, PROFILE_THRESHOLDS)
    low = high = None
    if len(matrix) > 1:
        low, high = map(round_all, statistics.find_profile_band(matrix, PROFILE_THRESHOLDS))
    return Profile(thresholds=PROFILE_THRESHOLDS, shares=round_all(shares), low=low, high=high)
