"""Boards of the track `prediction` as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from metabench.leaderboard.scores.tables import PredictionBoard

_BOARD = (
    "suite",
    "suite_version",
    "dataset",
    "dataset_version",
    "protocol",
    "preset",
    "split",
    "shots",
    "steps",
    "predicted",
    "control",
    "cells",
)
_STANDING = ("label", "method", "method_version", "first", "verdict", "inside_50", "inside_90")
_COLUMNS = (
    *("place", "rank_best", "rank_worst", *_STANDING, *_BOARD),
    *(
        "error",
        "error_low",
        "error_high",
        "seeds",
        "missing",
        "suite_digest",
        "dataset_digest",
        "id",
    ),
)


def format_predictions_as_csv(boards: Iterable[PredictionBoard]) -> str:
    """A line a method and board; the control's error is 1 in all of them."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for board in boards:
        for standing in board.standings:
            error, rank = standing.error, standing.rank or ("", "")
            interval = ("", "") if error is None or error.interval is None else error.interval
            cells = {name: getattr(board, name) for name in _BOARD}
            cells |= {name: getattr(standing, name) for name in _STANDING}
            writer.writerow(
                {
                    # `true`, not `True`, as in leaderboard.csv.
                    **{
                        name: str(cell).lower() if isinstance(cell, bool) else cell
                        for name, cell in cells.items()
                    },
                    "place": standing.place,
                    "rank_best": rank[0],
                    "rank_worst": rank[1],
                    "error": None if error is None else error.mean,
                    "error_low": interval[0],
                    "error_high": interval[1],
                    "seeds": " ".join(str(each.seed) for each in standing.seeds),
                    "missing": "; ".join(standing.missing),
                    "suite_digest": board.suite_digest,
                    "dataset_digest": board.dataset_digest,
                    "id": standing.entry,
                }
            )
    return text.getvalue()
