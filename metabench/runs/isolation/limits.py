"""What a cell may take: seconds and memory, and how a process that took more is ended with all that it started."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metabench.errors import MetabenchError

if TYPE_CHECKING:
    import psutil

_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_BYTES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
MEASURE_SECONDS = 0.25
"""How often memory is measured."""

_ENDING_SECONDS = 1.0


@dataclass(frozen=True)
class Limits:
    """What a cell, or the evaluation of a policy in a process of its own, may take.

    Attributes:
        seconds: time from its start, or from where it goes on after an interruption; None is no limit.
        memory_bytes: memory of its processes together; None is no limit.
    """

    seconds: float | None = None
    memory_bytes: int | None = None

    @property
    def given(self) -> bool:
        """Whether there is any."""
        return self.seconds is not None or self.memory_bytes is not None


NO_LIMITS = Limits()


def read_limits(seconds: str | None, memory: str | None) -> Limits:
    """Limits as users type them: `90`, `90s`, `15m`, `2h`; `500M`, `4G`, `4GiB`; None is no limit.

    Raises:
        MetabenchError: a value is neither; names the option.
    """
    return Limits(
        None
        if seconds is None
        else _read(seconds, "--time-limit", r"(s|m|h|)", _SECONDS, "90, 90s, 15m, 2h"),
        None
        if memory is None
        else int(_read(memory, "--memory-limit", r"([KMGT]?)(?:i?B)?", _BYTES, "500M, 4G")),
    )


class Watch:
    """Tells whether a process, with all that it started, keeps to its limits."""

    def __init__(self, process: int, limits: Limits) -> None:
        """Watch the process of that number from now on."""
        self._process = process
        self._limits = limits
        self._start = self._measured = time.monotonic()

    def excess(self) -> str | None:
        """What it took too much of: `ran longer than its limit of 60 s`; None if it keeps to its limits."""
        now, limits = time.monotonic(), self._limits
        if limits.seconds is not None and now - self._start > limits.seconds:
            return f"ran longer than its limit of {limits.seconds:g} s"
        if limits.memory_bytes is not None and now - self._measured >= MEASURE_SECONDS:
            self._measured = now
            used = memory_of(self._process)
            if used > limits.memory_bytes:
                return f"used {_gibibytes(used)} of memory, more than its limit of {_gibibytes(limits.memory_bytes)}"
        return None


def memory_of(process: int) -> int:
    """Bytes of memory that a process and all below it use, what they share counted once where the system tells."""
    import psutil

    used = 0
    with suppress(psutil.Error):
        for one in (psutil.Process(process), *below(process)):
            with suppress(psutil.Error):
                try:
                    used += one.memory_full_info().pss
                except (
                    psutil.AccessDenied,
                    AttributeError,
                ):  # another user's, or a system without such a measure
                    used += one.memory_info().rss
    return used


def below(process: int) -> list[psutil.Process]:
    """All living processes that a process started, and those that they started."""
    import psutil

    try:
        return [one for one in psutil.Process(process).children(recursive=True) if _lives(one)]
    except psutil.Error:
        return []


def end_with_all_below(process: int) -> None:
    """Kill a process, after all that it started: stopped first, it can start no others meanwhile."""
    import psutil

    with suppress(psutil.Error):
        root = psutil.Process(process)
        root.suspend()
        while started := below(process):
            end_all(started)
        root.kill()


def end_all(processes: list[psutil.Process]) -> None:
    """Kill processes, and wait until they are gone."""
    import psutil

    for one in processes:
        with suppress(psutil.Error):
            one.kill()
    until = time.monotonic() + _ENDING_SECONDS
    while any(map(_lives, processes)) and time.monotonic() < until:
        time.sleep(0.002)


def _lives(process: psutil.Process) -> bool:
    """Whether it still runs; one whose parent has not yet heard of its end does not."""
    import psutil

    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _read(value: str, option: str, unit: str, sizes: Mapping[str, float], examples: str) -> float:
    found = re.fullmatch(rf"\s*(\d+(?:\.\d+)?)\s*{unit}\s*", value, re.IGNORECASE)
    number = (
        0.0
        if found is None
        else float(found[1]) * sizes.get(found[2], sizes.get(found[2].upper(), 0.0))
    )
    if number <= 0:
        raise MetabenchError(
            f"{option}: expected a number above 0, perhaps with a unit ({examples}), found {value!r}"
        )
    return number


def _gibibytes(count: int) -> str:
    return f"{count / (1 << 30):.2g} GiB"
