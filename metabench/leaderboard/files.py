"""A folder of records: finding and reading them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from metabench.errors import DataError
from metabench.runs.record import Record, read_record

FAILED_SUFFIX = ".failed.json"
"""Results folders also hold the reports of failed cells; they are no records."""

RECORDS, CARDS, POLICIES = "records", "methods", "policies"
"""Folders of a submission, the first two of a leaderboard as well: the records, a card for each method that is not
built in, saved policies."""

README = "README.md"

BUILT_FILE = "leaderboard.json"
"""What lies beside this file was built from records, perhaps into their own folder, and is none itself."""


def records_folder(folder: Path) -> Path:
    """Where the records of `folder` are: in its `records`, or it is such a folder itself."""
    return folder / RECORDS if (folder / RECORDS).is_dir() else folder


def cards_folder(folder: Path) -> Path:
    """Where the methods' cards of `folder` are, whether there are any or not: in `methods`, beside the records."""
    beside = folder.parent if folder.name == RECORDS and not (folder / CARDS).is_dir() else folder
    return beside / CARDS


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
            raise DataError(f"{error} (all findings: metabench leaderboard check {folder})") from error


def is_published(record: Record, published: Path | None) -> bool:
    """Whether the folder `published` holds `record` where its cell belongs, with the same result."""
    place = record.result.cell.path
    if published is None or place.is_absolute() or ".." in place.parts or not (published / place).is_file():
        return False
    try:
        return read_record(published / place).digest == record.digest
    except DataError:
        return False
