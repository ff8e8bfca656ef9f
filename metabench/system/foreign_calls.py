"""Calls of other people's code: whatever it raises, an attempt to end the program included, is a fault of that code."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def call_foreign(make_error: Callable[[BaseException], Exception]) -> Iterator[None]:
    """While entered, what is raised becomes the error that `make_error` makes of it, or that is raised by it.

    Exceptions, `SystemExit`, and `KeyboardInterrupt` unless somebody did press Ctrl-C.

    Args:
        make_error: given what was raised.
    """
    with notice_interrupts() as interrupted:
        try:
            yield
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            made: BaseException = error
            if not (isinstance(error, KeyboardInterrupt) and interrupted()):
                made = make_error(error)
            if made is error:
                raise
            raise made from error


def name_raised(error: BaseException) -> str:
    """What was raised, for one line: `ValueError: no such key`, `SystemExit: 2`."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@contextmanager
def notice_interrupts() -> Iterator[Callable[[], bool]]:
    """Yields what tells whether Ctrl-C was pressed meanwhile; that is handled as before."""
    seen = threading.Event()
    before: Any = None
    if (
        threading.current_thread() is threading.main_thread()
    ):  # no other may set handlers, or gets the signal
        before = signal.getsignal(signal.SIGINT)
    if not callable(before):
        yield seen.is_set
        return

    def notice(number: int, frame: FrameType | None) -> None:
        seen.set()
        before(number, frame)

    signal.signal(signal.SIGINT, notice)
    try:
        yield seen.is_set
    finally:
        if signal.getsignal(signal.SIGINT) is notice:  # Ctrl-C itself may have set another
            signal.signal(signal.SIGINT, before)
