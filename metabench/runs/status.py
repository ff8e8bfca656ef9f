"""What has become of cells: done, running, interrupted, failed, left; read from files alone, from any machine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from metabench.errors import DataError
from metabench.evaluation.protocol import VALIDATION
from metabench.methods.configuring import label_method
from metabench.runs.estimate import count_seconds, read_record_seconds
from metabench.runs.kept.progress import CellProgress
from metabench.runs.kept.record import Cell
from metabench.runs.kept.record_file import (
    FAILED_SUFFIX,
    SUFFIX,
    is_record_name,
    read_json,
    strip_suffix,
)
from metabench.runs.kept.run_folder import list_begun_cells
from metabench.runs.planned_cell import PlannedCell
from metabench.system.home import list_files

CellState: TypeAlias = Literal["done", "running", "interrupted", "failed", "corrupt", "left"]

STATES: tuple[CellState, ...] = ("done", "running", "interrupted", "failed", "corrupt", "left")
"""In the order of reports. `interrupted`: it was begun, no process runs it, and it goes on where it was."""


@dataclass(frozen=True)
class CellStatus:
    """What has become of a cell.

    Attributes:
        label: the cell for people: `point-robot medium bc (width=64) cpu seed 3`.
        state: one of `STATES`.
        record: where its record is or will be.
        seconds: that it took so far; 0 for one that was not begun, or whose files do not tell.
        progress: what its last attempt wrote, of one that is running or interrupted.
        reason: one line: why it failed, or what is wrong with its record; may be empty.
    """

    label: str
    state: CellState
    record: Path
    seconds: float = 0.0
    progress: CellProgress | None = None
    reason: str = ""


def inspect_results(results: Path) -> tuple[CellStatus, ...]:
    """All cells that left a trace in a results folder, or in the run folders of cells that write there.

    Of records it is looked at whether they belong where they lie; `metabench leaderboard check` validates them.

    Raises:
        DataError: it is no folder.
    """
    if not results.is_dir():
        what = "a file" if results.exists() else "no such folder"
        raise DataError(
            f"{results}: {what}; expected a folder that holds records, or a sweep file (sweep.toml)"
        )
    found: dict[Path, CellStatus] = {}
    for path in list_files(results):
        parts = path.relative_to(results).parts
        if parts[0] == VALIDATION:
            parts = parts[1:]
        if len(parts) != 5 or any(part.startswith(".") for part in parts):
            continue
        if path.name.endswith(FAILED_SUFFIX):
            record = path.with_name(strip_suffix(path).name + SUFFIX)
            label = _label_failure(path, record, results)
            failed = CellStatus(label, "failed", record, reason=_read_reason(path))
            found.setdefault(record, failed)  # a record beside it was written by a later attempt
        elif is_record_name(path.name):
            found[path] = _describe_record(path, Path(*parts), results)
    for progress, running in list_begun_cells():
        if progress.record.is_relative_to(results.resolve()):
            record = results / progress.record.relative_to(results.resolve())
            earlier = found.get(record)
            if running or earlier is None:
                found[record] = _describe_unfinished(progress, running, record, "")
            elif earlier.state == "failed":
                found[record] = _describe_unfinished(
                    progress, False, record, _read_failure(record, progress)
                )
    return tuple(found[path] for path in sorted(found))


def inspect_planned_cells(planned: Sequence[PlannedCell]) -> tuple[CellStatus, ...]:
    """What has become of planned cells, in their order."""
    begun = {progress.cell: (progress, running) for progress, running in list_begun_cells()}
    found = []
    for cell in planned:
        record = cell.record_path
        label = _label_cell(cell.cell, cell.facts.overrides, develops=cell.develops)
        if cell.state == "finished":
            found.append(CellStatus(label, "done", record, read_record_seconds(record) or 0.0))
        elif cell.state == "corrupt":
            found.append(CellStatus(label, "corrupt", record, reason=cell.note))
        elif cell.cell in begun:
            found.append(
                _describe_unfinished(
                    *begun[cell.cell], record, _read_failure(record, begun[cell.cell][0])
                )
            )
        elif cell.failure_path.exists():
            found.append(
                CellStatus(label, "failed", record, reason=_read_reason(cell.failure_path))
            )
        else:
            found.append(CellStatus(label, "left", record, reason=cell.note))
    return tuple(found)


def _describe_record(path: Path, place: Path, results: Path) -> CellStatus:
    """A record that lies at `place` below its results folder: done, if that is where its cell belongs."""
    label = _label_path(path, results)
    try:
        content = json.loads(read_json(path))
        cell = Cell.model_validate(content["result"]["cell"])
        label = _label_cell(cell, content["result"]["overrides"], develops=_develops(path, results))
        expected = cell.first_folder if content["schema_version"] == 1 else cell.folder
    except DataError as error:
        return CellStatus(label, "corrupt", path, reason=str(error))
    except (ValueError, KeyError, TypeError, RecursionError):
        return CellStatus(label, "corrupt", path, reason=f"{path}: is no whole record")
    if expected == strip_suffix(place):
        return CellStatus(label, "done", path, count_seconds(content) or 0.0)
    reason = f"{path}: holds a record of protocol {cell.protocol} that belongs at {expected}"
    return CellStatus(label, "corrupt", path, reason=reason)


def _describe_unfinished(
    progress: CellProgress, running: bool, record: Path, failure: str
) -> CellStatus:
    state: CellState = "running" if running else "failed" if failure else "interrupted"
    return CellStatus(
        _label_cell(progress.cell, progress.overrides),
        state,
        record,
        progress.seconds,
        progress,
        "" if state == "running" else failure,
    )


def _read_failure(record: Path, progress: CellProgress) -> str:
    """Why the attempt that wrote `progress` failed; empty if it did not: an older attempt may have."""
    path = record.with_name(strip_suffix(record).name + FAILED_SUFFIX)
    try:
        attempt = json.loads(path.read_bytes())["attempt"]
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return _read_reason(path)
    return _read_reason(path) if attempt == list(progress.attempt) else ""


def _read_reason(path: Path) -> str:
    """The one line of a failed cell's report."""
    try:
        return " ".join(str(json.loads(path.read_bytes())["error"]).split())
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return f"{path}: cannot be read"


def _label_failure(path: Path, record: Path, results: Path) -> str:
    """As the report of a failed cell says; by its path where it does not tell."""
    try:
        content = json.loads(path.read_bytes())
        cell = Cell.model_validate(content["cell"])
        return _label_cell(cell, content["overrides"], develops=_develops(record, results))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return _label_path(record, results)


def _label_cell(cell: Cell, overrides: Mapping[str, Any], *, develops: bool = False) -> str:
    where = f"{cell.dataset} ({VALIDATION})" if develops else cell.dataset
    method = label_method(cell.method, overrides)
    return f"{cell.suite} {where} {method} {cell.preset} seed {cell.seed}"


def _label_path(record: Path, results: Path) -> str:
    """The same, of what a record's path tells."""
    suite, dataset, method, configured, seed = record.relative_to(results).parts[-5:]
    name, preset = suite.rpartition("-v")[0], configured.rpartition("-")[0]
    where = f"{dataset} ({VALIDATION})" if _develops(record, results) else dataset
    return f"{name} {where} {method} {preset} seed {strip_suffix(Path(seed))}"


def _develops(record: Path, results: Path) -> bool:
    """Whether a record lies where those of validation tasks do."""
    return record.relative_to(results).parts[0] == VALIDATION
