"""The record of a finished cell: what was measured, comparable bit for bit, and how it came about."""

from __future__ import annotations

import hashlib
import json
import operator
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from metabench.errors import DataError, first_problem
from metabench.evaluation.rows import Block, Collection, Counts, StageCost
from metabench.system.strict_model import StrictModel
from metabench.system.writing import write_whole


class Cell(StrictModel):
    """One training and all its evaluation, named by everything that its result depends on."""

    suite: str
    suite_version: int
    suite_digest: str = Field(description="hash of tasks, rules, references and quotas")
    dataset: str
    dataset_version: int
    dataset_digest: str = Field(description="hash of the decoded arrays")
    method: str
    method_version: int
    preset: str
    config_digest: str = Field(description="hash of the full configuration")
    seed: int
    protocol: str

    @property
    def path(self) -> Path:
        """Below a results folder: `<suite>-v1/<dataset>/<method>/<preset>-<digest8>/<seed>.json`."""
        digest8 = self.config_digest.removeprefix("sha256:")[:8]
        folder = (
            Path(f"{self.suite}-v{self.suite_version}")
            / self.dataset
            / self.method.replace("/", "_")
        )
        return folder / f"{self.preset}-{digest8}" / f"{self.seed}.json"


class Result(StrictModel):
    """The part of a record that a rerun reproduces bit for bit on the same machine."""

    cell: Cell
    configuration: dict[str, Any] = Field(description="the full configuration")
    overrides: dict[str, Any] = Field(description="where it differs from the preset")
    privileged: bool
    parameters: int = Field(ge=0, description="trained parameters that acting uses")
    training_tasks: int = Field(ge=0)
    curve: tuple[dict[str, float | int | str], ...] = Field(description="what training logged")
    summary: dict[str, Any] = Field(description="what training found out about itself")
    blocks: tuple[Block, ...]
    collections: tuple[Collection, ...]
    counts: Counts


class Provenance(StrictModel):
    """How the result came about; differs from run to run."""

    created: str = Field(description="UTC, ISO 8601")
    seconds_training: float = Field(ge=0)
    seconds_adapting: float = Field(ge=0)
    seconds_acting: float = Field(ge=0)
    seconds_evaluating: float = Field(ge=0, description="all of evaluation, simulator included")
    stages: tuple[StageCost, ...] = Field(
        default=(),
        exclude_if=operator.not_,
        description="what each rollout cost; records of protocol 1 have none",
    )
    resumed: int = Field(ge=0, description="how often the run was resumed from a checkpoint")
    device: str
    host: str = Field(description="processor, operating system")
    threads: int
    packages: dict[str, str]
    git_revision: str | None
    git_dirty: bool | None
    command: str
    warnings: tuple[str, ...] = ()


class Record(StrictModel):
    """A finished cell."""

    schema_version: Literal[1]
    result: Result
    digest: str = Field(description="hash of `result`")
    provenance: Provenance

    @property
    def develops(self) -> bool:
        """Whether it is of validation tasks: made to choose between configurations, never ranked."""
        return any(block.split == "validation" for block in self.result.blocks)

    @model_validator(mode="after")
    def _digest_matches(self) -> Self:
        expected = digest_of(self.result.model_dump(mode="json"))
        if self.digest != expected:
            raise ValueError(f"digest does not match the result: expected {expected}")
        return self


def digest_of(content: Any) -> str:
    """`sha256:...` of JSON content, independent of key order and white space."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def make_record(result: Result, provenance: Provenance) -> Record:
    """Put the two parts together and seal the result with its digest."""
    return Record(
        schema_version=1,
        result=result,
        digest=digest_of(result.model_dump(mode="json")),
        provenance=provenance,
    )


def write_record(record: Record, path: Path) -> None:
    """Write `record` to `path`, whole or not at all."""
    write_whole(path, record.model_dump_json() + "\n")


def read_record(path: Path) -> Record:
    """Read and check a record; raises `DataError` naming file, key and what is wrong."""
    try:
        return Record.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise DataError(f"{path}: {first_problem(error)}") from error
