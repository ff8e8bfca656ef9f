"""What a confined process may write: in a mount namespace of its own everything is read-only but a few folders.

Standard library only: this runs before anything else is imported.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

_READ_ONLY, _NO_SETUID, _NO_DEVICES, _NO_PROGRAMS, _REMOUNT, _BIND = 1, 2, 4, 8, 32, 0x1000
_RECURSIVE, _PRIVATE = 0x4000, 0x40000
_KEPT = {"nosuid": _NO_SETUID, "nodev": _NO_DEVICES, "noexec": _NO_PROGRAMS}
"""Options of a mount that must be given again when it is made read-only, or the kernel refuses."""

_MASKED = _NO_SETUID | _NO_DEVICES | _NO_PROGRAMS

SHARED_MEMORY = Path("/dev/shm")
SOCKETS = Path("/run")
"""Where services of the system listen: what answers there may write where its asker may not."""

SCRATCH_BYTES = 1 << 30
"""Room for temporary files, and for shared memory: both are memory."""

_UNREACHABLE = (errno.ENOENT, errno.EINVAL, errno.EACCES)
"""What becomes of a mount that lies below another, or in a folder of somebody else's: nobody gets there."""


def make_private() -> None:
    """Nothing mounted from here on appears outside; raises `OSError`."""
    _mount("none", Path("/"), None, _RECURSIVE | _PRIVATE)


def show_own_processes() -> bool:
    """Let `/proc` be of this process namespace, and let nothing be set there; whether the system allows it."""
    try:
        _mount("proc", Path("/proc"), "proc", _READ_ONLY | _MASKED)
    except OSError:  # a container that masks parts of /proc allows no other view of it
        return False
    return True


def hide(folders: Sequence[Path]) -> None:
    """Show these folders as empty; raises `OSError`."""
    for folder in folders:
        _mount("none", folder, "tmpfs", _READ_ONLY | _MASKED)


def list_listening() -> list[Path]:
    """Files that programs of this machine listen at; a process in another network namespace would be heard, too."""
    try:
        lines = Path("/proc/net/unix").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    named = {line.split(maxsplit=7)[7] for line in lines[1:] if len(line.split(maxsplit=7)) == 8}
    return [Path(name) for name in sorted(named) if name.startswith("/")]


def make_read_only(scratch: Path, writable: Sequence[Path], listening: Sequence[Path]) -> None:
    """Make all that is mounted read-only but `scratch`, `writable` and shared memory.

    Args:
        scratch: becomes an empty folder of this namespace's own, which is gone with it.
        writable: folders that stay as they are.
        listening: what `list_listening` said before the namespace was entered.

    Raises:
        OSError: the system does not allow it.
    """
    for path in listening:
        if path.is_socket():
            _mount("/dev/null", path, None, _BIND)
    needed = (scratch, *writable, Path(sys.prefix), Path(sys.executable).resolve())
    if SOCKETS.is_dir() and not any(SOCKETS in path.parents for path in needed):
        hide([SOCKETS])
    for folder in writable:  # mounts of their own, which the loop below can leave out
        _mount(str(folder), folder, None, _BIND)
    own = [scratch, *([SHARED_MEMORY] if SHARED_MEMORY.is_dir() else [])]
    for folder in own:
        _mount("none", folder, "tmpfs", _NO_SETUID | _NO_DEVICES, f"size={SCRATCH_BYTES},mode=700")
    kept = {*own, *writable}
    for place, options in _list_mounts():
        if place not in kept and "ro" not in options:
            flags = sum(flag for name, flag in _KEPT.items() if name in options)
            try:
                _mount("none", place, None, _REMOUNT | _BIND | _READ_ONLY | flags)
            except OSError as error:
                if error.errno not in _UNREACHABLE:
                    raise
    os.chdir(scratch)  # what was there before lies below what is mounted there now


def _list_mounts() -> list[tuple[Path, set[str]]]:
    """Where something is mounted, and with which options; deepest last."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        fields = line.split(" ")
        name = re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
        found.append((Path(name), set(fields[5].split(","))))
    return found


def _mount(source: str, target: Path, kind: str | None, flags: int, options: str = "") -> None:
    done = ctypes.CDLL(None, use_errno=True).mount(
        source.encode(),
        os.fsencode(target),
        None if kind is None else kind.encode(),
        ctypes.c_ulong(flags),
        options.encode() or None,
    )
    if done != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount {target}: {os.strerror(number)}")
