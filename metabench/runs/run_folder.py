"""A cell's run folder: what an unfinished cell keeps between attempts, and who may touch it."""

from __future__ import annotations

import fcntl
import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from metabench.data.home import home
from metabench.data.writing import check_room, writing
from metabench.errors import ClaimedError
from metabench.runs.files import write_whole
from metabench.runs.record import Cell, digest_of

PATIENCE = 1.0
"""Seconds to wait for a cell's lock: `is_claimed` holds it for a moment."""


LOST_SECONDS = "the clock file of the training was damaged: seconds_training and resumed lack what was before that"


def run_folder(cell: Cell) -> Path:
    """Folder of a cell's checkpoints and finished parts, below `home()/runs`."""
    return home() / "runs" / digest_of(cell.model_dump(mode="json")).removeprefix("sha256:")[:32]


def lock_path(folder: Path) -> Path:
    """The file whose lock says that a run folder is in use, on every machine that shares it."""
    return folder.with_suffix(".lock")


def is_claimed(folder: Path) -> bool:
    """Whether a process, here or on another machine, holds a run folder; nothing need be writable."""
    try:
        with lock_path(folder).open("rb") as file:  # a shared lock needs no more, and goes when the file is closed
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@contextmanager
def claimed(cell: Cell, patience: float = PATIENCE) -> Iterator[Path]:
    """Hold a cell's run folder, which the caller removes when the cell is finished.

    Args:
        cell: the cell.
        patience: seconds to wait for whoever holds it.

    Raises:
        ClaimedError: another process holds it.
        StorageError: `home()` cannot be written to.
    """
    from filelock import FileLock, Timeout

    folder = run_folder(cell)
    check_room(folder.parent)
    file = lock_path(folder)
    lock = FileLock(file, timeout=patience)
    try:
        with writing(file):
            lock.acquire()
    except Timeout as error:
        raise ClaimedError(
            f"cell {cell.path}: {_holder(folder)} is running it; `metabench status` tells how far it is, and the same "
            "command takes what it has done when it has ended"
        ) from error
    try:
        yield folder
    finally:
        if not folder.exists():
            file.unlink(missing_ok=True)
        lock.release()


def _holder(folder: Path) -> str:
    """Who holds a run folder, as far as it says so itself."""
    from metabench.runs.progress_file import read_progress

    progress = read_progress(folder)
    return "another process" if progress is None else f"process {progress.process} on {progress.host}"


class Clock:
    """Counts the attempts at a training and their seconds, in a file that survives them.

    Attributes:
        attempts: how many, with this one.
        complete: false if the file was damaged: what was before this attempt, or some of it, is not counted.
    """

    EVERY = 5.0
    """Seconds between two writes: what a kill can lose."""

    def __init__(self, path: Path) -> None:
        """Begin an attempt; raises `StorageError` if `path` cannot be written."""
        self._path = path
        attempts, self._before, self.complete = _read(path)
        self.attempts = attempts + 1
        self._start = time.monotonic()
        self.write()

    @property
    def warnings(self) -> tuple[str, ...]:
        """For the record."""
        return () if self.complete else (LOST_SECONDS,)

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
        content = {"attempts": self.attempts, "seconds": self.seconds, "complete": self.complete}
        write_whole(self._path, json.dumps(content))


def _read(path: Path) -> tuple[int, float, bool]:
    """Attempts, their seconds, and whether these are all; a clock is not worth a training that it was lost with."""
    try:
        kept = json.loads(path.read_bytes())
        attempts, seconds, complete = int(kept["attempts"]), float(kept["seconds"]), bool(kept.get("complete", True))
    except FileNotFoundError:
        return 0, 0.0, True
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError, AttributeError):
        return 1, 0.0, False
    if attempts < 1 or not 0.0 <= seconds < math.inf:
        return 1, 0.0, False
    return attempts, seconds, complete
