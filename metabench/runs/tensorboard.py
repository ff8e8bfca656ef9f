"""Training curves and scores for TensorBoard: a folder a cell, made anew by each attempt at it."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from metabench.evaluation.scores import score_rows
from metabench.runs.kept.record import Cell, Record
from metabench.suites import Suite
from metabench.system.extras import require
from metabench.system.plain_values import read_number


def check_tensorboard() -> None:
    """Raise `metabench.errors.MetabenchError` if TensorBoard is not installed."""
    require("tensorboard", "tracking", "--tensorboard")


def tensorboard_folder(root: Path, cell: Cell) -> Path:
    """Where a cell's curves go: as its record's path, below `root`."""
    return root / cell.folder


class CurveWriter:
    """Writes what a training logs while it logs it, then the scores; writes nothing without a folder."""

    def __init__(self, root: Path | None, cell: Cell) -> None:
        """Begin a cell's folder anew below `root`."""
        self._rows = 0
        self._writer: Any = None
        if root is None:
            return
        logging.getLogger("tensorboard").setLevel(
            logging.ERROR
        )  # that TensorFlow is missing is no news
        from torch.utils.tensorboard import SummaryWriter

        folder = tensorboard_folder(root, cell)
        shutil.rmtree(folder, ignore_errors=True)
        self._writer = SummaryWriter(str(folder))

    def __enter__(self) -> Self:
        """Nothing to begin."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()

    def follow(self, curve: Sequence[Mapping[str, Any]]) -> None:
        """Write the rows of a training's curve that are new: each metric as `training/STAGE/METRIC`, by update."""
        if self._writer is None:
            return
        for row in curve[self._rows :]:
            for name, value in row.items():
                number = read_number(value)
                if name not in ("stage", "update") and number is not None:
                    self._writer.add_scalar(
                        f"training/{row['stage'] or 'all'}/{name}", number, row["update"]
                    )
        self._rows = len(curve)

    def finish(self, record: Record, suite: Suite) -> None:
        """Write a finished cell's configuration, and its scores as `test/few-shot/score`, by shots."""
        if self._writer is None:
            return
        self._writer.add_text(
            "configuration", f"```json\n{json.dumps(record.result.configuration, indent=2)}\n```"
        )
        for block in record.result.blocks:
            score = score_rows(block.rows, suite)
            values = {
                "score": score.headline,
                "worst task": min(score.task_scores),
                "return": score.mean_return,
                "success": score.success_any,
            }
            for name, value in values.items():
                if value is not None:
                    self._writer.add_scalar(
                        f"{block.split}/{block.track}/{name}", value, block.shots
                    )


def write_record_curves(record: Record, suite: Suite, root: Path) -> None:
    """Write the curves and scores of a cell that was finished earlier, unless they are there."""
    if not tensorboard_folder(root, record.result.cell).exists():
        with CurveWriter(root, record.result.cell) as writer:
            writer.follow(record.result.curve)
            writer.finish(record, suite)
