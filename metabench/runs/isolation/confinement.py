"""What a process gives up before it runs other people's code: Linux namespaces and capabilities, without being root.

In a user namespace of its own a process can trace no process outside, so that it reads neither their memory nor their
environment or open files (`/proc/PID/mem`, `environ`, `fd`). In process and mount namespaces of its own it does not
even see them, nor their command lines, and it can write nowhere but where it may. In an empty network namespace it
reaches no other machine.

Standard library only: this runs before anything else is imported.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from metabench.runs.isolation.mounts import (
    hide,
    list_listening,
    make_private,
    make_read_only,
    show_own_processes,
)

_NEW_MOUNTS, _NEW_HOSTNAME, _NEW_IPC = 0x00020000, 0x04000000, 0x08000000
_NEW_USER, _NEW_PROCESSES, _NEW_NETWORK = 0x10000000, 0x20000000, 0x40000000
_ALL = _NEW_USER | _NEW_PROCESSES | _NEW_MOUNTS | _NEW_NETWORK | _NEW_IPC | _NEW_HOSTNAME
_GET_DUMPABLE, _SET_DUMPABLE, _DROP_BOUND, _SET_SUBREAPER, _NO_NEW_PRIVILEGES = 3, 4, 24, 36, 38
_CAPABILITY_VERSION = 0x20080522

LINUX = sys.platform == "linux"

OTHER_SYSTEM = "only Linux can keep a policy's process from other processes and files of its user, and from the network"
NO_NAMESPACES = (
    "this system grants no user namespaces: a policy's process can see and signal other processes of the same user, "
    "read the memory of those other than the evaluator, write that user's files, and use the network"
)
PROCESSES_SEEN = (
    "this system grants no process namespaces: a policy's process can see and signal other processes of the same user, "
    "write that user's files, and use the network"
)
FILES_WRITTEN = (
    "this system grants no read-only mounts: a policy's process can write its user's files"
)
COMMANDS_SEEN = "this system grants no view of /proc: a policy's process can see the command lines of other processes"


def adopt_orphans() -> None:
    """Become the parent of all processes below that lose theirs, so that none gets away."""
    if LINUX:
        _prctl(_SET_SUBREAPER, 1)


@contextmanager
def unreadable() -> Iterator[None]:
    """While entered, no process of the same user may read this one's memory, environment or open files.

    A process with the capability to trace others still may; `give_up_capabilities` is the answer to that.
    """
    if not LINUX:
        yield
        return
    before = _libc().prctl(_GET_DUMPABLE)
    _prctl(_SET_DUMPABLE, 0)
    try:
        yield
    finally:
        _prctl(_SET_DUMPABLE, 1 if before == 1 else 0)


class Separation(Enum):
    """What the next fork will be separated from the rest of the system by."""

    NOTHING = auto()
    USER = auto()
    """A user namespace: it can trace nobody outside."""
    ALL = auto()
    """Process, mount and network namespaces as well: it sees nobody, and ending it ends all that it started."""


@dataclass(frozen=True)
class Room:
    """What a confined process has of the file system; it can read what its user can, but for what is hidden.

    Attributes:
        scratch: the folder for its temporary files; where it has mounts of its own, they are gone with it.
        writable: other folders that it may write to.
        hidden: folders that it finds empty.
    """

    scratch: Path
    writable: Sequence[Path] = ()
    hidden: Sequence[Path] = ()


def leave_namespaces() -> tuple[Separation, list[Path]]:
    """Move this process, of one thread, into new namespaces as far as the system allows; the next fork is inside.

    Returns:
        As far as that is, and the files that programs outside listen at.
    """
    listening = list_listening() if LINUX else []
    if LINUX:
        for kinds, separation in ((_ALL, Separation.ALL), (_NEW_USER, Separation.USER)):
            if _can_separate(kinds):
                _unshare(kinds)
                return separation, listening
    return Separation.NOTHING, listening


def confine(separation: Separation, listening: Sequence[Path], room: Room) -> list[str]:
    """In the process forked after `leave_namespaces`: show it only itself, and give up what could undo that.

    Args:
        separation: what `leave_namespaces` returned.
        listening: what else it returned.
        room: where it may write, and what it must not see.

    Returns:
        What could not be prevented, a line each.

    Raises:
        OSError: a folder cannot be hidden.
    """
    if not LINUX:
        gaps = [OTHER_SYSTEM]
    elif separation is Separation.ALL:
        make_private()
        gaps = [] if show_own_processes() else [COMMANDS_SEEN]
        hide(room.hidden)
        try:
            make_read_only(room.scratch, room.writable, listening)
        except OSError:
            gaps.append(FILES_WRITTEN)
    else:
        gaps = [PROCESSES_SEEN if separation is Separation.USER else NO_NAMESPACES]
    if room.hidden and separation is not Separation.ALL:
        raise OSError("this system grants no mount namespace")
    if LINUX:
        give_up_capabilities()
    return gaps


def give_up_capabilities() -> None:
    """Keep no privilege of root, and never get one again."""
    libc = _libc()
    # The bounding set too, or a program with file capabilities would give them back. How many there are depends on
    # the kernel: the first unknown number ends the loop.
    number = 0
    while libc.prctl(_DROP_BOUND, ctypes.c_ulong(number)) == 0:
        number += 1
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    if libc.capset(header, (ctypes.c_uint32 * 6)()) != 0:
        raise _error("capset")
    _prctl(_NO_NEW_PRIVILEGES, 1)


def _can_separate(kinds: int) -> bool:
    """Whether the system grants these namespaces: tried in a process that is thrown away."""
    # In a child, since a successful `unshare` cannot be undone.
    child = os.fork()
    if child == 0:
        try:
            _unshare(kinds)
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def _unshare(kinds: int) -> None:
    user, group = os.getuid(), os.getgid()
    if _libc().unshare(kinds) != 0:
        raise _error("unshare")
    own = Path("/proc/self")
    # The kernel lets an unprivileged process map its group only after it has given up `setgroups`.
    (own / "setgroups").write_text("deny", encoding="ascii")
    (own / "uid_map").write_text(f"{user} {user} 1", encoding="ascii")
    (own / "gid_map").write_text(f"{group} {group} 1", encoding="ascii")


def _prctl(option: int, value: int) -> None:
    zero = ctypes.c_ulong(0)
    if _libc().prctl(option, ctypes.c_ulong(value), zero, zero, zero) != 0:
        raise _error("prctl")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _error(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{what}: {os.strerror(number)}")
