"""Looking for secrets in a process, and in all that can be reached from it.

What is looked for is kept masked, so that it is not in the spy's own memory unless it got there from elsewhere.
"""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import numpy as np

MASK = bytes(byte ^ 0x5A for byte in range(256))


def places(needles, evaluator):
    """Where any of the masked needles is to be found from here, by name of the place; `evaluator` is a process."""

    def holds(data):
        masked = bytes(data).translate(MASK)
        return any(needle in masked for needle in needles)

    found = set()

    def look(place, read):
        try:
            if holds(read()):
                found.add(place)
        except (OSError, ValueError, OverflowError):
            pass

    look("environment", lambda: repr(dict(os.environ)).encode())
    look("arguments", lambda: repr([sys.argv, sys.orig_argv]).encode())
    look("working directory", lambda: str(Path.cwd()).encode())
    for thing in gc.get_objects():
        if type(thing) not in (dict, list, tuple, set):  # asking for more would run code of what is found
            continue
        for item in [*thing, *thing.values()] if type(thing) is dict else list(thing):
            if type(item) is str:
                look("objects", item.encode)
            elif type(item) is float:
                look("objects", np.float64(item).tobytes)
            elif type(item) is np.ndarray and item.dtype.kind == "f":
                look("objects", item.astype(np.float64).tobytes)
    for descriptor in Path("/proc/self/fd").iterdir():
        look("open files", lambda file=descriptor: str(file.readlink()).encode())
        look("open files", lambda file=descriptor: os.pread(int(file.name), 1 << 24, 0))
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            own = int(process.name) == os.getpid()
            for name in ("cmdline", "environ"):
                look(f"own {name}" if own else f"other {name}", (process / name).read_bytes)
            if own or int(process.name) in (os.getppid(), evaluator):
                for data in memory(process):
                    look("own memory" if own else "other memory", lambda data=data: data)
    return sorted(found)


def memory(process):
    """The writable memory of a process, piece by piece."""
    try:
        lines = (process / "maps").read_text().splitlines()
        file = (process / "mem").open("rb", buffering=0)
    except OSError:
        return
    with file:
        for line in lines:
            start, stop = (int(number, 16) for number in line.split()[0].split("-"))
            if line.split()[1].startswith("rw"):
                try:
                    yield os.pread(file.fileno(), stop - start, start)
                except (OSError, OverflowError):
                    continue
