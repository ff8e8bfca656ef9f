"""The command in a process that another one watches: foreign code that exits in it cannot look as if it was done."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

_PARENT_DEATH_SIGNAL = 1
"""Of Linux's prctl."""

_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD}
"""What the watching process waits for."""


def run_watched(command: Callable[[], None]) -> None:
    """Run `command`, which ends by itself or by `SystemExit`; say so if anything else ends it.

    Elsewhere than on Linux it is run in this process.
    """
    if sys.platform != "linux":
        command()
        return
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    before = signal.pthread_sigmask(
        signal.SIG_BLOCK, _SIGNALS
    )  # none is lost between fork and waiting
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        _end_with_parent()
        own = os.getpid()
        try:
            command()
        finally:
            if os.getpid() == own:  # not in a process that foreign code forked
                os.write(writing, b".")
        return
    os.close(writing)
    status = _wait(child)
    try:
        finished = os.read(reading, 1) == b"."
    except BlockingIOError:  # a process that it left behind holds the other end
        finished = False
    if not finished:
        _tell_end(status)
    sys.exit(status if status >= 0 else 128 - status)


def _wait(child: int) -> int:
    """The exit status of the child, or minus the signal that ended it; the child gets what is sent to this process."""
    while True:
        told = signal.sigwaitinfo(_SIGNALS)
        if told.si_signo == signal.SIGCHLD:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
        elif (
            told.si_code <= 0
        ):  # somebody's; what the kernel sends, as at Ctrl-C, the child has got as well
            os.kill(child, told.si_signo)


def _tell_end(status: int) -> None:
    if status < 0:
        try:
            name = signal.Signals(-status).name
        except ValueError:  # real-time signals have none
            name = f"signal {-status}"
        message = f"the command was ended by {name}"
    else:
        message = (
            f"the command ended with status {status} before it was done: code of a plugin exited in it; "
            "`metabench check` tries a method in a process of its own, and --isolate keeps it apart"
        )
    sys.stderr.write(f"error: {message}\n")
    if status >= 0:
        sys.exit(2)


def _end_with_parent() -> None:
    """Be killed with whoever watches: one who kills the command means this process."""
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
