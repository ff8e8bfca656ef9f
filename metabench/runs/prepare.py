"""Preparing a run: build the data that its cells lack, before any of them runs."""

from __future__ import annotations

from collections.abc import Iterable

from metabench.data.making.build import build_data
from metabench.data.storage.store import store_exists
from metabench.data.trajectories import BuildProgress
from metabench.runs.plan import datasets_needed
from metabench.runs.planned_cell import PlannedCell
from metabench.suites import load_suite


def prepare_data(planned: Iterable[PlannedCell], progress: BuildProgress | None = None) -> bool:
    """Build what data the waiting cells lack.

    Args:
        planned: what `plan_cells` returned; finished and corrupt cells need no data.
        progress: told how far a build is.

    Returns:
        Whether anything was built: then the cells must be planned again, as their digests may have changed.

    Raises:
        DataError: what is there is damaged, or was made for something else.
        StorageError: the disk is full, read-only or fails.
    """
    waiting = [cell for cell in planned if cell.state == "waiting"]
    needed = {
        (cell.suite_folder, name)
        for cell in waiting
        for name in datasets_needed(load_suite(cell.suite_folder), cell.cell.dataset, cell.tracks)
    }
    missing = [
        (suite, name)
        for folder, name in sorted(needed)
        if not store_exists(suite := load_suite(folder), name)
    ]
    for suite, name in missing:
        build_data(suite, name, progress=_name_stages(progress, f"{suite.name} {name}"))
    return bool(missing)


def _name_stages(progress: BuildProgress | None, name: str) -> BuildProgress | None:
    """`progress` that is told which dataset a stage belongs to."""
    return (
        None
        if progress is None
        else lambda stage, done, total: progress(f"{name}: {stage}", done, total)
    )
