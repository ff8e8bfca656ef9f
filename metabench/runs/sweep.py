"""Sweep files: which cells to run, in which order, as TOML that can be published beside the records."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from metabench.errors import DataError


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
    """All of a sweep file; parts run in their order, and cells that several parts name run once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    part: tuple[SweepPart, ...] = Field(min_length=1)


def read_sweep(path: Path) -> Sweep:
    """Read a sweep file; raises `DataError` naming file, key and expectation."""
    try:
        return Sweep.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not valid TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
