"""Ctrl-C, or the signal that a scheduler ends programs with: the first asks to stop, the second stops at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def catch_interrupt(asked: Callable[[], None] = lambda: None) -> Iterator[Callable[[], bool]]:
    """While entered, the first Ctrl-C or SIGTERM only makes the yielded function true; the second ends all.

    Args:
        asked: called once, at the first of them.
    """
    wanted = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        wanted.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, before[signal.SIGTERM])
        asked()

    for number in before:
        signal.signal(number, stop)
    try:
        yield wanted.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
