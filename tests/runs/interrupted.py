"""Cells of a small method that are interrupted and go on."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from metabench.errors import CancelledError
from metabench.runs.execute_cell import execute_cell
from metabench.runs.executors.events import Event
from metabench.runs.executors.run_cells import run_cells
from metabench.runs.plan import plan_cells
from metabench.runs.planned_cell import PlannedCell
from metabench.runs.request import RunRequest
from metabench.runs.settings import Settings

METHODS = Path(__file__).with_name("small_methods.py")
SETTINGS = Settings(checkpoint_seconds=0.0)


def plan(results: Path, name: str = "Small", **changes) -> PlannedCell:
    (cell,) = plan_cells(RunRequest(["tiny"], ["medium"], [f"{METHODS}:{name}"], results=results, **changes))
    return cell


def quiet(stage, done, total, metrics):
    del stage, done, total, metrics


def after(calls: int) -> Callable[[], bool]:
    """True from the `calls`-th time on that it is asked."""
    asked = itertools.count()
    return lambda: next(asked) >= calls


def interrupt(cell: PlannedCell, calls: int) -> None:
    with pytest.raises(CancelledError):
        execute_cell(cell, SETTINGS, quiet, after(calls))


def run(cell: PlannedCell) -> tuple[str, str]:
    """How it ended: the last event's kind and message."""
    events: list[Event] = []
    run_cells([cell], SETTINGS, listener=events.append)
    return events[-1].kind, events[-1].message


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
