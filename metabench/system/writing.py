"""Writing to a disk that may be full, read-only or failing: one line says which file, why, and what to do."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from metabench.errors import MetabenchError, StorageError
from metabench.system.home import home, minari_root

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_PERMISSION = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_NO_FOLDER = frozenset({errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EEXIST})
_DISK = frozenset({errno.EIO, errno.ESTALE, errno.ENOLCK})

PAGE = 4096
"""Bytes that a file with anything in it takes of most disks."""

_SAID = re.compile(r"\(os error (\d+)\)|errno = (\d+)|\[Errno (\d+)\]")
"""How safetensors and HDF5 say in words which error the system reported."""

_CUT_SHORT = re.compile(r"\d+ requested and \d+ written")
"""How NumPy says that the disk took only a part of an array."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the disk does to those who write `path`, or below it, into a `StorageError`.

    Other errors pass: a method that saves its policy may raise anything.

    Raises:
        StorageError: there is no space, no permission, no such folder, or the disk fails; names the file and says what
            to do.
    """
    try:
        yield
    except StorageError:
        raise
    except Exception as error:
        number = _find_error_number(error)
        if number is None or not _is_about(error, path):
            raise
        raise _make_storage_error(number, f"{path}: cannot be written", path) from error


def explain_storage_error(error: BaseException) -> StorageError | None:
    """What to tell of an error of whatever was being done; None if the disk is not to blame, or it says so itself."""
    number = _find_error_number(error)
    if number is None or isinstance(error, MetabenchError):
        return None
    name = (
        error.filename if isinstance(error, OSError) and isinstance(error.filename, str) else None
    )
    return _make_storage_error(
        number, f"{name or 'a file'}: cannot be used", None if name is None else Path(name)
    )


def _is_about(error: Exception, path: Path) -> bool:
    """Whether an error in writing `path` is about it, what is below it or what stands for it until it is whole."""
    name = error.filename if isinstance(error, OSError) else None
    return (
        not isinstance(name, str)
        or Path(name).is_relative_to(path.parent)
        or path.is_relative_to(name)
    )


def _make_storage_error(number: int, problem: str, path: Path | None) -> StorageError:
    """What to tell of the system's error `number`, and what to do where `path` lies."""
    where = _find_setting(path)
    if number in _NO_SPACE:
        todo = f"free some space there, or choose another folder with {where}"
    elif number in _NO_PERMISSION:
        todo = f"make the folder writable, or choose another one with {where}"
    elif number in _NO_FOLDER:
        todo = f"choose another folder with {where}"
    else:
        todo = f"look after the disk, or choose another folder with {where}"
    return StorageError(
        f"{problem}: {os.strerror(number)}; {todo}, then run the same command again"
    )


def write_whole(path: Path, content: str | bytes) -> None:
    """Write `content` to `path`: a reader finds the old content or the new, never a part of it.

    Raises:
        StorageError: the disk is full, read-only or fails; `path` is as it was.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with fresh.open("wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)


def check_room(folder: Path, room: int = PAGE) -> None:
    """Take so much of the disk of `folder`, which is made if missing, and give it back: better told now than later.

    Args:
        folder: a file is made in it and removed again.
        room: bytes.

    Raises:
        StorageError: that cannot be done; as `writing`.
    """
    probe = folder / f".room.{os.getpid()}"
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with probe.open("wb") as file:
                file.write(b"\0" * PAGE)
                file.flush()
                _allocate(file.fileno(), max(room, PAGE))
        finally:
            probe.unlink(missing_ok=True)


def _allocate(number: int, room: int) -> None:
    """Take so many bytes of the disk for the open file of that number, where the system can."""
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(number, 0, room)
        except OSError as error:
            if error.errno not in (
                errno.EOPNOTSUPP,
                errno.EINVAL,
                errno.ENOSYS,
            ):  # this disk does not know how
                raise


def _find_error_number(error: BaseException) -> int | None:
    """The number of the system's error behind `error`; None if the disk is not to blame."""
    number = error.errno if isinstance(error, OSError) else None
    if number is None:
        said = _SAID.search(str(error))
        if said is not None:
            number = int(next(group for group in said.groups() if group))
        elif _CUT_SHORT.search(str(error)):
            number = errno.ENOSPC
    return number if number in _NO_SPACE | _NO_PERMISSION | _NO_FOLDER | _DISK else None


def _find_setting(path: Path | None) -> str:
    """What decides where `path` lies."""
    for variable, root in (("$METABENCH_HOME", home()), ("$MINARI_DATASETS_PATH", minari_root())):
        if path is not None and path.absolute().is_relative_to(root.absolute()):
            return variable
    return "the option that names it (--results, --records, --output)"
