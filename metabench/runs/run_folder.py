"""A cell's run folder: what an unfinished cell keeps between attempts, and who may touch it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from metabench.data.home import home
from metabench.errors import DataError, MetabenchError
from metabench.runs.files import write_whole
from metabench.runs.record import Cell, digest_of

PATIENCE = 1.0
"""Seconds to wait for a cell's lock: `is_claimed` holds it for a moment."""


def run_folder(cell: Cell) -> Path:
    """Folder of a cell's checkpoints and finished parts, below `home()/runs`."""
    return home() / "runs" / digest_of(cell.model_dump(mode="json")).removeprefix("sha256:")[:32]


def lock_path(folder: Path) -> Path:
    """The file whose lock says that a run folder is in use, on every machine that shares it."""
    return folder.with_suffix(".lock")


def is_claimed(folder: Path) -> bool:
    """Whether a process, here or on another machine, holds a run folder."""
    from filelock import FileLock, Timeout

    if not lock_path(folder).exists():
        return False
    try:
        with FileLock(lock_path(folder), timeout=0):
            return False
    except Timeout:
        return True


@contextmanager
def claimed(cell: Cell, patience: float = PATIENCE) -> Iterator[Path]:
    """Hold a cell's run folder, which the caller removes when the cell is finished.

    Args:
        cell: the cell.
        patience: seconds to wait for whoever holds it.

    Raises:
        MetabenchError: another process holds it.
    """
    from filelock import FileLock, Timeout

    folder = run_folder(cell)
    folder.parent.mkdir(parents=True, exist_ok=True)
    file = lock_path(folder)
    lock = FileLock(file, timeout=patience)
    try:
        lock.acquire()
    except Timeout as error:
        raise MetabenchError(f"cell {cell.path}: another process is running it") from error
    try:
        yield folder
    finally:
        if not folder.exists():
            file.unlink(missing_ok=True)
        lock.release()


class Clock:
    """Counts the attempts at a training and their seconds, in a file that survives them."""

    EVERY = 5.0
    """Seconds between two writes: what a kill can lose."""

    def __init__(self, path: Path) -> None:
        """Begin an attempt; raises `DataError` if `path` is damaged."""
        self._path = path
        attempts, self._before = _read(path)
        self.attempts = attempts + 1
        self._start = time.monotonic()
        self.write()

    @property
    def seconds(self) -> float:
        """Seconds of all attempts so far."""
        return self._before + time.monotonic() - self._start

    def tick(self) -> None:
        """Write the time now and then."""
        if time.monotonic() - self._written >= self.EVERY:
            self.write()

    def write(self) -> None:
        """Write the time."""
        self._written = time.monotonic()
        write_whole(self._path, json.dumps({"attempts": self.attempts, "seconds": self.seconds}))


def _read(path: Path) -> tuple[int, float]:
    if not path.exists():
        return 0, 0.0
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return int(kept["attempts"]), float(kept["seconds"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: damaged; delete the folder to start again") from error
