"""Whether rows measured again agree with published ones: equal to the last bit, or within an interval, and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from metabench.evaluation.rows import Row
from metabench.evaluation.scores import score_rows
from metabench.evaluation.statistics import CONFIDENCE, Interval, t_interval
from metabench.runs.kept.provenance import device_words, host_words, package_versions
from metabench.runs.kept.record import Record
from metabench.suites import Suite

NEGLIGIBLE = 0.1
"""A mean difference of normalised scores (0 to 100) that needs no explanation: arithmetic of another machine."""

SEEDS_FOR_AN_INTERVAL = 3
"""Published seeds from which it can be told whether another training's score is one of theirs."""

WIDEST = 200.0
"""An interval of scores that is wider tells nothing: random actions have 0 and the expert 100."""


@dataclass(frozen=True)
class Verdict:
    """What one comparison found.

    Attributes:
        subject: what was compared: `test few-shot (3 shots)`.
        agrees: None where it cannot be told.
        text: the numbers, in one line.
    """

    subject: str
    agrees: bool | None
    text: str


def list_changed_circumstances(
    record: Record, *, device: str | None = None, dataset_digest: str | None = None
) -> tuple[str, ...]:
    """What is not as it was when `record` was made, so that its rows need not come out equal; a short text each.

    Args:
        record: the record; its number of threads is used here as well.
        device: where the policy was trained again; None if it was not.
        dataset_digest: the data that it was trained on again.
    """
    then = record.provenance
    here = host_words()
    found = [] if then.host == here else [f"the machine is {here}, not {then.host}"]
    now = package_versions()
    found += [
        f"{name} is {now.get(name, 'missing')}, not {then.packages.get(name, 'missing')}"
        for name in sorted(then.packages.keys() | now.keys())
        if then.packages.get(name) != now.get(name)
    ]
    if device is not None and device_words(device) != then.device:
        found.append(f"the device is {device_words(device)}, not {then.device}")
    if dataset_digest is not None and dataset_digest != record.result.cell.dataset_digest:
        found.append(
            f"the data has digest {dataset_digest:.15}..., not {record.result.cell.dataset_digest:.15}..."
        )
    return tuple(found)


def compare_exactly(subject: str, published: Sequence[Row], measured: Sequence[Row]) -> Verdict:
    """Whether all rows are equal, whatever their order."""
    theirs, ours = sorted(published, key=_identify_row), sorted(measured, key=_identify_row)
    if theirs == ours:
        return Verdict(subject, True, f"{len(ours)} rows equal")
    if [_identify_row(row) for row in theirs] != [_identify_row(row) for row in ours]:
        return _report_other_episodes(subject, published, measured)
    pairs = [(one, other) for one, other in zip(theirs, ours, strict=True) if one != other]
    one, other = pairs[0]
    what = f"{one.total_return!r}, measured {other.total_return!r}"
    if (
        one.total_return == other.total_return
    ):  # the difference is in what follows task, support and episode
        what = f"{tuple(one[3:])}, measured {tuple(other[3:])}"
    return Verdict(
        subject,
        False,
        f"{len(pairs)} of {len(ours)} rows differ, first in task {one.task}, episode {one.support}/{one.episode}: "
        f"published {what}",
    )


def compare_by_interval(
    subject: str, published: Sequence[Row], measured: Sequence[Row], suite: Suite, comparisons: int
) -> Verdict:
    """Whether the mean difference of normalised scores, episode by episode, may be zero.

    Episodes that share a support count as one: they are not independent.

    Args:
        subject: what is compared.
        published: the record's rows.
        measured: rows of the same episodes.
        suite: whose references normalise.
        comparisons: how many are made of the record; the interval holds for all together.
    """
    theirs, ours = sorted(published, key=_identify_row), sorted(measured, key=_identify_row)
    if [_identify_row(row) for row in theirs] != [_identify_row(row) for row in ours]:
        return _report_other_episodes(subject, published, measured)
    differences: dict[tuple[int, int], list[float]] = {}
    tasks = [row.task for row in ours]
    scores = [
        suite.normalised(tasks, [row.total_return for row in rows]) for rows in (theirs, ours)
    ]
    for row, one, other in zip(ours, *scores, strict=True):
        differences.setdefault((row.task, row.support), []).append(other - one)
    means = [float(np.mean(values)) for values in differences.values()]
    mean, interval = float(np.mean(means)), t_interval(means, joint_confidence(comparisons))
    text = f"mean difference {mean:+.2f}"
    if interval is not None:
        text += f" in [{interval.low:.2f}, {interval.high:.2f}]"
    if (
        abs(mean) <= NEGLIGIBLE
    ):  # first: an interval of almost no width excludes zero for the last bits alone
        return Verdict(subject, True, f"{text}, no more than {NEGLIGIBLE:g}")
    if interval is None:
        return Verdict(subject, None, f"{text}, of one support: too few to tell")
    agrees = interval.low <= 0.0 <= interval.high
    return Verdict(subject, agrees, f"{text}: {'may' if agrees else 'cannot'} be zero")


def compare_with_seeds(
    subject: str,
    published: Sequence[Sequence[Row]],
    measured: Sequence[Row],
    suite: Suite,
    comparisons: int,
) -> Verdict:
    """Whether another training's score fits the published seeds, and the record's the other seeds and that training.

    Both are asked: seeds that are all made up agree with each other, and one that is made up widens the interval that
    it is in.

    Args:
        subject: what is compared.
        published: the rows of each published seed of the same method; first those of the record that is verified.
        measured: the rows of the training that was repeated.
        suite: whose references normalise.
        comparisons: how many are made of the record; the intervals hold for all together.
    """
    score = score_rows(measured, suite).headline
    scores = [score_rows(rows, suite).headline for rows in published]
    text = f"score {score:.1f}, published {', '.join(f'{value:.1f}' for value in scores)}"
    if len(scores) < SEEDS_FOR_AN_INTERVAL:
        return Verdict(
            subject, None, f"{text}: {SEEDS_FOR_AN_INTERVAL} published seeds are needed to tell"
        )
    confidence = joint_confidence(2 * comparisons)
    expected = (
        ("the record", scores[0], prediction_interval([*scores[1:], score], 1, confidence)),
        ("trained again", score, prediction_interval(scores, 1, confidence)),
    )
    for what, value, interval in expected:
        if not interval.low - NEGLIGIBLE <= value <= interval.high + NEGLIGIBLE:
            return Verdict(subject, False, f"{text}: {what} outside {_format_limits(interval)}")
    widest = max((interval for _, _, interval in expected), key=lambda each: each.high - each.low)
    if widest.high - widest.low > WIDEST:
        return Verdict(subject, None, f"{text}: {_format_limits(widest)} is too wide to tell")
    return Verdict(subject, True, f"{text}: within {_format_limits(widest)}")


def _format_limits(interval: Interval) -> str:
    return f"[{interval.low:.1f}, {interval.high:.1f}]"


def prediction_interval(scores: ArrayLike, others: int, confidence: float = CONFIDENCE) -> Interval:
    """Where the mean of `others` further scores of the same law lies, by Student's t; at least two scores."""
    from scipy.special import stdtrit

    known = np.asarray(scores, np.float64).reshape(-1)
    # Two uncertainties add: that of the known mean, 1 / n, and that of the mean to come, 1 / others.
    deviation = float(known.std(ddof=1)) * math.sqrt(1 / len(known) + 1 / others)
    half = float(stdtrit(len(known) - 1, 0.5 + confidence / 2)) * deviation
    return Interval(float(known.mean()) - half, float(known.mean()) + half)


def joint_confidence(comparisons: int) -> float:
    """What each of several intervals must be sure of for all to hold together with `CONFIDENCE` (Bonferroni)."""
    return 1.0 - (1.0 - CONFIDENCE) / max(comparisons, 1)


def _identify_row(row: Row) -> tuple[int, int, int]:
    return row.task, row.support, row.episode


def _report_other_episodes(
    subject: str, published: Sequence[Row], measured: Sequence[Row]
) -> Verdict:
    return Verdict(
        subject, False, f"other episodes: {len(published)} published, {len(measured)} measured"
    )


def explain_rule(changes: Sequence[str], retrained: bool) -> str:
    """The rule that a record is compared by, given what differs here from where it was made."""
    what = "trained again" if retrained else "saved policy"
    if not changes:
        return (
            f"{what}: rows must be equal, as machine, threads and versions are those of the record"
        )
    if retrained:
        demand = "this score and the record's must be ones that the other seeds let expect"
    else:
        demand = "the mean difference must lie within its interval"
    return f"{what}: {demand}, as {'; '.join(changes)}"
