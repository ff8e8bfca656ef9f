"""Datasets that were imported for a suite's tasks: kept below `home`, they stand beside those of its suite.toml."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from metabench.errors import DataError, first_problem
from metabench.suites.folders import imported_folder
from metabench.suites.recipes.dataset_entry import DatasetEntry
from metabench.suites.schema import SuiteEntry
from metabench.suites.suite import Suite
from metabench.system.writing import write_whole


def imported_path(suite: Suite, dataset: str) -> Path:
    """The file of an imported dataset's entry; those of another version of the suite lie elsewhere."""
    return imported_folder(suite.identity) / f"{dataset}.json"


def add_imported(suite: Suite) -> Suite:
    """`suite` with the datasets that were imported for it here; names in suite.toml win.

    Raises:
        DataError: an entry is damaged, or does not fit the suite's tasks; names the file.
    """
    datasets: dict[str, DatasetEntry] = {}
    for path in sorted(imported_folder(suite.identity).glob("*.json")):
        if path.stem in suite.entry.datasets:
            continue
        with_it = {**suite.entry.datasets, path.stem: _read_entry(path)}
        try:
            SuiteEntry.model_validate({**suite.entry.model_dump(), "datasets": with_it})
        except ValidationError as error:
            raise DataError(
                f"{path}: {first_problem(error)}; import it again or delete it"
            ) from error
        datasets[path.stem] = with_it[path.stem]
    if not datasets:
        return suite
    entry = suite.entry.model_copy(update={"datasets": {**suite.entry.datasets, **datasets}})
    return dataclasses.replace(suite, entry=entry)


def write_imported(suite: Suite, dataset: str, entry: DatasetEntry) -> None:
    """Let `suite` have `dataset` from now on, here.

    Raises:
        StorageError: the file cannot be written.
    """
    path = imported_path(suite, dataset)
    write_whole(path, entry.model_dump_json(indent=1, exclude_defaults=True) + "\n")


def _read_entry(path: Path) -> DatasetEntry:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        return DatasetEntry.model_validate(content)
    except ValidationError as error:
        raise DataError(f"{path}: {first_problem(error)}; import it again or delete it") from error
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read: {error}; import it again or delete it") from error
