"""Standard output: consoles for tables, and a stream whose reader may go and may know fewer characters."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console


WITHOUT_A_TERMINAL = 160
"""Columns of a table that goes to a file or a pipe."""


def make_console() -> Console:
    """A console on standard output: as wide as the terminal, or wide enough for a table's lines where there is none."""
    from rich.console import Console

    console = Console()
    if console.is_terminal or "COLUMNS" in os.environ:
        return console
    return Console(width=WITHOUT_A_TERMINAL)


class PatientOutput:
    """A text stream: what its reader does not take is lost, what its encoding does not have is replaced."""

    def __init__(self, stream: TextIO) -> None:
        """Write to `stream`."""
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        """All else is the stream's own."""
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write `text`; returns its length."""
        try:
            self._stream.write(text)
        except BrokenPipeError:
            self._let_go()
        except UnicodeEncodeError:
            encoding = self._stream.encoding
            self._stream.write(text.encode(encoding, "replace").decode(encoding))
        return len(text)

    def flush(self) -> None:
        """Hand over what was written."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._let_go()

    def _let_go(self) -> None:
        """From now on nobody reads: `run ... | head` goes on to the end of its cells."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
        with suppress(BrokenPipeError):
            self._stream.flush()
