"""Locks beside the folders of datasets, for those who write them; who only reads may do without."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from metabench.errors import StorageError
from metabench.system.writing import writing


@contextmanager
def lock_folder(folder: Path, *, needed: bool = True) -> Iterator[None]:
    """Hold the lock beside `folder`, which need not exist, waiting for whoever has it.

    Args:
        folder: a dataset's.
        needed: whether the folder is to be written. If not, and no lock can be had, since the disk is read-only or
            the folder another user's, it is done without.

    Raises:
        StorageError: the lock is needed and cannot be had.
    """
    from filelock import FileLock

    try:
        with writing(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            # Who may write the folder may take its lock: a lock of its first user's alone would keep all others out.
            mode = (
                folder.parent.stat().st_mode & 0o666 | 0o600
            )  # its owner's in any case: it must be opened
            lock = FileLock(folder.with_name(f".{folder.name}.lock"), mode=mode)
            lock.acquire()
    except StorageError:
        if needed:
            raise
        yield
        return
    try:
        yield
    finally:
        lock.release()
