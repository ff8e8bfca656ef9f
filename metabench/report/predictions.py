"""What the track `prediction` found out about a run's world model: its errors beside the control's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.etree.ElementTree import Element

from metabench.evaluation.prediction.errors import (
    PREDICTED,
    compute_error,
    compute_share_inside,
)
from metabench.evaluation.prediction.sums import Predictions
from metabench.report.drawing.html import DASH, format_fixed, node, section, table
from metabench.system.wording import say_count

_NOTE = (
    "A world model by itself, nothing acts: the share that is left of a control’s error, which is 1. The control of "
    "observations says that nothing changes, that of rewards the mean reward of the training tasks; 0 is perfect. "
    "Inside 50 and 90 %: the share of outcomes in that central part of what was predicted."
)


def render_predictions(predictions: Sequence[Predictions] | None) -> Element | None:
    """A table a split: a line for observations and rewards and each number of shots, a column a number of steps ahead.

    Returns:
        None of a record without predictions.
    """
    if not predictions:
        return None
    return section(
        "predictions", "Predictions", *(_render_split(each) for each in predictions), note=_NOTE
    )


def _render_split(predictions: Predictions) -> Element:
    farthest = predictions.steps[-1]
    headings = [
        "predicted",
        "shots",
        *(f"{say_count(steps, 'step')}" for steps in predictions.steps),
    ]
    calibrated = predictions.calibration is not None
    if calibrated:
        headings += [f"inside {central} %, {say_count(farthest, 'step')}" for central in (50, 90)]
    return node(
        "div",
        {},
        node("h3", {}, f"{predictions.split}: {say_count(len(predictions.tasks), 'task')}"),
        table(headings, _list_rows(predictions, calibrated=calibrated)),
    )


def _list_rows(predictions: Predictions, *, calibrated: bool) -> Iterator[list[str]]:
    farthest = predictions.steps[-1]
    for what in PREDICTED:
        for shots in predictions.shots:
            errors = [compute_error(predictions, what, shots, steps) for steps in predictions.steps]
            row = [what, str(shots), *(_format(error, 2) for error in errors)]
            if calibrated:
                shares = (
                    compute_share_inside(predictions, what, shots, farthest, 50),
                    compute_share_inside(predictions, what, shots, farthest, 90),
                )
                row += [_format(None if each is None else 100 * each, 0) for each in shares]
            yield row


def _format(value: float | None, digits: int) -> str:
    return DASH if value is None else format_fixed(value, digits)
