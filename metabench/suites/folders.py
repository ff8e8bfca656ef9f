"""Where suites lie: `datasets/` of the checkout or the installation, and the folders that plugins' entry points name.

Finding them imports neither their families nor the schema, so that listing suites is quick.
"""

from __future__ import annotations

import re
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from metabench.errors import DataError, MetabenchError, UnknownNameError
from metabench.system.foreign import call_foreign, name_raised
from metabench.system.home import home, source_root

ENTRY_POINT_GROUP = "metabench.suites"
"""A plugin's entry point names a suite and points at the folder of its suite.toml (a `Path` or a string)."""

ARCHIVE = "archive"
"""Folder beside a suite.toml with its earlier versions."""

_VERSIONED = re.compile(r"(.+)-v([0-9]{1,9})")
_ARCHIVED = re.compile(r"v([1-9][0-9]{0,8})\.toml")


def datasets_folder() -> Path:
    """The folder that holds the built-in suites: `datasets/` in a checkout, `metabench_datasets/` once installed.

    Both lie beside the package. A folder counts only if it holds suites: an installed metabench may have the Hugging
    Face library `datasets` beside it.
    """
    beside = source_root()
    for folder in (beside / "datasets", beside / "metabench_datasets"):
        if any(folder.glob("*/suite.toml")):
            return folder
    raise DataError(
        f"{beside}: expected datasets/ or metabench_datasets/ with */suite.toml, found neither"
    )


def find_built_in_suites() -> dict[str, Path]:
    """Name to folder of every built-in suite."""
    return {
        path.parent.name: path.parent for path in sorted(datasets_folder().glob("*/suite.toml"))
    }


def find_plugin_suites() -> dict[str, tuple[EntryPoint, ...]]:
    """Name to entry points of every plugin suite: one, or more where distributions compete; a built-in name wins."""
    built_in = find_built_in_suites()
    found: dict[str, dict[str, EntryPoint]] = {}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        if point.name not in built_in:
            found.setdefault(point.name, {})[point.value] = point
    return {name: tuple(points.values()) for name, points in found.items()}


def list_suites() -> tuple[str, ...]:
    """Names of all suites, built in and plugins."""
    return tuple(sorted({*find_built_in_suites(), *find_plugin_suites()}))


def split_version(name: str) -> tuple[str, int | None]:
    """`point-robot-v1` as name and version, unless a suite is called so or none is called `point-robot`."""
    found = _VERSIONED.fullmatch(name)
    if found is None or found[1] not in (names := list_suites()) or name in names:
        return name, None
    return found[1], int(found[2])


def is_suite_name(name: str) -> bool:
    """Whether `name` is a suite's, with or without a version."""
    return split_version(name)[0] in list_suites()


def suite_folder(name: str) -> Path:
    """The folder of the suite `name`.

    Raises:
        UnknownNameError: no suite has this name.
        MetabenchError: a plugin cannot be loaded, or two plugins give this name.
    """
    built_in = find_built_in_suites()
    if name in built_in:
        return built_in[name]
    plugins = find_plugin_suites()
    if name not in plugins:
        raise UnknownNameError("suite", name, list_suites())
    if len(plugins[name]) > 1:
        values = " and ".join(sorted(point.value for point in plugins[name]))
        raise MetabenchError(
            f"suite {name!r} is registered twice: by {values}; uninstall one of them"
        )
    (point,) = plugins[name]
    what = f"suite {name!r}: its plugin {point.value}"
    with call_foreign(lambda error: MetabenchError(f"{what} failed to load: {name_raised(error)}")):
        return Path(point.load())


def archived_path(folder: Path, version: int) -> Path:
    """Where `version` of the suite in `folder` lies once it is archived."""
    return folder / ARCHIVE / f"v{version}.toml"


def list_archived_versions(folder: Path) -> tuple[int, ...]:
    """The archived versions of the suite in `folder`, oldest first."""
    names = (_ARCHIVED.fullmatch(path.name) for path in (folder / ARCHIVE).glob("v*.toml"))
    return tuple(sorted(int(found[1]) for found in names if found))


def imported_folder(identity: str) -> Path:
    """Where the entries of datasets lie that were imported here for a suite of this name and version."""
    return home() / "imported" / identity
