"""Earlier versions of a suite: `archive/v1.toml` beside suite.toml, each the suite.toml of its time, byte for byte.

They are read, and records made with them are scored by them. Nothing is run in them: the code of their task family may
have changed since, so that it is not asked about them either.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from metabench.errors import DataError, MetabenchError, first_problem
from metabench.suites.folders import archived_path, list_archived_versions
from metabench.suites.schema import SuiteEntry
from metabench.suites.suite import Suite
from metabench.system.toml_files import read_toml


def read_archived(folder: Path, version: int) -> Suite:
    """Read an archived version of the suite in `folder`.

    Raises:
        MetabenchError: it is not there.
        DataError: it is broken, or of another suite or version; names file and key.
    """
    path = archived_path(folder, version)
    if version not in list_archived_versions(folder):
        there = ", ".join(f"v{each}" for each in list_archived_versions(folder)) or "none"
        raise MetabenchError(
            f"suite {folder.name}: version {version} is not archived; archived: {there}"
        )
    try:
        entry = SuiteEntry.model_validate(read_toml(path))
    except ValidationError as error:
        raise DataError(f"{path}: {first_problem(error)}") from error
    if (entry.name, entry.version) != (folder.name, version):
        raise DataError(
            f"{path}: expected {folder.name} version {version}, found {entry.name} version {entry.version}"
        )
    return Suite(entry, folder, archived=True)
