"""Writing a file whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from metabench.data.writing import writing


def write_whole(path: Path, text: str) -> None:
    """Write `text` to `path`: a reader finds the old content or the new, never a part of it.

    Raises:
        StorageError: the disk is full, read-only or fails; `path` is as it was.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with fresh.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)
