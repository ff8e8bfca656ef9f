"""From rows to scores: one score for each seed, split, track and number of shots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metabench.errors import DataError
from metabench.evaluation.rows import Block, Row
from metabench.evaluation.statistics import interquartile_mean
from metabench.suites import Suite


@dataclass(frozen=True)
class Score:
    """What one seed's episodes of one block amount to.

    Attributes:
        iqm: interquartile mean of the normalised scores of all tasks and episodes; 0 random, 100 the teacher's expert.
        mean: their mean.
        median: their median.
        mean_return: mean undiscounted return of all episodes.
        success_any: share of episodes with success at any step; None where the suite has no success.
        success_last: share of episodes with success at the last step; None likewise.
        tasks: ids of the tasks, ascending.
        task_scores: mean normalised score of each of `tasks`.
    """

    iqm: float
    mean: float
    median: float
    mean_return: float
    success_any: float | None
    success_last: float | None
    tasks: tuple[int, ...]
    task_scores: tuple[float, ...]

    def headline(self, metric: str) -> float:
        """The number a suite is ranked by: `normalised` is the IQM, `success` the percentage of any-step success.

        Raises:
            DataError: it is `success`, and the rows tell none.
        """
        if metric == "normalised":
            return self.iqm
        if self.success_any is None:
            raise DataError("the suite's headline is success, but its rows hold none")
        return 100.0 * self.success_any


def score_rows(rows: Sequence[Row], suite: Suite) -> Score:
    """Score one seed's rows with the references of `suite`.

    Args:
        rows: the episodes of one block, in any order.
        suite: whose references say what 0 and 100 are.

    Raises:
        DataError: there are no rows, a row's task is not one of the suite, or only some rows tell success.
    """
    if not rows:
        raise DataError(f"suite {suite.name}: no episodes to score")
    tasks = np.array([row.task for row in rows])
    unknown = tasks[(tasks < 0) | (tasks >= len(suite.tasks))]
    if len(unknown):
        raise DataError(
            f"suite {suite.name}: task {unknown.min()} is unknown; expected 0 to {len(suite.tasks) - 1}"
        )
    returns = np.array([row.total_return for row in rows], np.float64)
    normalised = np.array(suite.normalised(tasks.tolist(), returns.tolist()))  # (episodes,)
    identifiers, places, counts = np.unique(tasks, return_inverse=True, return_counts=True)
    return Score(
        iqm=interquartile_mean(normalised),
        mean=float(normalised.mean()),
        median=float(np.median(normalised)),
        mean_return=float(returns.mean()),
        success_any=_compute_share([row.success_any for row in rows], suite),
        success_last=_compute_share([row.success_last for row in rows], suite),
        tasks=tuple(identifiers.tolist()),
        task_scores=tuple((np.bincount(places, weights=normalised) / counts).tolist()),
    )


def score_block(block: Block, suite: Suite, suite_digest: str) -> Score:
    """Score one seed's block of a record that was made with the suite of `suite_digest`.

    Raises:
        DataError: that is not `suite`: its references would not fit; or the rows cannot be scored.
    """
    if suite_digest != suite.digest:
        raise DataError(
            f"the record's suite {suite.name} has digest {suite_digest:.15}, the suite here {suite.digest:.15}: "
            "scores of one cannot be normalised with the references of the other"
        )
    return score_rows(block.rows, suite)


def _compute_share(values: Sequence[bool | None], suite: Suite) -> float | None:
    told = [value for value in values if value is not None]
    if not told:
        return None
    if len(told) < len(values):
        raise DataError(
            f"suite {suite.name}: {len(values) - len(told)} of {len(values)} rows tell no success"
        )
    return float(np.mean(told))
