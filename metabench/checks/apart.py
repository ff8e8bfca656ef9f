"""The checks in a process of their own: code that exits or crashes there cannot look as if it passed."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from types import ModuleType
from typing import Any

from metabench.checks.finding import Finding
from metabench.errors import MetabenchError


def iterate_checks_apart(name: str, *, preset: str = "tiny") -> Iterator[Finding]:
    """The findings of `iterate_named_checks`, which runs in another process; one more if that ends too soon.

    Args:
        name: a method's or suite's name, `path/to/file.py:Class`, or a suite's folder.
        preset: which budget to train a method with.

    Raises:
        MetabenchError: nothing has this name, or it cannot be loaded; in the same words.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_send_findings, args=(theirs, name, preset), daemon=True)
    program = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")  # else its file would be run there again
    try:
        process.start()
    finally:
        sys.modules["__main__"] = program
    theirs.close()
    last: Finding | None = None
    try:
        while (said := _hear(ours)) is not None:
            if said["kind"] == "end":
                return
            if said["kind"] == "error":
                raise MetabenchError(said["text"])
            last = Finding(**said["finding"])
            yield last
        process.join()
        yield _tell_end(process.exitcode or 0, last)
    finally:
        process.kill()
        process.join()
        ours.close()


def _hear(connection: Connection) -> dict[str, Any] | None:
    """What the process says next; None if it is gone."""
    with suppress(EOFError, OSError):
        # JSON, not pickle: what foreign code could write here is data and never code.
        said: dict[str, Any] = json.loads(connection.recv_bytes())
        return said
    return None


def _tell_end(status: int, last: Finding | None) -> Finding:
    """That the process ended before the last check, and after which."""
    how = f"with status {status}" if status >= 0 else f"by {signal.Signals(-status).name}"
    after = f"after the check {last.title!r}" if last else "before the first check"
    return Finding(
        suite=last.suite if last else "",
        title="ends",
        expected="the checks run to their end",
        problem=f"the process that runs them ended {how}, {after}",
    )


def _send_findings(connection: Connection, name: str, preset: str) -> None:
    """Run the checks here, and send what they find as lines of JSON."""
    from metabench.checks.suite import iterate_named_checks

    own = os.getpid()

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
