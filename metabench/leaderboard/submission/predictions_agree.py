"""Whether sums of errors that were measured again agree with published ones: equal, or within a tolerance, and why."""

from __future__ import annotations

from collections.abc import Sequence

from metabench.errors import DependentLanesError
from metabench.evaluation.evaluate import Progress
from metabench.evaluation.prediction.errors import PREDICTED, compute_error
from metabench.evaluation.prediction.sums import Predictions
from metabench.leaderboard.submission.rows_agree import Verdict
from metabench.runs.again.evaluate_record import RecordedPolicy, predict_recorded
from metabench.suites import Suite

TOLERANCE = 0.02
"""Share of an error by which arithmetic of another machine may change it; fifteen steps on, last bits have grown."""

NEGLIGIBLE = 0.005
"""A difference of errors, in those of the control, that needs no explanation: a share of one near 0 is nothing."""


def compare_recorded_predictions(
    policy: RecordedPolicy,
    suite: Suite,
    changes: Sequence[str],
    *,
    retrained: bool = False,
    progress: Progress | None = None,
) -> list[Verdict]:
    """Let the policy of a record predict again, and compare; nothing where the record has no predictions.

    Nor where it was trained again elsewhere: what another training's errors may be, no published seed tells.

    Args:
        policy: the policy.
        suite: the record's suite.
        changes: what is not as it was when the record was made; without any, all sums must be equal.
        retrained: the policy was trained again.
        progress: told (stage, done, total).
    """
    published = policy.record.result.predictions or ()
    if not published or (retrained and changes):
        return []
    splits = [each.split for each in published]
    try:
        measured = predict_recorded(policy, suite, splits, progress=progress)
    except DependentLanesError as error:
        return [Verdict("lanes", False, str(error))]
    return [
        compare_predictions(theirs, ours.predictions, exactly=not changes)
        for theirs, ours in zip(published, measured, strict=True)
    ]


def compare_predictions(
    published: Predictions, measured: Predictions | None, *, exactly: bool
) -> Verdict:
    """Whether all sums are equal, or all errors are alike."""
    subject = f"{published.split} prediction"
    if measured is None:
        return Verdict(subject, False, "the policy predicts nothing")
    if measured == published:
        return Verdict(subject, True, f"sums of {sum(published.by_task.pairs)} pairs equal")
    keys = ("shots", "tasks", "behaviours", "prefixes", "steps", "trajectories", "cells")
    other = [key for key in keys if getattr(published, key) != getattr(measured, key)]
    if other:
        return Verdict(subject, False, f"other {', '.join(other)} than measured")
    widest, where = 0.0, ""
    for what in PREDICTED:
        for shots in published.shots:
            for steps in published.steps:
                theirs, ours = (
                    compute_error(each, what, shots, steps) for each in (published, measured)
                )
                if theirs is None or ours is None:
                    if theirs != ours:
                        return Verdict(subject, False, f"{what}: an error is missing")
                    continue
                beyond = abs(ours - theirs) / (NEGLIGIBLE + TOLERANCE * theirs)
                if beyond >= widest:
                    widest = beyond
                    where = f"{what} {steps} steps ahead with {shots} shots: {theirs:.4f}, measured {ours:.4f}"
    if exactly:
        return Verdict(subject, False, f"sums differ, most of all {where}")
    rule = f"no more than {NEGLIGIBLE:g} and {TOLERANCE:.0%}" if widest <= 1.0 else "too much"
    return Verdict(subject, widest <= 1.0, f"largest difference of errors {where}: {rule}")
