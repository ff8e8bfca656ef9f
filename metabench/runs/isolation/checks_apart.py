"""The checks in a process of their own: code that exits or crashes there cannot look as if it passed."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType
from typing import Any

from metabench.checks.finding import Finding
from metabench.errors import MetabenchError
from metabench.runs.isolation.confinement import adopt_orphans
from metabench.runs.isolation.limits import below, end_all, end_with_all_below

POLL_SECONDS = 0.2
"""How often either process looks whether the other one lives."""


def iterate_checks_apart(name: str, *, preset: str = "tiny") -> Iterator[Finding]:
    """The findings of `iterate_named_checks`, which runs in another process; one more if that ends too soon.

    What the code starts ends with the checks.

    Args:
        name: a method's or suite's name, `path/to/file.py:Class`, or a suite's folder.
        preset: which budget to train a method with.

    Raises:
        MetabenchError: nothing has this name, or it cannot be loaded; in the same words.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    # No daemon: these may not start processes, and data loaders do.
    process = context.Process(target=_send_findings, args=(theirs, _make_whole(name), preset))
    program = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")  # else its file would be run there again
    try:
        process.start()
    finally:
        sys.modules["__main__"] = program
    theirs.close()
    last: Finding | None = None
    try:
        while (said := _hear(ours, process)) is not None:
            if said["kind"] == "end" and last is not None:
                return
            if said["kind"] == "error":
                raise MetabenchError(said["text"])
            if said["kind"] != "finding":
                break
            last = Finding(**said["finding"])
            yield last
        process.join(POLL_SECONDS)
        yield _tell_end(process.exitcode, last)
    finally:
        end_with_all_below(process.pid or 0)
        process.join()
        ours.close()


def _make_whole(name: str) -> str:
    """The name with a whole path, if it is one: foreign code may change the folder that others begin at."""
    path, mark, rest = name.partition(".py:")
    if mark:
        return f"{Path(path).absolute()}{mark}{rest}"
    return f"{Path(name).absolute()}/" if "/" in name and Path(name).is_dir() else name


def _hear(connection: Connection, process: BaseProcess) -> dict[str, Any] | None:
    """What the process says next; None if it is gone, though others may hold its end, or says what is nothing."""
    while not connection.poll(POLL_SECONDS):
        if not process.is_alive() and not connection.poll():
            return None
    try:
        # JSON, not pickle: what foreign code could write here is data and never code.
        said = json.loads(connection.recv_bytes())
    except (EOFError, OSError, ValueError):
        return None
    return said if isinstance(said, dict) and "kind" in said else None


def _tell_end(status: int | None, last: Finding | None) -> Finding:
    """That the process ended before the last check, and after which."""
    after = f"after the check {last.title!r}" if last else "before the first check"
    if status is None:
        how = "sent an invalid finding"
    elif status >= 0:
        how = f"ended with status {status}"
    else:
        known = {
            each.value: each.name for each in signal.Signals
        }  # real-time signals have no names
        how = f"ended by {known.get(-status, f'signal {-status}')}"
    return Finding(
        suite=last.suite if last else "",
        title="ends",
        expected="the checks run to their end",
        problem=f"the process that runs them {how}, {after}",
    )


def _send_findings(connection: Connection, name: str, preset: str) -> None:
    """Run the checks here, and send what they find as lines of JSON."""
    from metabench.checks.suite import iterate_named_checks

    own, parent = os.getpid(), os.getppid()
    adopt_orphans()
    threading.Thread(target=_end_without, args=(parent,), daemon=True).start()

    def send(kind: str, **content: Any) -> None:
        if os.getpid() != own:  # foreign code forked, and its other process came back here
            os._exit(1)
        connection.send_bytes(json.dumps({"kind": kind, **content}).encode())

    try:
        for finding in iterate_named_checks(name, preset=preset):
            send("finding", finding=dataclasses.asdict(finding))
        send("end")
    except MetabenchError as error:
        send("error", text=str(error))
    except KeyboardInterrupt:  # pressed for both processes; the other one says so
        return
    finally:
        if os.getpid() == own:
            end_all(below(own))


def _end_without(parent: int) -> None:
    """End this process and all that it started once whoever asked is gone."""
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    end_all(below(os.getpid()))
    os._exit(1)
