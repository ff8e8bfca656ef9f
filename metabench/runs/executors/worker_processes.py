"""Worker processes for cells: whatever a cell does to its worker, others go on with the rest."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import ModuleType
from typing import Any

from metabench.methods.registry import is_built_in
from metabench.runs.executors.events import ENDS, Event, Listener, RunCell, decode_event
from metabench.runs.executors.inside_worker import work
from metabench.runs.isolation.limits import Watch, end_with_all_below
from metabench.runs.planned_cell import PlannedCell
from metabench.runs.settings import Settings
from metabench.system.cores import count_available_cores
from metabench.system.foreign import remove_folder

POLL_SECONDS = 0.2
"""How often it is asked whether to stop, and whether the workers live and keep to their limits."""

LONGEST_EVENT = 1 << 20
"""Bytes of an event; the code that runs in a worker is not trusted to be brief."""

LEAVING_SECONDS = 5.0
"""How long a worker may take to end once it is let go: a plugin may have left a thread that never does."""

_ENDING_SECONDS = 1.0


def runs_foreign_code(planned: Iterable[PlannedCell]) -> bool:
    """Whether any of the cells that wait is of a method that does not ship with metabench."""
    waiting = {cell.spec for cell in planned if cell.state == "waiting"}
    return not all(map(is_built_in, waiting))


@dataclass
class _Worker:
    """A process, and what is known of it: its cell, the method that it runs, when it was let go."""

    process: Any
    connection: Connection
    device: str
    scratch: Path
    index: int | None = None
    spec: str | None = None
    leaving: float | None = None
    watch: Watch | None = None
    heard: bytearray = field(default_factory=bytearray)


class Workers:
    """Processes that run cells; one that dies, or takes too much, fails its cell only."""

    def __init__(
        self,
        planned: Sequence[PlannedCell],
        settings: Settings,
        count: int,
        devices: Sequence[str],
        run_cell: RunCell,
        listener: Listener,
        lost: Callable[[int, str], None],
        cancelled: Callable[[], bool],
    ) -> None:
        """Start none yet.

        Args:
            planned: all cells.
            settings: how cells are run; the limits hold for each cell.
            count: number of processes.
            devices: dealt out to them in turn.
            run_cell: runs a cell in a worker: a function that can be named from another process.
            listener: told of every event, here.
            lost: told of a cell whose worker died or was ended, and why.
            cancelled: asked often; true stops all cells.
        """
        self._context = multiprocessing.get_context("spawn")
        self._planned = planned
        self._settings = settings
        self._count = count
        self._devices = [
            devices[place % len(devices)] for place in range(count)
        ]  # of the workers to be started
        self._run_cell = run_cell
        self._listener = listener
        self._lost = lost
        self._cancelled = cancelled
        self._stop = self._context.Event()
        self._workers: dict[Connection, _Worker] = {}
        self._queue: deque[int] = deque()

    def run(self, waiting: Sequence[int]) -> None:
        """Run the cells of these indices."""
        self._queue.extend(waiting)
        try:
            while len(self._workers) < self._count:
                self._start()
            while self._workers:
                if self._cancelled() and not self._stop.is_set():
                    self._stop.set()
                    self._queue.clear()
                ready = wait(list(self._workers), POLL_SECONDS)
                for worker in list(self._workers.values()):
                    self._attend(worker, worker.connection in ready)
        finally:
            for worker in self._workers.values():
                _end_worker(worker)

    def _start(self) -> None:
        ours, theirs = self._context.Pipe()
        scratch = Path(tempfile.mkdtemp(prefix="metabench-worker-"))
        worker = _Worker(None, ours, self._devices.pop(0), scratch)
        settings = replace(self._settings, device=worker.device)
        arguments = (
            theirs,
            self._stop,
            settings,
            count_available_cores(self._count),
            self._run_cell,
            scratch,
        )
        # No daemon: these may not start processes, and data loaders do.
        worker.process = self._context.Process(target=work, args=arguments)
        with _leave_program_out():
            worker.process.start()
        theirs.close()
        self._workers[ours] = worker
        self._give_next(worker)

    def _give_next(self, worker: _Worker) -> None:
        """Give a free worker its next cell, or let it go."""
        worker.watch, worker.index = None, None
        if self._queue and self._may_run(worker, self._planned[self._queue[0]]):
            worker.index = self._queue.popleft()
            worker.spec = self._planned[worker.index].spec
        else:
            worker.leaving = time.monotonic()
        with suppress(OSError):  # a dead worker is found out soon
            place = worker.index
            task = None if place is None else (place, _make_whole(self._planned[place]))
            worker.connection.send(task)

    def _may_run(self, worker: _Worker, cell: PlannedCell) -> bool:
        """What foreign code left in a worker, nobody else shall find there."""
        known = worker.spec
        return known is None or known == cell.spec or self._settings.isolate or is_built_in(known)

    def _attend(self, worker: _Worker, ready: bool) -> None:
        """Hear what a worker has to say, and see whether it should go on."""
        dead = (
            not worker.process.is_alive()
        )  # asked before reading: what a dead worker has said is read first
        said = _read_available(worker.connection) if ready else b""
        *lines, rest = (bytes(worker.heard) + said).split(b"\n")
        worker.heard = bytearray(rest)
        for line in lines:
            event = decode_event(line, worker.index)
            if event is None:
                self._drop(worker, "the worker process sent an invalid event")
                return
            self._hear(worker, event)
        excess = None if worker.watch is None else worker.watch.excess()
        if excess is not None:
            self._drop(worker, excess)
        elif worker.leaving and time.monotonic() - worker.leaving > LEAVING_SECONDS:
            self._drop(worker, "")
        elif len(worker.heard) > LONGEST_EVENT:
            self._drop(worker, "the worker process sent an invalid event")
        elif (dead and not ready) or (ready and not said):
            worker.process.join(_ENDING_SECONDS)
            status = worker.process.exitcode
            self._drop(
                worker,
                "the worker process closed its connection"
                if status is None
                else f"the worker process ended with status {status}",
            )

    def _hear(self, worker: _Worker, event: Event) -> None:
        if event.kind == "started":
            worker.watch = Watch(worker.process.pid, self._settings.limits)
        self._listener(event)
        if event.kind in ENDS:
            self._give_next(worker)

    def _drop(self, worker: _Worker, message: str) -> None:
        """Do without a worker; if it had a cell, that is lost, and another goes on with the rest."""
        _end_worker(worker)
        del self._workers[worker.connection]
        self._devices.insert(0, worker.device)  # the worker that takes its place gets its GPU
        if worker.index is not None:
            self._lost(worker.index, message)
        if self._queue:
            self._start()


@contextmanager
def _leave_program_out() -> Iterator[None]:
    """Processes are started meanwhile without this program's own file, which would be run in each of them again."""
    program = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = program


def _end_worker(worker: _Worker) -> None:
    """End a worker and all that it started."""
    if worker.process.is_alive():
        end_with_all_below(worker.process.pid)
    with suppress(ProcessLookupError):
        os.killpg(
            worker.process.pid, signal.SIGKILL
        )  # its session: what a worker that died by itself left
    worker.process.join()
    worker.connection.close()
    remove_folder(worker.scratch)


def _read_available(connection: Connection) -> bytes:
    """What there is to read, at least a byte; nothing at the end."""
    try:
        return os.read(connection.fileno(), 1 << 16)
    except OSError:
        return b""


def _make_whole(cell: PlannedCell) -> PlannedCell:
    """The cell with whole paths: foreign code may change the folder that others begin at."""
    return replace(cell, results=cell.results.absolute(), suite_folder=cell.suite_folder.absolute())
