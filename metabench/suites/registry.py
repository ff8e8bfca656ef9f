"""Reading suites: by name or from a folder, validated against the schema and the task family."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from metabench.envs import load_family
from metabench.errors import DataError, MetabenchError, UnknownNameError, first_problem
from metabench.suites.archive import read_archived
from metabench.suites.folders import split_version, suite_folder
from metabench.suites.imported import add_imported
from metabench.suites.schema import SuiteEntry
from metabench.suites.suite import Suite
from metabench.suites.task_distribution import draw_task
from metabench.system.toml_files import read_toml


def load_suite(name: str | Path) -> Suite:
    """Load and validate a suite by name, or from a folder that holds a suite.toml.

    A `Path`, or a string with a slash (`./my-suite`), is a folder; any other string is a name. A name may end in a
    version, `point-robot-v1`; an earlier version is read from the suite's archive.

    Raises:
        UnknownNameError: no suite has this name.
        DataError: suite.toml is broken; the message names file, key and what was expected.
        MetabenchError: a plugin cannot be loaded, two plugins give this name, or this version is not archived.
    """
    if isinstance(name, str) and "/" not in name:
        return load_named_suite(*split_version(name))
    try:
        folder = Path(name).expanduser().resolve()
    except (
        OSError,
        ValueError,
        RuntimeError,
    ) as error:  # a character that no path can have, a loop of links, an unknown `~user`
        raise DataError(
            f"{str(name)!r:.80}: is no path: {error}; expected a suite's name or folder"
        ) from error
    suite = read_suite(folder)
    # Cells name a suite by its folder; a folder of somebody's own may have the same name.
    return add_imported(suite) if suite.argument == suite.name else suite


def load_named_suite(name: str, version: int | None = None) -> Suite:
    """The suite of that name, which is never a folder: for names that a record or a saved policy brings along.

    Args:
        name: the suite's name, without version.
        version: an archived or the present version; None is the present one.

    Raises:
        UnknownNameError: no suite has this name.
        DataError, MetabenchError: as `load_suite`.
    """
    suite = read_suite(suite_folder(name))
    if version in (None, suite.entry.version):
        return add_imported(suite)
    try:
        return read_archived(suite.folder, version or 0)
    except DataError:
        raise
    except MetabenchError as error:
        raise MetabenchError(f"{error}; {name!r} is at version {suite.entry.version}") from error


def read_suite(folder: Path) -> Suite:
    """Read `folder/suite.toml`; raises `DataError` naming file, key and expectation."""
    path = folder / "suite.toml"
    return Suite(_validate_entry(read_toml(path), path), folder)


def _validate_entry(content: Mapping[str, Any], path: Path) -> SuiteEntry:
    try:
        entry = SuiteEntry.model_validate(content)
    except ValidationError as error:
        raise DataError(f"{path}: {first_problem(error)}") from error
    if entry.name != path.parent.name:
        raise DataError(
            f"{path}: name: expected {path.parent.name!r}, the folder's name, found {entry.name!r}"
        )
    try:
        family = load_family(entry.family, entry.spaces)
    except UnknownNameError as error:
        raise DataError(f"{path}: family: {error}") from error
    except ValueError as error:
        raise DataError(f"{path}: spaces: {error}") from error
    for task in entry.task:
        try:
            family.check_parameters(task.parameters)
        except ValueError as error:
            raise DataError(f"{path}: task.{task.id}.parameters: {error}") from error
    for split, alternatives in (entry.task_distribution or {}).items():
        try:
            for turn in range(len(alternatives)):
                family.check_parameters(draw_task(alternatives, turn, np.random.default_rng(turn)))
        except ValueError as error:
            raise DataError(f"{path}: task_distribution.{split}: {error}") from error
    if entry.teachers is not None:
        _check_owner_of_teachers(entry.teachers, entry.family, path)
    behaviours = {"random", *family.teacher(path.parent / "teachers", entry.horizon).behaviours}
    for name, dataset in entry.datasets.items():
        for behaviour in sorted(dataset.teacher_behaviours - behaviours):
            key = "labels_of" if dataset.labels_of else "stages" if dataset.stages else "behaviours"
            problem = UnknownNameError("behaviour", behaviour, behaviours)
            raise DataError(f"{path}: datasets.{name}.{key}: {problem}")
    return entry


def _check_owner_of_teachers(name: str, family: str, path: Path) -> None:
    """Raise `DataError` unless the suite `name` is of this family and has teachers of its own."""
    try:
        owner = read_toml(suite_folder(name) / "suite.toml")
    except UnknownNameError as error:
        raise DataError(f"{path}: teachers: {error}") from error
    if owner.get("family") != family:
        found = f"{name!r} of family {owner.get('family')!r}"
        raise DataError(f"{path}: teachers: expected a suite of family {family!r}, found {found}")
    if "teachers" in owner:
        raise DataError(
            f"{path}: teachers: {name!r} has no own teachers, it uses those of {owner['teachers']!r}"
        )
