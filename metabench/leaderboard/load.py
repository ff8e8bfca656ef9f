"""Reading published aggregates, and the records that they are computed from."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from metabench.errors import DataError, first_problem
from metabench.leaderboard.entries import Leaderboard
from metabench.leaderboard.files import read_records
from metabench.runs.record import Record


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
        raise DataError(f"{path}: cannot be read: {error.strerror}; expected a leaderboard.json") from error
    except ValidationError as error:
        raise DataError(f"{path}: {first_problem(error)} (to build it anew: metabench leaderboard build)") from error


def load_records(folder: Path | str) -> list[Record]:
    """All records below a folder, for `aggregate` and `compare_methods`.

    Args:
        folder: of results, or of published records: `leaderboard/records/point-robot-v1`.

    Raises:
        DataError: there is no such folder, or a file in it is no valid record; names it.
    """
    return [record for _, record in read_records(Path(folder))]
