"""A cell's run folder: what an unfinished cell keeps between attempts, and who may touch it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from metabench.errors import CancelledError, ClaimedError
from metabench.runs.kept.progress import FILE, CellProgress, read_progress
from metabench.runs.kept.record import Cell, digest_of
from metabench.system.home import home
from metabench.system.writing import check_room, write_whole, writing

PATIENCE = 1.0
"""Seconds to wait for a cell's lock: `is_claimed` holds it for a moment."""

ASKING = 1.0
"""Seconds between two questions whether to go on waiting."""

REPLACES = "replaces.json"
"""Says in a run folder which record, as it was then, the run is to replace: until then that one counts for nothing."""


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


def list_begun_cells() -> Iterator[tuple[CellProgress, bool]]:
    """What unfinished cells wrote, and whether a process runs them now."""
    for path in sorted((home() / "runs").glob(f"*/{FILE}")):
        progress = read_progress(path.parent)
        if progress is not None:
            yield progress, is_claimed(path.parent)


def begin_replacing(record: Path, folder: Path) -> None:
    """Begin a cell anew in its run folder; its record stays until the next one is written over it.

    Raises:
        StorageError: the run folder cannot be written.
    """
    shutil.rmtree(folder, ignore_errors=True)
    content = {"record": str(record.resolve()), "digest": _hash_file(record)}
    write_whole(folder / REPLACES, json.dumps(content))


def is_replaced(cell: Cell, record: Path) -> bool:
    """Whether the file at `record` is one that a run of `cell`, which has not ended, is to replace."""
    try:
        content = json.loads((run_folder(cell) / REPLACES).read_bytes())
        return bool(
            content["record"] == str(record.resolve()) and content["digest"] == _hash_file(record)
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def _hash_file(path: Path) -> str | None:
    """The hash of a file; None if there is none."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None


@contextmanager
def claim_cell(
    cell: Cell,
    patience: float = PATIENCE,
    record: Path | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[Path]:
    """Hold a cell's run folder, which the caller removes when the cell is finished.

    Args:
        cell: the cell.
        patience: seconds to wait for whoever holds it.
        record: where its record will go; whoever holds it may write another one.
        cancelled: asked now and then; true ends the waiting.

    Raises:
        CancelledError: `cancelled` said so.
        ClaimedError: another process holds it.
        StorageError: `home()` cannot be written to.
    """
    from filelock import FileLock, Timeout

    folder = run_folder(cell)
    check_room(folder.parent)
    file = lock_path(folder)
    lock, end = FileLock(file), time.monotonic() + patience
    while not lock.is_locked:
        try:
            with writing(file):
                lock.acquire(timeout=min(ASKING, max(0.0, end - time.monotonic())))
        except Timeout as error:
            if cancelled():
                raise CancelledError(f"stopped while {_name_holder(folder, record)}") from error
            if time.monotonic() >= end:
                raise ClaimedError(
                    f"{_name_holder(folder, record)}; `metabench status` shows its progress"
                ) from error
    try:
        yield folder
    finally:
        if not folder.exists():
            file.unlink(missing_ok=True)
        lock.release()


def _name_holder(folder: Path, record: Path | None) -> str:
    """Who holds a run folder and for what, as far as it says so itself."""
    progress = read_progress(folder)
    if progress is None:
        return "another process is running this cell"
    other = record is not None and progress.record != record.resolve()
    goal = f" for {progress.record}" if other else ""
    return f"process {progress.process} on {progress.host} is running this cell{goal}"
