"""Reading TOML that somebody else may have written."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from metabench.errors import DataError


def read_toml(path: Path) -> dict[str, Any]:
    """What the file holds, with or without a byte-order mark before it.

    Raises:
        DataError: it cannot be read or is not TOML; names it.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except RecursionError as error:
        raise DataError(f"{path}: not valid TOML: nested too deeply") from error
    except ValueError as error:  # not TOML, not UTF-8, or a number of thousands of digits
        raise DataError(f"{path}: not valid TOML: {error}") from error
