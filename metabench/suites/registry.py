"""Reading suites: by name or from a folder, validated against the schema and the task family."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from metabench.envs import load_family
from metabench.errors import DataError, UnknownNameError
from metabench.suites.folders import suite_folder
from metabench.suites.schema import SuiteEntry
from metabench.suites.suite import Suite
from metabench.suites.task_distribution import draw_task
from metabench.suites.toml_files import read_toml


def load_suite(name: str | Path) -> Suite:
    """Load and validate a suite by name, or from a folder that holds a suite.toml.

    A `Path`, or a string with a slash (`./my-suite`), is a folder; any other string is a name.

    Raises:
        UnknownNameError: no suite has this name.
        DataError: suite.toml is broken; the message names file, key and what was expected.
        MetabenchError: a plugin cannot be loaded, or two plugins give this name.
    """
    if isinstance(name, str) and "/" not in name:
        return read_suite(suite_folder(name))
    return read_suite(Path(name).resolve())


def read_suite(folder: Path) -> Suite:
    """Read `folder/suite.toml`; raises `DataError` naming file, key and expectation."""
    path = folder / "suite.toml"
    return Suite(_validated(read_toml(path), path), folder)


def _validated(content: Mapping[str, Any], path: Path) -> SuiteEntry:
    try:
        entry = SuiteEntry.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "(whole file)"
        given = "" if first["type"] in ("missing", "value_error") else f", found {first['input']!r:.60}"
        raise DataError(f"{path}: {key}: {first['msg'].removeprefix('Value error, ')}{given}") from error
    if entry.name != path.parent.name:
        raise DataError(f"{path}: name: expected {path.parent.name!r}, the folder's name, found {entry.name!r}")
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
        if dataset.minari is not None:
            continue
        for behaviour in dataset.behaviours:
            if behaviour not in behaviours:
                problem = UnknownNameError("behaviour", behaviour, behaviours)
                raise DataError(f"{path}: datasets.{name}.behaviours: {problem}")
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
        raise DataError(f"{path}: teachers: {name!r} has none of its own, it uses those of {owner['teachers']!r}")
