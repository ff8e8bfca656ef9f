"""What the page is told of world models: boards of the track `prediction`, ready for JSON."""

from __future__ import annotations

from typing import Any

from metabench.leaderboard.scores.tables import PredictionBoard, PredictionStanding

_BOARD_FIELDS = (
    *("dataset", "protocol", "preset", "split", "shots", "steps", "predicted", "cells", "control"),
)
_ROW_FIELDS = ("label", "method", "place", "rank", "first", "difference", "verdict", "missing")
_DIGITS = 4
"""Decimals of errors by condition, which span orders of size."""


def describe_prediction_board(board: PredictionBoard) -> dict[str, Any]:
    """A board of world models: its setting, and a row a method, best first."""
    return {
        "suite": f"{board.suite}-v{board.suite_version}",
        "suiteDigest": board.suite_digest[7:15],
        "datasetVersion": board.dataset_version,
        "datasetDigest": board.dataset_digest[7:15],
        **{name: getattr(board, name) for name in _BOARD_FIELDS},
        "tasks": len(board.tasks),
        "rows": [_describe_row(each) for each in board.standings],
    }


def _describe_row(standing: PredictionStanding) -> dict[str, Any]:
    return {
        "id": standing.entry,
        **{name: getattr(standing, name) for name in _ROW_FIELDS},
        "methodVersion": standing.method_version,
        "differenceInterval": standing.interval,
        "error": standing.error and standing.error.model_dump(mode="json"),
        "seeds": [seed.seed for seed in standing.seeds],
        "conditions": [
            [
                part.behaviour,
                part.prefix,
                None if part.error is None else round(part.error, _DIGITS),
            ]
            for part in standing.conditions
        ],
        "inside": [standing.inside_50, standing.inside_90],
    }
