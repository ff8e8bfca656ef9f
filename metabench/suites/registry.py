"""Where suites come from: `datasets/` of the checkout or the installation, and the plugins' entry points."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from pydantic import ValidationError

import metabench
from metabench.envs import load_family
from metabench.errors import DataError, MetabenchError, UnknownNameError
from metabench.suites.schema import SuiteEntry
from metabench.suites.suite import Suite

ENTRY_POINT_GROUP = "metabench.suites"
"""A plugin's entry point names a suite and points at the folder of its suite.toml (a `Path` or a string)."""


def datasets_folder() -> Path:
    """The folder that holds the built-in suites: `datasets/` in a checkout, `metabench_datasets/` once installed.

    Both lie beside the package. A folder counts only if it holds suites: an installed metabench may have the Hugging
    Face library `datasets` beside it.
    """
    beside = Path(metabench.__file__).parents[1]
    for folder in (beside / "datasets", beside / "metabench_datasets"):
        if any(folder.glob("*/suite.toml")):
            return folder
    raise DataError(f"{beside}: expected datasets/ or metabench_datasets/ with */suite.toml, found neither")


def built_in_suites() -> dict[str, Path]:
    """Name to folder of every built-in suite."""
    return {path.parent.name: path.parent for path in sorted(datasets_folder().glob("*/suite.toml"))}


def plugin_suites() -> dict[str, tuple[EntryPoint, ...]]:
    """Name to entry points of every plugin suite: one, or more where distributions compete; a built-in name wins."""
    built_in = built_in_suites()
    found: dict[str, dict[str, EntryPoint]] = {}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        if point.name not in built_in:
            found.setdefault(point.name, {})[point.value] = point
    return {name: tuple(points.values()) for name, points in found.items()}


def suite_names() -> tuple[str, ...]:
    """Names of all suites, built in and plugins."""
    return tuple(sorted({*built_in_suites(), *plugin_suites()}))


def load_suite(name: str | Path) -> Suite:
    """Load and validate a suite by name, or from a folder that holds a suite.toml.

    Raises:
        UnknownNameError: no suite has this name.
        DataError: suite.toml is broken; the message names file, key and what was expected.
        MetabenchError: a plugin cannot be loaded, or two plugins give this name.
    """
    if isinstance(name, Path):
        return read_suite(name)
    built_in = built_in_suites()
    if name in built_in:
        return read_suite(built_in[name])
    plugins = plugin_suites()
    if name not in plugins:
        raise UnknownNameError("suite", name, suite_names())
    if len(plugins[name]) > 1:
        values = " and ".join(sorted(point.value for point in plugins[name]))
        raise MetabenchError(f"suite {name!r} is registered twice: by {values}; uninstall one of them")
    (point,) = plugins[name]
    try:
        folder = Path(point.load())
    except Exception as error:
        raise MetabenchError(f"suite {name!r}: its plugin {point.value} failed to load: {error}") from error
    return read_suite(folder)


def read_suite(folder: Path) -> Suite:
    """Read `folder/suite.toml`; raises `DataError` naming file, key and expectation."""
    path = folder / "suite.toml"
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not valid TOML: {error}") from error
    return Suite(_validated(content, path), folder)


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
        family = load_family(entry.family)
    except UnknownNameError as error:
        raise DataError(f"{path}: family: {error}") from error
    for task in entry.task:
        try:
            family.check_parameters(task.parameters)
        except ValueError as error:
            raise DataError(f"{path}: task.{task.id}.parameters: {error}") from error
    behaviours = {"random", *family.teacher(path.parent / "teachers", entry.horizon).behaviours}
    for name, dataset in entry.datasets.items():
        for behaviour in dataset.behaviours:
            if behaviour not in behaviours:
                problem = UnknownNameError("behaviour", behaviour, behaviours)
                raise DataError(f"{path}: datasets.{name}.behaviours: {problem}")
    return entry
