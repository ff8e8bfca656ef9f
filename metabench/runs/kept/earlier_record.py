"""What the results folder says of a planned cell: its record, a damaged one, one of other code, an interrupted run."""

from __future__ import annotations

import dataclasses

from metabench.errors import DataError
from metabench.evaluation.protocol import PREDICTION, PROTOCOL, SPLITS, TRACKS, VALIDATION
from metabench.runs.kept.record import Cell, Record, read_record
from metabench.runs.kept.run_folder import is_replaced, list_begun_cells
from metabench.runs.planned_cell import PlannedCell

CODE = frozenset({"method_version", "method_code", "suite_code"})
"""What of a cell is another once code was edited."""

UNKNOWN_DIGEST = "unknown"
"""Dataset digest of a cell that was planned without building its data."""


def covers(record: Record, planned: PlannedCell) -> bool:
    """Whether `record` is of this very cell and has all its tracks."""
    missing = set(planned.tracks) - _tracks_of(record)
    if record.result.predictions == ():  # it was asked, and its policy predicts nothing
        missing = {pair for pair in missing if pair[1] != PREDICTION}
    return record.result.cell == planned.cell and not missing


def _tracks_of(record: Record) -> set[tuple[str, str]]:
    result = record.result
    predicted = {(each.split, PREDICTION) for each in result.predictions or ()}
    return {(block.split, block.track) for block in result.blocks} | predicted


def look_for_record(planned: PlannedCell) -> PlannedCell:
    """What the results folder says of a cell."""
    path = planned.record_path
    if planned.cell.dataset_digest == UNKNOWN_DIGEST:
        return dataclasses.replace(planned, note="its data is not built yet")
    if is_replaced(planned.cell, path):
        return dataclasses.replace(planned, note="continues the run that replaces its record")
    if not path.exists():
        return _look_for_sibling(dataclasses.replace(planned, note=_tell_of_other_code(planned)))
    try:
        record = read_record(path)
    except DataError as error:
        return dataclasses.replace(
            planned, state="corrupt", note=f"{error}; delete it or use --overwrite"
        )
    if covers(record, planned):
        return dataclasses.replace(planned, state="finished")
    if record.result.cell == planned.cell:
        tracks = sorted(
            _tracks_of(record) | set(planned.tracks),
            key=lambda pair: (
                pair[1] == PREDICTION,
                (*SPLITS, VALIDATION).index(pair[0]),
                (*TRACKS, PREDICTION).index(pair[1]),
            ),
        )
        return dataclasses.replace(
            planned, tracks=tuple(tracks), extends=True, note="adds tracks to its record"
        )
    different = _find_differences(record.result.cell, planned.cell)
    what = f"another {different[0].replace('_', ' ')}"
    if "protocol" in different:
        what = f"protocol {record.result.cell.protocol} where one of protocol {PROTOCOL} belongs"
    return dataclasses.replace(
        planned,
        state="corrupt",
        note=f"{path}: holds a record of {what}; delete it or use --overwrite",
    )


def _look_for_sibling(planned: PlannedCell) -> PlannedCell:
    """Whether the same cell has acted in validation tasks, or in test tasks: it need not be trained again."""
    results = planned.results if planned.develops else planned.results / VALIDATION
    try:
        record = read_record(results / planned.cell.path)
    except DataError:  # there is none, or a damaged one: then it is trained
        return planned
    if record.result.cell != planned.cell:
        return planned
    acted = "test" if planned.develops else VALIDATION
    return dataclasses.replace(
        planned,
        extends=True,
        note=f"its policy has acted in {acted} tasks; it is not trained again",
    )


def _tell_of_other_code(planned: PlannedCell) -> str:
    """What an interrupted attempt or a record was of, if only the code was another; empty if there is none."""
    cell = planned.cell
    for progress, _ in list_begun_cells():
        if changed := _name_changed_code(progress.cell, cell):
            return f"starts again: its {changed} changed since it was interrupted"
    if cell.method_code is None and cell.suite_code is None:
        return ""  # versions of built-in methods are told by their records' places
    beside = planned.record_path.parent.parent
    for path in sorted(beside.glob(f"{cell.preset}-*/{planned.record_path.name}")):
        try:
            changed = _name_changed_code(read_record(path).result.cell, cell)
        except DataError:
            continue
        if changed:
            return f"another cell than {path.parent.name}: its {changed} changed since"
    return ""


def _name_changed_code(old: Cell, new: Cell) -> str:
    """`method code and suite code`, if nothing else differs; else empty."""
    different = _find_differences(old, new)
    if not different or not set(different) <= CODE:
        return ""
    return " and ".join(key.replace("_", " ") for key in different)


def _find_differences(old: Cell, new: Cell) -> list[str]:
    return [key for key in Cell.model_fields if getattr(old, key) != getattr(new, key)]
