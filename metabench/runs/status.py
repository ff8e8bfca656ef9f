"""What has become of cells: done, running, interrupted, failed, left; read from files alone, from any machine."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from metabench.errors import DataError
from metabench.runs.estimate import record_seconds
from metabench.runs.kept.progress import FILE, CellProgress, read_progress
from metabench.runs.kept.record import Cell
from metabench.runs.kept.run_folder import is_claimed
from metabench.runs.plan import PlannedCell
from metabench.system.home import home

CellState: TypeAlias = Literal["done", "running", "interrupted", "failed", "corrupt", "left"]

STATES: tuple[CellState, ...] = ("done", "running", "interrupted", "failed", "corrupt", "left")
"""In the order of reports. `interrupted`: it was begun, no process runs it, and it goes on where it was."""

FAILED_SUFFIX = ".failed.json"


@dataclass(frozen=True)
class CellStatus:
    """What has become of a cell.

    Attributes:
        label: the cell for people: `point-robot medium bc cpu seed 3`.
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


def results_status(results: Path) -> tuple[CellStatus, ...]:
    """All cells that left a trace in a results folder, or in the run folders of cells that write there.

    Records are not validated here: `metabench leaderboard check` does that.

    Raises:
        DataError: it is no folder.
    """
    if not results.is_dir():
        raise DataError(f"{results}: no such folder; expected one that holds records, or a sweep file (sweep.toml)")
    found: dict[Path, CellStatus] = {}
    for path in sorted(results.rglob("*.json")):
        parts = path.relative_to(results).parts
        if len(parts) != 5 or any(part.startswith(".") for part in parts):
            continue
        if path.name.endswith(FAILED_SUFFIX):
            record = path.with_name(path.name.removesuffix(FAILED_SUFFIX) + ".json")
            found.setdefault(record, CellStatus(_path_label(record, results), "failed", record, reason=_reason(path)))
        else:
            found[path] = CellStatus(_path_label(path, results), "done", path, record_seconds(path) or 0.0)
    for progress, running in begun_cells():
        if progress.record.is_relative_to(results.resolve()):
            record = results / progress.record.relative_to(results.resolve())
            earlier = found.get(record)
            if running or earlier is None:
                found[record] = _unfinished(progress, running, record, "")
            elif earlier.state == "failed":
                found[record] = _unfinished(progress, False, record, _failure(record, progress))
    return tuple(found[path] for path in sorted(found))


def planned_status(planned: Sequence[PlannedCell]) -> tuple[CellStatus, ...]:
    """What has become of planned cells, in their order."""
    begun = {progress.cell: (progress, running) for progress, running in begun_cells()}
    found = []
    for cell in planned:
        label, record = _label(cell.cell), cell.record_path
        if cell.state == "finished":
            found.append(CellStatus(label, "done", record, record_seconds(record) or 0.0))
        elif cell.state == "corrupt":
            found.append(CellStatus(label, "corrupt", record, reason=cell.note))
        elif cell.cell in begun:
            found.append(_unfinished(*begun[cell.cell], record, _failure(record, begun[cell.cell][0])))
        elif cell.failure_path.exists():
            found.append(CellStatus(label, "failed", record, reason=_reason(cell.failure_path)))
        else:
            found.append(CellStatus(label, "left", record, reason=cell.note))
    return tuple(found)


def _unfinished(progress: CellProgress, running: bool, record: Path, failure: str) -> CellStatus:
    state: CellState = "running" if running else "failed" if failure else "interrupted"
    return CellStatus(
        _label(progress.cell), state, record, progress.seconds, progress, "" if state == "running" else failure
    )


def begun_cells() -> Iterable[tuple[CellProgress, bool]]:
    """What unfinished cells wrote, and whether a process runs them now."""
    for path in sorted((home() / "runs").glob(f"*/{FILE}")):
        progress = read_progress(path.parent)
        if progress is not None:
            yield progress, is_claimed(path.parent)


def _failure(record: Path, progress: CellProgress) -> str:
    """Why the attempt that wrote `progress` failed; empty if it did not: an older attempt may have."""
    path = record.with_suffix(FAILED_SUFFIX)
    try:
        attempt = json.loads(path.read_bytes())["attempt"]
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return _reason(path)
    return _reason(path) if attempt == list(progress.attempt) else ""


def _reason(path: Path) -> str:
    """The one line of a failed cell's report."""
    try:
        return " ".join(str(json.loads(path.read_bytes())["error"]).split())
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return f"{path}: cannot be read"


def _label(cell: Cell) -> str:
    return f"{cell.suite} {cell.dataset} {cell.method} {cell.preset} seed {cell.seed}"


def _path_label(record: Path, results: Path) -> str:
    """The same, of what a record's path tells."""
    suite, dataset, method, configured, seed = record.relative_to(results).parts
    preset = configured.rpartition("-")[0]
    return f"{suite.rpartition('-v')[0]} {dataset} {method} {preset} seed {seed.removesuffix('.json')}"
