"""A cell with all that a worker needs to run it, and what the results folder says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from metabench.evaluation.protocol import VALIDATION
from metabench.methods.configuring import label_method
from metabench.runs.isolation.method_facts import MethodFacts
from metabench.runs.kept.record import Cell
from metabench.runs.kept.record_file import FAILED_SUFFIX

State: TypeAlias = Literal["waiting", "finished", "corrupt"]


@dataclass(frozen=True)
class PlannedCell:
    """A cell, and what a worker needs to run it.

    Attributes:
        cell: the cell's identity.
        suite_folder: the folder of its suite.toml.
        spec: what `load_method` takes.
        facts: what its method says of itself.
        overrides: configuration keys and values on top of preset and variant.
        tracks: the (split, track) to evaluate.
        results: the results folder; the record goes to `record_path` below it.
        state: `waiting`, `finished` (a valid record of the same cell has all tracks), or `corrupt` (what lies in the
            record's place is damaged; it is left alone).
        note: why it is in that state, or what it will replace; may be empty.
        overwrite: begin it anew, whatever record and checkpoints there are.
        extends: a valid record of the same cell lacks some of the tracks, or is of validation tasks where this is not,
            or the other way round; its policy need not be trained again.
        warnings: for the record: data that differs from what was published.
    """

    cell: Cell
    suite_folder: Path
    spec: str
    facts: MethodFacts
    overrides: Mapping[str, Any]
    tracks: tuple[tuple[str, str], ...]
    results: Path
    state: State = "waiting"
    note: str = ""
    overwrite: bool = False
    extends: bool = False
    warnings: tuple[str, ...] = field(default=())

    @property
    def record_path(self) -> Path:
        """Where the cell's record is written; one of validation tasks lies apart."""
        return self._root / self.cell.path

    @property
    def develops(self) -> bool:
        """Whether it acts in validation tasks: for choosing between configurations, never ranked."""
        return all(split == VALIDATION for split, _ in self.tracks)

    @property
    def failure_path(self) -> Path:
        """Where the traceback of a failed attempt is written."""
        return self._root / f"{self.cell.folder}{FAILED_SUFFIX}"

    @property
    def _root(self) -> Path:
        return self.results / VALIDATION if self.develops else self.results

    @property
    def label(self) -> str:
        """Short name for people: `point-robot medium meta-dt (layers=2) seed 3`."""
        method = label_method(self.cell.method, self.facts.overrides)
        return f"{self.cell.suite} {self.cell.dataset} {method} seed {self.cell.seed}"
