"""Reading what a leaderboard is made of: folders of records, and the aggregates built from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import ValidationError

from metabench.errors import DataError, first_problem
from metabench.evaluation.protocol import VALIDATION
from metabench.leaderboard.scores.tables import Leaderboard
from metabench.runs.kept.record import Record, read_record
from metabench.runs.kept.record_file import is_record_name
from metabench.system.home import list_files

RECORDS, CARDS, POLICIES = "records", "methods", "policies"
"""Folders of a submission, the first two of a leaderboard as well: the records, a card for each method that is not
built in, saved policies."""

README = "README.md"

BUILT_FILE = "leaderboard.json"
"""What lies beside this file was built from records, perhaps into their own folder, and is none itself."""


def find_records_folder(folder: Path) -> Path:
    """Where the records of `folder` are: in its `records`, or it is such a folder itself."""
    return folder / RECORDS if (folder / RECORDS).is_dir() else folder


def find_cards_folder(folder: Path) -> Path:
    """Where the methods' cards of `folder` are, whether there are any or not: in `methods`, beside the records."""
    is_records_folder = folder.name == RECORDS and not (folder / CARDS).is_dir()
    return (folder.parent if is_records_folder else folder) / CARDS


def list_record_paths(folder: Path) -> list[Path]:
    """All record files below `folder`, sorted; raises `DataError` if it is no folder.

    A results folder keeps those of validation tasks in `validation`: they are left out, unless that is `folder`.
    """
    if not folder.is_dir():
        raise DataError(
            f"{folder}: no such folder; expected one that holds records (the published ones are in a checkout)"
        )
    files = list_files(folder)
    built = {path.parent for path in files if path.name == BUILT_FILE}
    return [
        path
        for path in files
        if is_record_name(path.name)
        and path.parent not in built
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.relative_to(folder).parts[0] != VALIDATION
    ]


def read_records(folder: Path) -> Iterator[tuple[Path, Record]]:
    """Read all records below `folder`, one at a time.

    Raises:
        DataError: a file is no valid record; names it and says how to see all such findings.
    """
    for path in list_record_paths(folder):
        try:
            yield path, read_record(path)
        except DataError as error:
            raise DataError(
                f"{error} (all findings: metabench leaderboard check {folder})"
            ) from error


def read_folders(folders: Iterable[Path]) -> Iterator[tuple[Path, Record]]:
    """Read all records below several folders, those of an equal result once; raises as `read_records`."""
    seen: dict[str, Path] = {}
    for folder in folders:
        for path, record in read_records(folder):
            if seen.setdefault(record.digest, folder) == folder:
                yield path, record


def is_published(record: Record, published: Path | None) -> bool:
    """Whether the folder `published` holds `record` where its cell belongs, with the same result."""
    if published is None:
        return False
    place = record.path
    if place.is_absolute() or ".." in place.parts:  # a record's names lead nowhere else
        return False
    if not (published / place).is_file():
        return False
    try:
        return read_record(published / place).digest == record.digest
    except DataError:
        return False


def load_leaderboard(path: Path | str) -> Leaderboard:
    """The aggregates in a `leaderboard.json`: entries with their estimates, standings, overall tables.

    Args:
        path: the file, as `metabench leaderboard build` writes it.

    Raises:
        DataError: it cannot be read, or is no leaderboard of this version; names file and key.
    """
    path = Path(path)
    try:
        return Leaderboard.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read: {error.strerror}; expected a leaderboard.json (a checkout has one)"
        ) from error
    except ValidationError as error:
        raise DataError(
            f"{path}: {first_problem(error)} (to build it again: metabench leaderboard build)"
        ) from error


def load_records(folder: Path | str) -> list[Record]:
    """All records below a folder, for `aggregate` and `compare_methods`.

    Args:
        folder: of results, or of published records: `leaderboard/records/point-robot-v1`.

    Raises:
        DataError: there is no such folder, or a file in it is no valid record; names it.
    """
    return [record for _, record in read_records(Path(folder))]
