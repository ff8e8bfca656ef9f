"""Sweep files: which cells to run, in which order, as TOML that can be published beside the records."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from metabench.errors import DataError, first_problem
from metabench.runs.kept.record import Cell
from metabench.runs.plan import check_names, plan_cells
from metabench.runs.planned_cell import PlannedCell
from metabench.runs.request import RunRequest
from metabench.system.toml_files import read_toml


class SweepPart(BaseModel):
    """Cells for each suite, dataset, method and seed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    suites: tuple[str, ...] = Field(min_length=1)
    datasets: tuple[str, ...] = Field(min_length=1)
    methods: tuple[str, ...] = Field(min_length=1)
    seeds: tuple[int, ...] = Field(min_length=1)
    preset: str = "cpu"
    overrides: dict[str, Any] = Field(default={}, description="configuration keys and values")


class Sweep(BaseModel):
    """All of a sweep file; cells run in the order of its parts, and those that several parts name run once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tracks: tuple[str, ...] | None = Field(
        default=None, min_length=1, description="only these tracks; none is all"
    )
    part: tuple[SweepPart, ...] = Field(min_length=1)


def plan_sweep(sweep: Sweep, request: RunRequest) -> tuple[PlannedCell, ...]:
    """Plan all cells of a sweep; names of every part are checked before anything runs.

    Args:
        sweep: names suites, datasets, methods, seeds, presets, overrides and tracks.
        request: all else: results, whether to overwrite.

    Raises:
        MetabenchError: as `plan_cells`.
    """
    return plan_in_turn(
        replace(
            request,
            suites=part.suites,
            datasets=part.datasets,
            methods=part.methods,
            preset=part.preset,
            seeds=part.seeds,
            overrides=part.overrides,
            tracks=sweep.tracks,
        )
        for part in sweep.part
    )


def plan_in_turn(requests: Iterable[RunRequest]) -> tuple[PlannedCell, ...]:
    """Plan the cells of several requests, each cell once; raises as `plan_cells`."""
    cells: dict[Cell, PlannedCell] = {}
    for request in requests:
        for cell in plan_cells(request):
            cells.setdefault(cell.cell, cell)
    check_names(cells.values())
    return tuple(cells.values())


def is_sweep_file(name: str) -> bool:
    """Whether what a user typed where suites are expected is a sweep file."""
    return name.endswith(".toml")


def read_sweep(path: Path) -> Sweep:
    """Read a sweep file; raises `DataError` naming file, key and expectation."""
    try:
        return Sweep.model_validate(read_toml(path))
    except ValidationError as error:
        raise DataError(f"{path}: {first_problem(error)}") from error
