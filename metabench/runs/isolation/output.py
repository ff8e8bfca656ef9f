"""What a process of foreign code says: its failures, and the last of what it prints, in letters that may be shown."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import Any

KEPT_BYTES = 8000
"""The last bytes that are kept; a process may print without end."""

_READ_BYTES = 1 << 16
_MOST_READS = 16
"""A process that prints faster than it is read waits for its reader, and its reader not for it."""

_ESCAPE = re.compile("\x1b\\[[0-9;?]*[A-Za-z]")


class Output:
    """A pipe that a process prints to.

    Attributes:
        writing: the number of its open end, for the process; `close_writing` once that has it.
    """

    def __init__(self) -> None:
        """Open the pipe."""
        self._reading, self.writing = os.pipe()
        os.set_blocking(self._reading, False)
        self._kept = b""

    def close_writing(self) -> None:
        """Let go of the process's end."""
        os.close(self.writing)
        self.writing = -1

    def hear(self) -> None:
        """Take what has been printed."""
        with suppress(BlockingIOError):
            for _ in range(_MOST_READS):
                if not (part := os.read(self._reading, _READ_BYTES)):
                    return
                self._kept = (self._kept + part)[-KEPT_BYTES:]

    def quote(self) -> str:
        """The last of what was printed, in letters that a terminal may be shown; empty if there was nothing."""
        self.hear()
        return show_lines(self._kept.decode(errors="replace"))

    def close(self) -> None:
        """End listening; a process that still prints gets an error."""
        os.close(self._reading)
        if self.writing >= 0:
            self.close_writing()


def show_lines(text: str) -> str:
    """The lines of a foreign text without what would move a terminal's cursor or change its colours."""
    lines = _ESCAPE.sub("", text.replace("\r", "\n")).split("\n")
    return "\n".join(filter(None, (_show(line).rstrip() for line in lines)))


def show_line(text: Any) -> str:
    """One line that a terminal can show, whatever the process sent."""
    return " ".join(_show(str(text)).split())


def read_failure(answer: Any) -> tuple[str, str]:
    """The one line that a process says of a failure, and its traceback."""
    line, trace = answer if isinstance(answer, list) and len(answer) == 2 else (answer, "")
    return show_line(line), show_lines(str(trace))


def _show(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)
