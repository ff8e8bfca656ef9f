"""How long cells take, judged by records of earlier ones."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from metabench.errors import DataError
from metabench.runs.kept.record import Cell
from metabench.runs.kept.record_file import is_record_name, read_json
from metabench.runs.planned_cell import PlannedCell
from metabench.system.home import source_root


def find_published_records() -> Path:
    """Where a checkout keeps the published records; a folder that need not exist."""
    return source_root() / "leaderboard" / "records"


def estimate_seconds(
    planned: Sequence[PlannedCell], folders: Iterable[Path]
) -> tuple[float | None, ...]:
    """For each cell the median seconds, training and evaluation, of records of its suite, method and preset.

    Args:
        planned: the cells.
        folders: where records are looked for; the first folder that has some decides, as they are of other machines.

    Returns:
        Seconds; None where no folder has a record.
    """
    places = list(folders)
    known: dict[tuple[str, str, str], float | None] = {}
    for each in planned:
        key = _kind_of(each.cell)
        if key not in known:
            found = next(
                (seconds for folder in places if (seconds := _find_seconds(folder, each.cell))), []
            )
            known[key] = median(found) if found else None
    return tuple(known[_kind_of(each.cell)] for each in planned)


def read_record_seconds(path: Path) -> float | None:
    """Seconds that a record's cell took, training and evaluation; None if the file does not tell."""
    try:
        return count_seconds(json.loads(read_json(path)))
    except (DataError, ValueError, RecursionError):
        return None


def count_seconds(content: Any) -> float | None:
    """The same of a record's JSON content."""
    try:
        provenance = content["provenance"]
        return float(provenance["seconds_training"]) + float(provenance["seconds_evaluating"])
    except (ValueError, KeyError, TypeError):
        return None


def duration(seconds: float) -> str:
    """Seconds for people: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 99.5 * 60 else f"{seconds / 3600:.1f} h"


def _find_seconds(folder: Path, cell: Cell) -> list[float]:
    method = folder / f"{cell.suite}-v{cell.suite_version}" / "*" / cell.method.replace("/", "_")
    pattern = str((method / f"{cell.preset}-*" / "[0-9]*").relative_to(folder))
    found = (
        read_record_seconds(path) for path in folder.glob(pattern) if is_record_name(path.name)
    )
    return [seconds for seconds in found if seconds is not None]


def _kind_of(cell: Cell) -> tuple[str, str, str]:
    return cell.suite, cell.method, cell.preset
