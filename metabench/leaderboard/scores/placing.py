"""Places and ranks: what the verdicts of all pairs of a table's methods leave possible."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from metabench.evaluation.statistics import Floats
from metabench.evaluation.verdicts import (
    Contrast,
    MethodSummary,
    find_rank_ranges,
    is_first,
    summarise_method,
)
from metabench.leaderboard.scores.models import LeaderboardEntry

Summary = TypeVar("Summary")


@dataclass(frozen=True)
class Placing:
    """What is said of one method beside its place.

    Attributes:
        rank: best and worst possible rank; None where it has too few seeds or tasks for any verdict.
        first: whether it is better than each other method, with Holm's correction.
        to_leader: its difference to the first place; None for that one, and where nothing can be told.
    """

    rank: tuple[int, int] | None
    first: bool
    to_leader: Contrast | None


def summarise_entry(entry: LeaderboardEntry) -> MethodSummary | None:
    """What comparisons need of `entry`: its scores by seed and unit."""
    units = [task.unit for task in entry.tasks]
    scores = np.array([seed.task_scores for seed in entry.seeds])  # (seeds, tasks)
    return summarise_method(average_units(scores, units))


def average_units(scores: ArrayLike, units: Sequence[str | None]) -> Floats:
    """Means over the tasks of each unit: `(seeds, tasks)` to `(seeds, units)`; None is a unit of its own."""
    matrix = np.asarray(scores, np.float64)
    columns: dict[str | int, list[int]] = {}
    for place, unit in enumerate(units):
        columns.setdefault(place if unit is None else unit, []).append(place)
    return np.stack([matrix[:, places].mean(axis=1) for places in columns.values()], axis=1)


def place_methods(
    summaries: Sequence[Summary], contrast: Callable[[Summary, Summary], Contrast | None]
) -> list[Placing]:
    """Compare all pairs.

    Args:
        summaries: of the methods that have a place, best first.
        contrast: the difference of two of them.
    """
    count = len(summaries)
    found: dict[tuple[int, int], Contrast | None] = {
        (i, j): contrast(summaries[i], summaries[j]) for i in range(count) for j in range(i)
    }  # of the worse mean, i, less the better one, j
    better = np.zeros((count, count), bool)
    for (i, j), each in found.items():
        verdict = each and each.verdict
        better[i, j], better[j, i] = verdict == "better", verdict == "worse"
    ranges = find_rank_ranges(better)
    # A difference has its sign turned: the leader against each other one.
    rivals = [found[i, 0] for i in range(1, count)]
    first = is_first([each and each.reverse() for each in rivals])
    return [
        Placing(
            rank=ranges[i] if _may_be_judged(summaries[i], contrast) else None,
            first=first and i == 0,
            to_leader=found[i, 0] if i > 0 else None,
        )
        for i in range(count)
    ]


def _may_be_judged(
    summary: Summary, contrast: Callable[[Summary, Summary], Contrast | None]
) -> bool:
    """Whether the method has seeds and tasks enough: asked of its difference to itself."""
    own = contrast(summary, summary)
    return own is not None and own.may_be_judged
