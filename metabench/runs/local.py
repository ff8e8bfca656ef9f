"""The local executor: cells one after another here, or in several processes; a failing cell stops no other."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, Literal, TypeAlias

from metabench.envs.cores import available_cores
from metabench.errors import CancelledError, MetabenchError
from metabench.runs.cells import PlannedCell
from metabench.runs.execute import Settings, execute_cell
from metabench.runs.files import write_whole
from metabench.runs.provenance import timestamp

Kind: TypeAlias = Literal["started", "progress", "finished", "failed", "stopped"]

POLL_SECONDS = 0.2
"""How often the executor asks whether it was cancelled."""


@dataclass(frozen=True)
class Event:
    """What happened to a cell.

    Attributes:
        index: which of the planned cells.
        kind: what happened.
        stage: of progress: `training: policy`, `evaluating: test few-shot: scored episodes`.
        done: of progress: updates or steps done.
        total: of progress: updates or steps in all; 0 if unknown.
        metrics: of progress: what was logged last.
        message: one line: why the cell failed or where it stopped.
    """

    index: int
    kind: Kind
    stage: str = ""
    done: int = 0
    total: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    message: str = ""


Listener: TypeAlias = Callable[[Event], None]


@dataclass(frozen=True)
class Outcome:
    """Indices of the planned cells by what became of them."""

    finished: tuple[int, ...]
    skipped: tuple[int, ...]
    failed: tuple[int, ...]
    stopped: tuple[int, ...]


def run_cells(
    planned: Sequence[PlannedCell],
    settings: Settings,
    *,
    workers: int = 1,
    listener: Listener = lambda event: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Run the cells that wait; one worker runs them in this process, more in as many of their own.

    Processes are spawned, so a script that calls this with several workers needs an `if __name__ == "__main__"` guard.
    Their simulators share the cores, unless `OMP_NUM_THREADS` says how many threads each uses.

    Args:
        planned: what `plan_cells` returned; finished cells are skipped, corrupt ones count as failed.
        settings: device, threads a worker, and so on.
        workers: number of processes.
        listener: told of every event, in this process.
        cancelled: asked often; true stops all cells, and what they have done is kept.
    """
    check_device(settings.device)
    waiting = [index for index, cell in enumerate(planned) if cell.state == "waiting"]
    kinds: dict[int, Kind] = {}

    def heard(event: Event) -> None:
        kinds[event.index] = event.kind
        listener(event)

    for index, cell in enumerate(planned):
        if cell.state == "corrupt":
            heard(Event(index, "failed", message=cell.note))
    if min(workers, len(waiting)) <= 1:
        for index in waiting:
            if cancelled():
                break
            run_cell(index, planned[index], settings, heard, cancelled)
    else:
        _Workers(planned, settings, min(workers, len(waiting)), heard, cancelled).run(waiting)
    ended = {index: kinds.get(index, "stopped") for index, cell in enumerate(planned) if cell.state != "finished"}
    return Outcome(
        finished=tuple(index for index, kind in ended.items() if kind == "finished"),
        skipped=tuple(index for index, cell in enumerate(planned) if cell.state == "finished"),
        failed=tuple(index for index, kind in ended.items() if kind == "failed"),
        stopped=tuple(index for index, kind in ended.items() if kind not in ("finished", "failed")),
    )


def run_cell(
    index: int, planned: PlannedCell, settings: Settings, listener: Listener, cancelled: Callable[[], bool]
) -> None:
    """Run one cell; whatever goes wrong becomes an event and a file beside the record's place."""

    def progress(stage: str, done: int, total: int, metrics: Mapping[str, float]) -> None:
        listener(Event(index, "progress", stage, done, total, metrics))

    listener(Event(index, "started"))
    try:
        execute_cell(planned, settings, progress, cancelled)
    except CancelledError as error:
        listener(Event(index, "stopped", message=str(error)))
    except Exception as error:  # a method may raise anything: this cell fails, the others go on
        message = str(error) if isinstance(error, MetabenchError) else f"{type(error).__name__}: {error}"
        _write_failure(planned, message, traceback.format_exc())
        listener(Event(index, "failed", message=" ".join(message.split())))
    else:
        listener(Event(index, "finished"))


def check_device(device: str) -> None:
    """Raise `MetabenchError` unless torch can use `device` here."""
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise MetabenchError(f"device {device!r} cannot be used: {reason}; expected cpu, cuda or cuda:N") from error


def _write_failure(planned: PlannedCell, message: str, details: str) -> None:
    content = {
        "cell": planned.cell.model_dump(mode="json"),
        "error": message,
        "traceback": details,
        "created": timestamp(),
    }
    write_whole(planned.failure_path, json.dumps(content, indent=2) + "\n")


class _Workers:
    """Processes that run cells; one that dies fails its cell only."""

    def __init__(
        self,
        planned: Sequence[PlannedCell],
        settings: Settings,
        count: int,
        listener: Listener,
        cancelled: Callable[[], bool],
    ) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._planned = planned
        self._settings = settings
        self._count = count
        self._listener = listener
        self._cancelled = cancelled
        self._stop = self._context.Event()
        self._running: dict[Connection, tuple[Any, int | None]] = {}

    def run(self, waiting: Sequence[int]) -> None:
        """Run the cells of these indices."""
        queue = deque(waiting)
        try:
            while len(self._running) < self._count:
                self._start(queue)
            while self._running:
                if self._cancelled() and not self._stop.is_set():
                    self._stop.set()
                    queue.clear()
                for ready in wait(list(self._running), POLL_SECONDS):
                    assert isinstance(ready, Connection)
                    self._hear(ready, queue)
        finally:
            for connection, (process, _) in self._running.items():
                process.terminate()
                process.join()
                connection.close()

    def _start(self, queue: deque[int]) -> None:
        ours, theirs = self._context.Pipe()
        arguments = (theirs, self._stop, self._settings, available_cores(self._count))
        process = self._context.Process(target=_work, args=arguments, daemon=True)
        process.start()
        theirs.close()
        self._running[ours] = (process, None)
        self._next(ours, queue)

    def _next(self, connection: Connection, queue: deque[int]) -> None:
        """Give a free worker its next cell, or let it go."""
        process, _ = self._running[connection]
        index = queue.popleft() if queue else None
        self._running[connection] = (process, index)
        with suppress(OSError):  # a dead worker is found out by reading from it
            connection.send(None if index is None else (index, self._planned[index]))

    def _hear(self, connection: Connection, queue: deque[int]) -> None:
        process, index = self._running[connection]
        try:
            event = connection.recv()
        except (EOFError, OSError):
            process.join()
            connection.close()
            del self._running[connection]
            if index is not None:
                self._lost(index, f"the worker process ended with status {process.exitcode}", queue)
            return
        self._listener(event)
        if event.kind in ("finished", "failed", "stopped"):
            self._next(connection, queue)

    def _lost(self, index: int, message: str, queue: deque[int]) -> None:
        """A cell's worker died: by Ctrl-C, or by a fault of the cell; another goes on with the rest."""
        if self._cancelled():
            self._listener(Event(index, "stopped", message=message))
            return
        _write_failure(self._planned[index], message, "")
        self._listener(Event(index, "failed", message=message))
        if queue:
            self._start(queue)


def _work(connection: Connection, stop: Any, settings: Settings, cores: int) -> None:
    """A worker process: run the cells it is sent, report their events."""
    os.environ["OMP_NUM_THREADS"] = str(cores)  # by itself, each worker's simulator would take all cores
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()
    last = 0.0

    def tell(event: Event) -> None:
        nonlocal last
        now = time.monotonic()
        if event.kind == "progress" and event.done < event.total and now - last < POLL_SECONDS / 2:
            return
        last = now
        with suppress(OSError):
            connection.send(event)

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
        run_cell(index, planned, settings, tell, cancelled)
