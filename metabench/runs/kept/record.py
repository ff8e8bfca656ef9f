"""The record of a finished cell: what was measured, comparable bit for bit, and how it came about."""

from __future__ import annotations

import hashlib
import json
import operator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from metabench.errors import DataError, first_problem
from metabench.evaluation.prediction.sums import PredictionCost, Predictions
from metabench.evaluation.rows import Block, Collection, Counts, StageCost
from metabench.runs.kept.record_file import (
    PLAIN_SUFFIX,
    SUFFIX,
    compress,
    read_json,
    write_rows_as_columns,
)
from metabench.system.strict_model import StrictModel
from metabench.system.writing import write_whole


def _is_absent(value: object) -> bool:
    """Such a key is left out, so that digests of records from before it existed stay what they were."""
    return value is None or value == ()


def make_code_field(whose: str) -> Any:
    """A key of a cell, and of what is made of cells, for a hash of code; see `Cell`."""
    return Field(
        default=None,
        exclude_if=_is_absent,
        description=f"hash of the code of the {whose}; absent where it comes with metabench",
    )


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
    method_code: str | None = make_code_field("method")
    suite_code: str | None = make_code_field("suite's task family")

    @property
    def folder(self) -> Path:
        """Its place below any root: `<suite>-v1/<dataset>/<method>/<preset>-<digest8>/<seed>`.

        digest8 is of all but the seed, so that two different cells never share a path.
        """
        return self._place(digest_of(self.model_dump(mode="json", exclude={"seed"})))

    @property
    def path(self) -> Path:
        """Where its record lies below a results folder: `<folder>.json.gz`."""
        return self.folder.with_name(f"{self.seed}{SUFFIX}")

    @property
    def first_folder(self) -> Path:
        """What `folder` was for records of the first form: digest8 is of the configuration alone."""
        return self._place(self.config_digest)

    def _place(self, digest: str) -> Path:
        kind = Path(f"{self.suite}-v{self.suite_version}") / self.dataset
        configured = f"{self.preset}-{digest.removeprefix('sha256:')[:8]}"
        return kind / self.method.replace("/", "_") / configured / f"{self.seed}"


EXPERT_LABELS = "uses_expert_labels"
"""In `Result.summary`, true: the method was trained with the expert's actions; leaderboards mark its row."""


class Result(StrictModel):
    """The part of a record that a rerun reproduces bit for bit on the same machine."""

    cell: Cell
    configuration: dict[str, Any] = Field(description="the full configuration")
    overrides: dict[str, Any] = Field(description="where it differs from the preset")
    privileged: bool
    parameters: int = Field(ge=0, description="trained parameters that acting uses")
    training_tasks: int = Field(ge=0)
    curve: tuple[dict[str, float | int | str], ...] = Field(
        description='what training logged; numbers that JSON has not are "NaN", "Infinity", "-Infinity"'
    )
    summary: dict[str, Any] = Field(
        description="what training found out about itself; numbers as in the curve"
    )
    blocks: tuple[Block, ...]
    collections: tuple[Collection, ...]
    counts: Counts
    predictions: tuple[Predictions, ...] | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="one a split, of the track `prediction`; empty where the policy predicts nothing or the data hold "
        "nothing to predict, absent where the track was not run",
    )


class ForeignCode(StrictModel):
    """Code that took part and does not come with metabench."""

    role: Literal["method", "suite"]
    name: str = Field(description="its installed package, or its file")
    version: str | None = Field(description="of the installed package")
    digest: str = Field(description="hash of its source: its file, or its package's files")
    git_revision: str | None = Field(description="of the checkout that it lies in")
    git_dirty: bool | None
    dependencies: dict[str, str] = Field(description="versions of the packages that it imports")


def _check_moment(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = datetime.min
    # In one form, so that as texts they are in their order.
    if moment.utcoffset() != timedelta(0) or moment.isoformat(timespec="seconds") != text:
        raise ValueError(f"expected a moment as 2026-01-31T12:00:00+00:00, found {text!r:.60}")
    return text


def _check_threads(count: int) -> int:  # not `ge=1`: the schema that others read by is frozen
    if count < 1:
        raise ValueError(f"expected a number from 1, found {count}")
    return count


Moment = Annotated[str, AfterValidator(_check_moment), Field(description="UTC, ISO 8601")]


class Provenance(StrictModel):
    """How the result came about; differs from run to run."""

    created: Moment
    seconds_training: float = Field(ge=0)
    seconds_pretraining: float | None = Field(
        default=None,
        ge=0,
        exclude_if=_is_absent,
        description="of what the method trained once for all suites; absent where it has no such part, or nobody "
        "measured it",
    )
    seconds_adapting: float = Field(ge=0)
    seconds_acting: float = Field(ge=0)
    seconds_evaluating: float = Field(ge=0, description="all of evaluation, simulator included")
    stages: tuple[StageCost, ...] = Field(
        default=(),
        exclude_if=operator.not_,
        description="what each rollout cost; records of protocol 1 have none",
    )
    predicting: tuple[PredictionCost, ...] = Field(
        default=(),
        exclude_if=operator.not_,
        description="what each shot count of the track `prediction` cost",
    )
    resumed: int = Field(ge=0, description="how often the run was resumed from a checkpoint")
    device: str
    host: str = Field(description="processor, operating system")
    threads: Annotated[int, AfterValidator(_check_threads)]
    packages: dict[str, str]
    git_revision: str | None
    git_dirty: bool | None
    command: str
    warnings: tuple[str, ...] = ()
    foreign_code: tuple[ForeignCode, ...] = Field(default=(), exclude_if=_is_absent)


class Record(StrictModel):
    """A finished cell."""

    schema_version: Literal[1, 2] = Field(
        description="1: plain JSON, placed by its configuration alone; 2: gzipped, rows as columns"
    )
    result: Result
    digest: str = Field(description="hash of `result` as the file has it")
    provenance: Provenance

    @property
    def develops(self) -> bool:
        """Whether it scores validation tasks: made to choose between configurations, never ranked."""
        return any(block.split == "validation" for block in self.result.blocks)

    @property
    def folder(self) -> Path:
        """What belongs to its cell is called below any root; see `Cell.folder`."""
        cell = self.result.cell
        return cell.first_folder if self.schema_version == 1 else cell.folder

    @property
    def path(self) -> Path:
        """Where it lies below a results folder."""
        suffix = PLAIN_SUFFIX if self.schema_version == 1 else SUFFIX
        return self.folder.with_name(f"{self.result.cell.seed}{suffix}")

    @model_validator(mode="after")
    def _digest_matches(self) -> Self:
        expected = _seal(self.result, self.schema_version)
        if self.digest != expected:
            raise ValueError(f"digest does not match the result: expected {expected}")
        return self


def digest_of(content: Any) -> str:
    """`sha256:...` of JSON content, independent of key order and white space."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _seal(result: Result, schema_version: int) -> str:
    content = result.model_dump(mode="json")
    return digest_of(content if schema_version == 1 else write_rows_as_columns(content))


def make_record(result: Result, provenance: Provenance) -> Record:
    """Put the two parts together and seal the result with its digest."""
    return Record(
        schema_version=2,
        result=result,
        digest=_seal(result, 2),
        provenance=provenance,
    )


def write_record(record: Record, path: Path) -> None:
    """Write `record` to `path` in the form of its schema version, whole or not at all."""
    if record.schema_version == 1:
        write_whole(path, record.model_dump_json() + "\n")
    else:
        content = record.model_dump(mode="json")
        write_whole(path, compress({**content, "result": write_rows_as_columns(content["result"])}))


def read_record(path: Path) -> Record:
    """Read and check a record; raises `DataError` naming file, key and what is wrong."""
    try:
        return Record.model_validate_json(read_json(path))
    except ValidationError as error:
        raise DataError(f"{path}: {first_problem(error)}") from error
