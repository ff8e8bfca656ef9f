"""What a running cell tells of itself in its run folder, for whoever looks on: another machine, another command."""

from __future__ import annotations

import json
import math
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from metabench.runs.kept.record import Cell
from metabench.system.writing import write_whole

FILE = "progress.json"
EVERY = 5.0
"""Seconds between two writes."""


class CellProgress(BaseModel):
    """How far a cell is, as its last attempt wrote it.

    Attributes:
        cell: which cell.
        overrides: where its configuration differs from the preset.
        record: where its record will be.
        host: the machine's name.
        process: the process that runs it there.
        stage: `training: policy`, `evaluating: test few-shot: scored episodes`.
        done: updates or steps done.
        total: updates or steps in all; 0 if unknown.
        metrics: what was logged last.
        started: when the attempt began, in seconds since 1970.
        updated: when this was written.
        seconds: of all attempts so far.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cell: Cell
    overrides: dict[str, Any] = {}
    record: Path
    host: str
    process: int
    stage: str
    done: int
    total: int
    metrics: dict[str, float]
    started: float
    updated: float
    seconds: float

    @property
    def attempt(self) -> tuple[str, int, float]:
        """Tells one attempt at the cell from another."""
        return self.host, self.process, self.started


class ProgressFile:
    """Writes a cell's progress now and then while it runs, and at once when it begins."""

    def __init__(
        self, cell: Cell, overrides: Mapping[str, Any], record: Path, folder: Path
    ) -> None:
        """Begin an attempt at `cell`, in its run folder; nothing is written yet: it may be another process's to run."""
        self._cell = cell
        self._overrides = dict(overrides)
        self._record = record.resolve()
        self._path = folder / FILE
        self._started = time.time()
        self._clock = time.monotonic()
        self._before: float | None = None
        self._written = -math.inf

    def tell(self, stage: str, done: int, total: int, metrics: Mapping[str, float]) -> None:
        """The cell is this far."""
        now = time.monotonic()
        if now - self._written < EVERY:
            return
        if self._before is None:
            earlier = read_progress(self._path.parent)
            self._before = 0.0 if earlier is None else max(0.0, earlier.seconds)
        progress = CellProgress(
            cell=self._cell,
            overrides=self._overrides,
            record=self._record,
            host=socket.gethostname(),
            process=os.getpid(),
            stage=stage,
            done=done,
            total=total,
            metrics={name: float(value) for name, value in metrics.items()},
            started=self._started,
            updated=time.time(),
            seconds=self._before + now - self._clock,
        )
        write_whole(self._path, json.dumps(progress.model_dump(mode="json")))
        self._written = now


def read_progress(folder: Path) -> CellProgress | None:
    """What the last attempt at the cell of this run folder wrote; None if there is nothing readable."""
    try:
        return CellProgress.model_validate_json((folder / FILE).read_bytes())
    except (OSError, ValidationError):
        return None
