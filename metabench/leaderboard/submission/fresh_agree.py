"""Whether a policy scores alike in the published tasks and in tasks that it cannot know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from metabench.evaluation.rows import Row
from metabench.evaluation.scores import score_rows
from metabench.evaluation.statistics import CONFIDENCE, t_interval
from metabench.leaderboard.submission.fresh_tasks import FreshSuite
from metabench.leaderboard.submission.rows_agree import Verdict, prediction_interval
from metabench.suites import Suite

PAIRED_SHARE, FRESH_SHARE = 0.2, 0.6
"""Of the false alarms allowed to a block, in each paired comparison and in the unpaired one, which needs them most."""

NEGLIGIBLE_GAIN = 1.0
"""Points more in the published tasks that need no explanation, however small the spread."""


class FreshScores(NamedTuple):
    """Scores of one block, a task each.

    Attributes:
        published: of the record, `(tasks,)`.
        again: of the same tasks under other seeds in other company, `(tasks,)`.
        moved: of the tasks that have a moved copy, `(copies, 2)`: published, and in the copy.
        fresh: of the fresh tasks, `(fresh,)`.
    """

    published: Sequence[float]
    again: Sequence[float]
    moved: Sequence[tuple[float, float]]
    fresh: Sequence[float]


def collect_fresh_scores(
    published: Sequence[Row], suite: Suite, measured: Sequence[Row], fresh: FreshSuite, split: str
) -> FreshScores:
    """The scores of a record's block and of the same block measured in `fresh`.

    Args:
        published: the record's rows.
        suite: their suite.
        measured: the rows in `fresh`.
        fresh: made of `suite`.
        split: of both.
    """
    theirs, ours = _score_tasks(published, suite), _score_tasks(measured, fresh.suite)
    again = {task: there for task, there in fresh.published[split].items() if task in theirs}
    moved = {task: copy for task, copy in fresh.moved[split].items() if task in theirs}
    return FreshScores(
        [theirs[task] for task in again],
        [ours[there] for there in again.values()],
        [(theirs[task], ours[copy]) for task, copy in moved.items()],
        [ours[task] for task in fresh.fresh[split]],
    )


def compare_with_fresh(subject: str, scores: FreshScores, blocks: int) -> Iterator[Verdict]:
    """Whether the published score is more than tasks that a policy cannot know let expect: up to three comparisons.

    The task is the unit, and only more is a fault: who scores worse in published tasks has no use of knowing them. The
    same tasks and moved copies are compared task by task, which finds a policy that knows the evaluation or its tasks;
    fresh ones by where the mean of as many tasks as were published lies, which finds one that goes to the nearest task
    it knows.

    Args:
        subject: what is compared.
        scores: of one block.
        blocks: how many are compared; all verdicts hold together with `CONFIDENCE`.
    """
    allowed = (1.0 - CONFIDENCE) / max(blocks, 1)
    pairs = {
        "the same tasks in other company": list(zip(scores.published, scores.again, strict=True)),
        "tasks moved a little": scores.moved,
    }
    for what, pair in pairs.items():
        if pair:
            theirs, ours = np.array(pair, np.float64).T
            interval = t_interval(theirs - ours, _two_sided(PAIRED_SHARE * allowed))
            if interval is not None:  # there is more than one task
                half = (interval.high - interval.low) / 2
                yield _judge(f"{subject}, {what}", float(theirs.mean()), float(ours.mean()), half)
    expected = prediction_interval(
        scores.fresh, len(scores.published), _two_sided(FRESH_SHARE * allowed)
    )
    yield _judge(
        f"{subject}, {len(scores.fresh)} fresh tasks",
        float(np.mean(scores.published)),
        float(np.mean(scores.fresh)),
        (expected.high - expected.low) / 2,
    )


def _two_sided(level: float) -> float:
    """The confidence of an interval that so small a share lies above, as much as below."""
    return 1.0 - 2.0 * level


def _judge(subject: str, published: float, found: float, half: float) -> Verdict:
    allowed = max(half, NEGLIGIBLE_GAIN)
    agrees = published - found <= allowed
    words = "no more than" if agrees else "more than"
    return Verdict(
        subject,
        agrees,
        f"published {published:.1f}, {words} {allowed:.1f} above {found:.1f}",
    )


def _score_tasks(rows: Sequence[Row], suite: Suite) -> Mapping[int, float]:
    scores = score_rows(rows, suite)
    return dict(zip(scores.tasks, scores.task_scores, strict=True))
