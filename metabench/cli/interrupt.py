"""Ctrl-C: the first asks to stop, the second stops at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def catch_interrupt(asked: Callable[[], None] = lambda: None) -> Iterator[Callable[[], bool]]:
    """While entered, the first Ctrl-C only makes the yielded function true; the second raises `KeyboardInterrupt`.

    Args:
        asked: called once, at the first Ctrl-C.
    """
    wanted = threading.Event()
    before = signal.getsignal(signal.SIGINT)

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        wanted.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)  # the second Ctrl-C
        asked()

    signal.signal(signal.SIGINT, stop)
    try:
        yield wanted.is_set
    finally:
        signal.signal(signal.SIGINT, before)
