"""A trained policy on disk, with all that its training found: what `metabench evaluate FOLDER` reads."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from metabench.envs import Spaces
from metabench.errors import DataError, MetabenchError, first_problem
from metabench.methods.contract import Method, Policy
from metabench.methods.registry import check_method_code, configure_method, load_method
from metabench.runs.kept.record import Cell, digest_of
from metabench.suites import Suite, load_named_suite, load_suite
from metabench.system.foreign import copy_plain
from metabench.system.home import home
from metabench.system.writing import writing

FACTS = "training.json"
POLICY = "policy"


class Training(BaseModel):
    """What is kept of a finished training, beside the policy's own files."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    schema_version: Literal[1] = 1
    cell: Cell
    spec: str = Field(description="what `load_method` takes")
    overrides: dict[str, Any] = Field(
        description="configuration keys and values on top of preset and variant"
    )
    configuration: dict[str, Any] | None = Field(
        default=None,
        description="the full configuration; null in older files: they are bound to preset and overrides",
    )
    parameters: int = Field(ge=0, description="trained parameters that acting uses")
    training_tasks: int = Field(ge=0)
    curve: tuple[dict[str, float | int | str], ...]
    summary: dict[str, Any]
    seconds: float = Field(ge=0)
    resumed: int = Field(ge=0)
    device: str
    threads: int
    warnings: tuple[str, ...] = Field(
        default=(), description="for the record: what is not as it should be"
    )
    files: dict[str, str] = Field(
        default={}, description="hash of each of the policy's files, by its path"
    )
    digest: str | None = Field(
        default=None, description="hash of all else in this file; null in older files"
    )

    @model_validator(mode="after")
    def _digest_matches(self) -> Self:
        if (
            self.configuration is not None
            and digest_of(self.configuration) != self.cell.config_digest
        ):
            raise ValueError("configuration: its digest is not the cell's config_digest")
        return self

    def method(self) -> Method:
        """The method with the configuration it was trained with; keys that it did not have yet have their defaults.

        Raises:
            DataError: the method does not take this configuration; or an older file's preset has changed since.
            MetabenchError: the method cannot be had.
        """
        if self.configuration is not None:
            return configure_method(self.spec, self.configuration, self.cell.method_code)
        method = load_method(
            self.spec, preset=self.cell.preset, suite=self.cell.suite, overrides=self.overrides
        )
        check_method_code(type(method), self.cell.method_code)
        if digest_of(method.config.model_dump(mode="json")) != self.cell.config_digest:
            raise DataError(
                f"method {self.spec!r}: preset {self.cell.preset!r} has changed since this policy was trained"
            )
        return method


def policy_folder(cell: Cell) -> Path:
    """Where the policy of a finished cell is kept: as its record's path, below `home()/policies`."""
    return home() / "policies" / cell.folder


def save_trained(policy: Policy, training: Training, folder: Path) -> None:
    """Write policy and facts, with the hashes of the policy's files, into `folder`; see `copy_trained`."""
    _write_trained(policy.save, training, folder)


def take_trained(saved: Path, training: Training, folder: Path) -> None:
    """Do as `save_trained` with a policy that was saved elsewhere, by a process that is not trusted.

    Raises:
        DataError: something in `saved` is neither a plain file nor a folder.
    """
    _write_trained(lambda fresh: copy_plain(saved, fresh), training, folder)


def _write_trained(
    write_policy: Callable[[Path], object], training: Training, folder: Path
) -> None:
    with _replacing(folder) as fresh:
        (fresh / POLICY).mkdir()
        write_policy(fresh / POLICY)
        facts = training.model_copy(update={"files": _hashes(fresh / POLICY)}).model_dump(
            mode="json", exclude={"digest"}
        )
        text = json.dumps({**facts, "digest": digest_of(facts)}, allow_nan=False)
        (fresh / FACTS).write_text(text, encoding="utf-8")


def copy_trained(source: Path, folder: Path) -> None:
    """Copy a saved policy, replacing what was in `folder`, whole or not at all.

    Raises:
        StorageError: the disk is full, read-only or fails; what was in `folder` is as it was.
    """
    with _replacing(folder) as fresh:
        copy_plain(source, fresh)


def read_training(folder: Path) -> Training:
    """The facts of a saved policy.

    Raises:
        DataError: they are damaged, or a file of the policy is not as it was saved; names file, key and what is wrong.
    """
    path = folder / FACTS
    try:
        content = path.read_bytes()
        training = Training.model_validate_json(content)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read: {error.strerror}; expected the folder of a saved policy"
        ) from error
    except ValidationError as error:
        raise DataError(f"{path}: {first_problem(error)}") from error
    if training.digest is not None:  # of the file itself: keys that came later have no part in it
        plain = json.loads(content)
        if plain.pop("digest") != digest_of(plain):
            raise DataError(
                f"{path}: digest: is not that of the content; train again, or copy the folder again"
            )
    found = _hashes(folder / POLICY) if training.files else {}
    for name, digest in training.files.items():
        if found.get(name) != digest:
            problem = (
                "is missing"
                if name not in found
                else f"its content does not match the hash in {FACTS}"
            )
            raise DataError(
                f"{folder / POLICY / name}: {problem}; train again, or copy the folder again"
            )
    return training


def suite_for(training: Training, suite: Suite | str | None) -> Suite:
    """The suite that a saved policy is to act in: `suite`, or where that is None the one it was trained on.

    Raises:
        UnknownNameError: no such suite.
        MetabenchError: it has other spaces than the policy was trained for.
    """
    named = training.cell.suite
    chosen = (
        suite
        if isinstance(suite, Suite)
        else load_suite(suite)
        if suite
        else load_named_suite(named)
    )
    trained_on = chosen if chosen.name == named else load_named_suite(named)
    if chosen.spaces != trained_on.spaces:
        raise MetabenchError(
            f"suite {chosen.name!r} has other spaces than {trained_on.name!r}, on which the policy was trained"
        )
    return chosen


def load_trained_policy(method: Method, folder: Path, spaces: Spaces) -> Policy:
    """The policy saved in `folder`; raises `DataError` naming a missing or damaged file."""
    return method.load(folder / POLICY, spaces)


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """A new folder beside `folder`, which takes its place at the end, or is removed if something was raised."""
    fresh, leaving = (
        folder.with_name(f".{folder.name}.new"),
        folder.with_name(f".{folder.name}.old"),
    )
    with writing(folder):
        try:
            if leaving.exists() and not folder.exists():  # a crash came between the two renames
                os.replace(leaving, folder)
            for stale in (fresh, leaving):
                shutil.rmtree(stale, ignore_errors=True)
            fresh.mkdir(parents=True)
            yield fresh
            for path in fresh.rglob("*"):
                if path.is_file():
                    with path.open("rb") as file:
                        os.fsync(file.fileno())
            if folder.exists():
                os.replace(folder, leaving)
            os.replace(fresh, folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    shutil.rmtree(leaving, ignore_errors=True)


def _hashes(folder: Path) -> dict[str, str]:
    """`sha256:...` of all files below `folder`, by their paths there."""
    hashes = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                hashes[path.relative_to(folder).as_posix()] = (
                    "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
                )
    return hashes
