"""Inside a worker process: cells are run one after another, whatever the foreign code in them prints or leaves."""

from __future__ import annotations

import gc
import os
import tempfile
import threading
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from metabench.runs.executors.events import Event, RunCell, encode_event
from metabench.runs.isolation.confinement import adopt_orphans
from metabench.runs.isolation.limits import below, end_all
from metabench.runs.settings import Settings
from metabench.system.home import HOME, MINARI, home, minari_root

POLL_SECONDS = 0.2
"""How often it is asked whether the parent lives; progress is told twice as often."""

ORPHANED_SECONDS = 5.0
"""How long cells may take to stop once the parent is gone: foreign code may never ask whether it should."""


def work(
    connection: Connection,
    stop: Any,
    settings: Settings,
    cores: int,
    run_cell: RunCell,
    scratch: Path,
) -> None:
    """Run the cells that are sent, report their events; until told to end, or whoever sends them is gone.

    Args:
        connection: brings cells, and takes events as lines of JSON.
        stop: set when cells should stop and keep what they have done.
        settings: how cells are run.
        cores: that this worker's simulators may use.
        run_cell: runs one.
        scratch: folder for temporary files, which the parent removes.
    """
    os.environ["TMPDIR"] = tempfile.tempdir = str(
        scratch
    )  # what it leaves there, its parent removes
    os.environ["OMP_NUM_THREADS"] = str(
        cores
    )  # by itself, each worker's simulator would take all cores
    # Whole paths, as those of its cells: see `_make_whole`.
    os.environ.update({HOME: str(home()), MINARI: str(minari_root())})
    os.setsid()
    adopt_orphans()
    os.dup2(2, 1)  # what methods print is not what the command prints
    parent, own = os.getppid(), os.getpid()
    threading.Thread(target=_end_without, args=(parent,), daemon=True).start()
    last = 0.0

    def tell(event: Event) -> None:
        nonlocal last
        if os.getpid() != own:  # foreign code forked, and here its other process came back
            os._exit(1)
        now = time.monotonic()
        if event.kind == "progress" and event.done < event.total and now - last < POLL_SECONDS / 2:
            return
        last = now
        # JSON by hand instead of `connection.send`: this side must never unpickle what a worker's code sends.
        line = memoryview(encode_event(event) + b"\n")
        with suppress(OSError):
            while line:
                line = line[os.write(connection.fileno(), line) :]

    def cancelled() -> bool:
        return bool(stop.is_set()) or os.getppid() != parent

    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        if task is None:
            return
        index, planned = task
        before = set(below(os.getpid()))
        run_cell(index, planned, settings, tell, cancelled)
        gc.collect()  # simulators end their own processes
        end_all([process for process in below(os.getpid()) if process not in before])


def _end_without(parent: int) -> None:
    """End this worker, with all that it started, once its parent is gone and it has had time to keep its work."""
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    time.sleep(ORPHANED_SECONDS)
    end_all(below(os.getpid()))
    os._exit(1)
