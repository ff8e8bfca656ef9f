"""Sweep files: which cells to run, in which order, as TOML that can be published beside the records."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from metabench.errors import DataError, MethodError, key_and_problem
from metabench.runs.kept.record import Cell
from metabench.runs.plan import check_names, plan_cells
from metabench.runs.planned_cell import PlannedCell
from metabench.runs.request import RunRequest
from metabench.system.toml_files import read_toml


class SweepPart(BaseModel):
    """Cells for each suite, dataset, method and seed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    suites: tuple[str, ...] = Field(min_length=1)
    datasets: tuple[str, ...] = Field(("medium",), min_length=1)
    methods: tuple[str, ...] = Field(min_length=1)
    seeds: tuple[int, ...] = Field(
        default=(0,), min_length=1, description="which, or how many: 3 is 0, 1, 2"
    )
    preset: tuple[str, ...] = Field(default=("cpu",), min_length=1, description="one or several")
    overrides: dict[str, Any] = Field(default={}, description="configuration keys and values")
    grid: dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]] = Field(
        default={}, description="keys with several values each: cells for every combination"
    )

    @field_validator("seeds", mode="before")
    @classmethod
    def _count_seeds(cls, given: Any) -> Any:
        return range(given) if isinstance(given, int) and not isinstance(given, bool) else given

    @field_validator("preset", mode="before")
    @classmethod
    def _take_one(cls, given: Any) -> Any:
        return (given,) if isinstance(given, str) else given

    @model_validator(mode="after")
    def _say_once(self) -> Self:
        both = sorted(self.grid.keys() & self.overrides.keys())
        if both:
            raise ValueError(f"grid: {both[0]} stands in overrides as well")
        return self

    def list_settings(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each preset with each combination of overrides, the last key of the grid changing first."""
        for preset, values in itertools.product(
            self.preset, itertools.product(*self.grid.values())
        ):
            yield preset, {**self.overrides, **dict(zip(self.grid, values, strict=True))}


class Sweep(BaseModel):
    """All of a sweep file; cells run in the order of its parts, and those that several parts name run once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tracks: tuple[str, ...] | None = Field(
        default=None, min_length=1, description="only these tracks; none is all"
    )
    part: tuple[SweepPart, ...] = Field(min_length=1)


def plan_sweep(
    sweep: Sweep,
    request: RunRequest,
    leave_out: Callable[[str, MethodError], None] | None = None,
) -> tuple[PlannedCell, ...]:
    """Plan all cells of a sweep; names of every part are checked before anything runs.

    Args:
        sweep: names suites, datasets, methods, seeds, presets, overrides and tracks.
        request: all else: results, whether to overwrite.
        leave_out: as `plan_cells` has it.

    Raises:
        MetabenchError: as `plan_cells`.
    """
    requests = [
        replace(
            request,
            suites=part.suites,
            datasets=part.datasets,
            methods=part.methods,
            preset=preset,
            seeds=part.seeds,
            overrides=overrides,
            tracks=sweep.tracks,
        )
        for part in sweep.part
        for preset, overrides in part.list_settings()
    ]
    return plan_in_turn(requests, leave_out)


def plan_in_turn(
    requests: Iterable[RunRequest], leave_out: Callable[[str, MethodError], None] | None = None
) -> tuple[PlannedCell, ...]:
    """Plan the cells of several requests, each cell once; `leave_out` and errors are those of `plan_cells`."""
    cells: dict[Cell, PlannedCell] = {}
    for request in requests:
        for cell in plan_cells(request, leave_out):
            cells.setdefault(cell.cell, cell)
    check_names(cells.values())
    return tuple(cells.values())


def is_sweep_file(name: str) -> bool:
    """Whether what a user typed where suites are expected is a sweep file."""
    return name.endswith(".toml")


def read_sweep(path: Path) -> Sweep:
    """Read a sweep file, whose paths are relative to it; raises `DataError` naming file, key and expectation."""
    try:
        sweep = Sweep.model_validate(read_toml(path))
    except ValidationError as error:
        key, problem = key_and_problem(error)
        raise DataError(f"{path}: {_count_from_one(key)}: {problem}") from error
    parts = (
        part.model_copy(
            update={
                "suites": tuple(
                    f"{path.parent / name}/" if "/" in name else name for name in part.suites
                ),
                "methods": tuple(
                    str(path.parent / name) if ".py:" in name else name for name in part.methods
                ),
            }
        )
        for part in sweep.part
    )
    return sweep.model_copy(update={"part": tuple(parts)})


def _count_from_one(key: str) -> str:
    """`part.0.seeds` as people count: `part 1, seeds`."""
    return re.sub(r"^part\.(\d+)\.?", lambda found: f"part {int(found[1]) + 1}, ", key).rstrip(", ")
