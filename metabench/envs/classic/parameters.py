"""What the classic families share of their parameters: a check of plain numbers, and one array a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from metabench.envs.batched import TaskParameters
from metabench.envs.spaces import Array


def check_numbers(
    parameters: TaskParameters, ranges: Mapping[str, tuple[float, float]], whole: bool = False
) -> None:
    """Refuse parameters that are not exactly one number in each range, ends included.

    Args:
        parameters: what a task says.
        ranges: smallest and largest value by name.
        whole: only whole numbers will do.

    Raises:
        ValueError: one line that names what is wrong.
    """
    if set(parameters) != set(ranges):
        raise ValueError(f"expected exactly {', '.join(map(repr, ranges))}")
    kinds, wanted = ((int,), "whole number") if whole else ((int, float), "number")
    for name, (low, high) in ranges.items():
        value = parameters[name]
        if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
            raise ValueError(f"{name} must be a {wanted} from {low:g} to {high:g}, not {value!r}")


def columns(tasks: Sequence[TaskParameters], *names: str) -> tuple[Array, ...]:
    """One `(lanes,)` float64 array a name."""
    return tuple(np.array([task[name] for task in tasks], np.float64) for name in names)
