"""Returns of trainings, one a seed, and what they say of the method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


class Returns:
    """Mean returns by key, one a seed: what a stopped run goes on with."""

    def __init__(self) -> None:
        """Start with none."""
        self.values: dict[str, list[float]] = {}

    def add(self, key: str, value: float) -> None:
        """Keep another seed's."""
        self.values.setdefault(key, []).append(value)

    def state_dict(self) -> dict[str, Any]:
        """The returns."""
        return {"values": self.values}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Put them back."""
        self.values = {key: list(values) for key, values in state_dict["values"].items()}


def compute_interval(values: Sequence[float]) -> tuple[float, float] | tuple[None, None]:
    """Student's 95 % interval of the mean over seeds; none of one seed."""
    from scipy import stats

    if len(values) < 2 or np.ptp(values) == 0.0:
        return None, None
    low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    return float(low), float(high)


def compare_means(
    values: Sequence[float], others: Sequence[float]
) -> tuple[float, float | None, float | None]:
    """Mean of `values` less that of `others`, and Welch's 95 % interval over seeds; none of one seed."""
    from scipy import stats

    difference = float(np.mean(values) - np.mean(others))
    if min(len(values), len(others)) < 2 or np.ptp(values) == np.ptp(others) == 0.0:
        return difference, None, None
    interval = stats.ttest_ind(values, others, equal_var=False).confidence_interval(0.95)
    return difference, float(interval.low), float(interval.high)
