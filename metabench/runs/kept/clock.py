"""How long a training has taken, over all attempts at it."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

from metabench.system.writing import write_whole

LOST_SECONDS = "the clock file of the training was damaged: seconds_training and resumed lack what was before that"


class Clock:
    """Counts the attempts at a training and their seconds, in a file that survives them.

    Attributes:
        attempts: how many, with this one.
        complete: false if the file was damaged: what was before this attempt, or some of it, is not counted.
    """

    EVERY = 5.0
    """Seconds between two writes: what a kill can lose."""

    def __init__(self, path: Path) -> None:
        """Begin an attempt; raises `StorageError` if `path` cannot be written."""
        self._path = path
        attempts, self._before, self.complete = _read(path)
        self.attempts = attempts + 1
        self._start = time.monotonic()
        self.write()

    @property
    def warnings(self) -> tuple[str, ...]:
        """For the record."""
        return () if self.complete else (LOST_SECONDS,)

    @property
    def seconds(self) -> float:
        """Seconds of all attempts so far."""
        return self._before + time.monotonic() - self._start

    def tick(self) -> None:
        """Write the time now and then."""
        if time.monotonic() - self._written >= self.EVERY:
            self.write()

    def write(self) -> None:
        """Write the time."""
        self._written = time.monotonic()
        content = {"attempts": self.attempts, "seconds": self.seconds, "complete": self.complete}
        write_whole(self._path, json.dumps(content))


def _read(path: Path) -> tuple[int, float, bool]:
    """Attempts, their seconds, and whether these are all; a clock is not worth a training that it was lost with."""
    try:
        kept = json.loads(path.read_bytes())
        attempts, seconds, complete = (
            int(kept["attempts"]),
            float(kept["seconds"]),
            bool(kept.get("complete", True)),
        )
    except FileNotFoundError:
        return 0, 0.0, True
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        OverflowError,
        RecursionError,
        AttributeError,
    ):
        return 1, 0.0, False
    if attempts < 1 or not 0.0 <= seconds < math.inf:
        return 1, 0.0, False
    return attempts, seconds, complete
