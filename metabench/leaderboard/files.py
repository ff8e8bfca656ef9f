"""A folder of records: finding and reading them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from metabench.errors import DataError
from metabench.runs.record import Record, read_record

FAILED_SUFFIX = ".failed.json"
"""Results folders also hold the reports of failed cells; they are no records."""

BUILT_FILE = "leaderboard.json"
"""What lies beside this file was built from records, perhaps into their own folder, and is none itself."""


def record_paths(folder: Path) -> list[Path]:
    """All record files below `folder`, sorted; raises `DataError` if it is no folder."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected one that holds records")
    built = {path.parent for path in folder.rglob(BUILT_FILE)}
    return sorted(
        path
        for path in folder.rglob("*.json")
        if not path.name.endswith(FAILED_SUFFIX)
        and path.parent not in built
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def read_records(folder: Path) -> Iterator[tuple[Path, Record]]:
    """Read all records below `folder`, one at a time.

    Raises:
        DataError: a file is no valid record; names it and says how to see all such findings.
    """
    for path in record_paths(folder):
        try:
            yield path, read_record(path)
        except DataError as error:
            raise DataError(f"{error} (all findings: metabench leaderboard check --records {folder})") from error
