"""From rows to scores: one score for each seed, split, track and number of shots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metabench.errors import DataError
from metabench.evaluation.rows import Block, Row
from metabench.evaluation.statistics import Floats
from metabench.suites import Suite
from metabench.suites.headroom import HIGHEST_SCORE, LOWEST_SCORE


@dataclass(frozen=True)
class Score:
    """The scores of one seed's episodes in one block.

    Attributes:
        tasks: ids of the tasks, ascending.
        task_scores: of each of `tasks` the mean over its episodes of the suite's score, 0 random and 100 expert,
            clipped to -100 and 200.
        clipped: how many of `task_scores` were clipped.
        normalised_return: mean over tasks of the normalised return, clipped in the same way; the headline if the
            suite's score is the return.
        mean_return: mean undiscounted return of all episodes.
        success_any: share of episodes with success at any step; None where the suite has no success.
        success_last: share of episodes with success at the last step; None likewise.
    """

    tasks: tuple[int, ...]
    task_scores: tuple[float, ...]
    clipped: int
    normalised_return: float
    mean_return: float
    success_any: float | None
    success_last: float | None

    @property
    def headline(self) -> float:
        """The number that decides ranks: the mean over tasks."""
        return float(np.mean(self.task_scores))


def score_rows(rows: Sequence[Row], suite: Suite) -> Score:
    """Score one seed's rows with the references of `suite`.

    Args:
        rows: the episodes of one block, in any order.
        suite: defines the score, and its references define 0 and 100.

    Raises:
        DataError: there are no rows, a row's task is not in the suite, only some rows have success, or none have and
            the suite's score is success.
    """
    if not rows:
        raise DataError(f"suite {suite.name}: no episodes to score")
    tasks = np.array([row.task for row in rows])
    unknown = tasks[(tasks < 0) | (tasks >= len(suite.tasks))]
    if len(unknown):
        raise DataError(
            f"suite {suite.name}: task {unknown.min()} is unknown; expected 0 to {len(suite.tasks) - 1}"
        )
    identifiers, places = np.unique(tasks, return_inverse=True)

    def average_by_task(values: Sequence[float]) -> Floats:
        """Means over each task's episodes: `(episodes,)` to `(tasks,)`."""
        return np.asarray(np.bincount(places, weights=values) / np.bincount(places))

    returns = [row.total_return for row in rows]
    success_any = _list_told([row.success_any for row in rows], suite)
    success_last = _list_told([row.success_last for row in rows], suite)
    normalised = average_by_task(suite.normalised(tasks.tolist(), returns))  # (tasks,)
    scores = normalised
    if suite.entry.headline == "success":
        counted = success_last if suite.entry.success == "last" else success_any
        if counted is None:
            raise DataError(f"suite {suite.name}: its score is success, but the rows tell none")
        scores = average_by_task(suite.score_success(tasks.tolist(), counted))
    clipped = np.clip(scores, LOWEST_SCORE, HIGHEST_SCORE)
    return Score(
        tasks=tuple(identifiers.tolist()),
        task_scores=tuple(clipped.tolist()),
        clipped=int(np.count_nonzero(clipped != scores)),
        normalised_return=float(np.clip(normalised, LOWEST_SCORE, HIGHEST_SCORE).mean()),
        mean_return=float(np.mean(returns)),
        success_any=None if success_any is None else float(np.mean(success_any)),
        success_last=None if success_last is None else float(np.mean(success_last)),
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


def _list_told(values: Sequence[bool | None], suite: Suite) -> list[bool] | None:
    """All of `values`, or None where no row tells its success."""
    told = [value for value in values if value is not None]
    if not told:
        return None
    if len(told) < len(values):
        raise DataError(
            f"suite {suite.name}: {len(values) - len(told)} of {len(values)} rows tell no success"
        )
    return told
