"""Sweep files: which cells to run, in which order, as TOML that can be published beside the records."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from metabench.data.trajectories import BuildProgress
from metabench.errors import DataError, first_problem
from metabench.runs.kept.record import Cell
from metabench.runs.plan import PlannedCell, plan_cells
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

    tracks: tuple[str, ...] | None = Field(default=None, min_length=1, description="only these tracks; none is all")
    part: tuple[SweepPart, ...] = Field(min_length=1)

    def plan(
        self,
        results: Path,
        *,
        overwrite: bool = False,
        build: bool = True,
        check: Callable[[], None] = lambda: None,
        progress: BuildProgress | None = None,
    ) -> tuple[PlannedCell, ...]:
        """Plan all cells; every name of every part is checked before any data is built.

        Args:
            results: the results folder.
            overwrite: plan every cell anew, whatever record there is.
            build: build missing data.
            check: called when all names are known to be good, before any data is built.
            progress: told how far a build is.

        Raises:
            MetabenchError: as `plan_cells`.
        """

        def planned(part: SweepPart, build: bool) -> tuple[PlannedCell, ...]:
            return plan_cells(
                part.suites,
                part.datasets,
                part.methods,
                preset=part.preset,
                seeds=part.seeds,
                overrides=part.overrides,
                tracks=self.tracks,
                results=results,
                overwrite=overwrite,
                build=build,
                progress=progress,
            )

        cells: dict[Cell, PlannedCell] = {}
        if build:
            for part in self.part:
                planned(part, False)
        check()
        for part in self.part:
            for cell in planned(part, build):
                cells.setdefault(cell.cell, cell)
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
