"""A cell's run folder: what an unfinished cell keeps between attempts, and who may touch it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from metabench.errors import ClaimedError
from metabench.runs.kept.progress import read_progress
from metabench.runs.kept.record import Cell, digest_of
from metabench.system.home import home
from metabench.system.writing import check_room, writing

PATIENCE = 1.0
"""Seconds to wait for a cell's lock: `is_claimed` holds it for a moment."""


def run_folder(cell: Cell) -> Path:
    """Folder of a cell's checkpoints and finished parts, below `home()/runs`."""
    return home() / "runs" / digest_of(cell.model_dump(mode="json")).removeprefix("sha256:")[:32]


def lock_path(folder: Path) -> Path:
    """The file whose lock says that a run folder is in use, on every machine that shares it."""
    return folder.with_suffix(".lock")


def is_claimed(folder: Path) -> bool:
    """Whether a process, here or on another machine, holds a run folder; nothing need be writable."""
    try:
        with lock_path(folder).open(
            "rb"
        ) as file:  # a shared lock needs no more, and goes when the file is closed
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@contextmanager
def claim_cell(cell: Cell, patience: float = PATIENCE) -> Iterator[Path]:
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
            f"cell {cell.path}: {_name_holder(folder)} is running it; `metabench status` tells how far it is, and the "
            "same command takes what it has done when it has ended"
        ) from error
    try:
        yield folder
    finally:
        if not folder.exists():
            file.unlink(missing_ok=True)
        lock.release()


def _name_holder(folder: Path) -> str:
    """Who holds a run folder, as far as it says so itself."""
    progress = read_progress(folder)
    return (
        "another process" if progress is None else f"process {progress.process} on {progress.host}"
    )
