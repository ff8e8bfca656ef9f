"""Reading published aggregates."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from metabench.errors import DataError
from metabench.leaderboard.entries import Leaderboard


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
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "(whole file)"
        raise DataError(f"{path}: {key}: {first['msg']} (to build it anew: metabench leaderboard build)") from error
