"""The local executor: cells one after another here, or in several processes; a failing cell stops no other."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from metabench.errors import (
    CancelledError,
    ClaimedError,
    MetabenchError,
    MethodError,
    StorageError,
)
from metabench.runs.execute_cell import execute_cell
from metabench.runs.executors.events import Event, Listener
from metabench.runs.executors.worker_processes import Workers
from metabench.runs.kept.progress import ProgressFile, read_progress
from metabench.runs.kept.provenance import timestamp
from metabench.runs.kept.run_folder import run_folder
from metabench.runs.planned_cell import PlannedCell
from metabench.runs.settings import Settings
from metabench.system.foreign import call_foreign, name_raised, word_raised
from metabench.system.writing import explain_storage_error, write_whole


@dataclass(frozen=True)
class LocalExecutor:
    """Runs cells on this machine.

    Processes are spawned, so a script that uses several workers needs an `if __name__ == "__main__"` guard. Their
    simulators share the cores, unless `OMP_NUM_THREADS` says how many threads each uses.

    Attributes:
        workers: number of processes; one worker runs the cells in this process, unless the settings separate them.
        devices: dealt out to the workers in turn; none leaves the settings' device to all.
    """

    workers: int = 1
    devices: tuple[str, ...] = ()

    @property
    def default_threads(self) -> int:
        """The cores, shared out."""
        return max(1, (os.cpu_count() or 1) // self.workers)

    def check(self, settings: Settings) -> None:
        """Raise `MetabenchError` unless torch can use the devices."""
        for device in self.devices or (settings.device,):
            check_device(device)

    def run(
        self,
        planned: Sequence[PlannedCell],
        waiting: Sequence[int],
        settings: Settings,
        listener: Listener,
        cancelled: Callable[[], bool],
    ) -> None:
        """Run the cells of the indices in `waiting`."""
        devices = self.devices or (settings.device,)

        def lost(index: int, message: str) -> None:
            """A cell's worker died: by Ctrl-C, or by a fault of the cell."""
            if not cancelled():
                write_failure(planned[index], message, "")
            listener(Event(index, "stopped" if cancelled() else "failed", message=message))

        count = min(self.workers, len(waiting))
        if count > 1 or (count and (settings.separate or settings.limits.given)):
            Workers(planned, settings, count, devices, run_cell, listener, lost, cancelled).run(
                waiting
            )
            return
        for index in waiting:
            if cancelled():
                break
            run_cell(
                index, planned[index], replace(settings, device=devices[0]), listener, cancelled
            )


def run_cell(
    index: int,
    planned: PlannedCell,
    settings: Settings,
    listener: Listener,
    cancelled: Callable[[], bool],
) -> None:
    """Run one cell; whatever goes wrong becomes an event and a file beside the record's place."""

    def progress(stage: str, done: int, total: int, metrics: Mapping[str, float]) -> None:
        listener(Event(index, "progress", stage, done, total, metrics))
        file.tell(stage, done, total, metrics)

    listener(Event(index, "started"))
    file = ProgressFile(
        planned.cell, planned.facts.overrides, planned.record_path, run_folder(planned.cell)
    )
    try:
        with call_foreign(lambda error: _explain_end(planned, error)):
            execute_cell(planned, settings, progress, cancelled)
    except CancelledError as error:
        listener(Event(index, "stopped", message=str(error)))
    except ClaimedError as error:  # it is the other process that tells of this cell's failures
        listener(Event(index, "busy", message=str(error)))
    except Exception as error:  # a method may raise anything: this cell fails, the others go on
        told = explain_storage_error(error) or error
        message = str(told) if isinstance(told, MetabenchError) else word_raised(error)
        write_failure(planned, message, traceback.format_exc())
        listener(Event(index, "failed", message=" ".join(message.split())))
    else:
        listener(Event(index, "finished"))


def _explain_end(planned: PlannedCell, error: BaseException) -> Exception:
    """Itself; or, of what is no fault but an end of the program, the fault that it is of the method's."""
    if isinstance(error, Exception):
        return error
    return MethodError(f"method {planned.cell.method!r} raised {name_raised(error)}")


def check_device(device: str) -> None:
    """Raise `MetabenchError` unless torch can use `device` here."""
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise MetabenchError(
            f"device {device!r} cannot be used: {reason}; expected cpu, cuda or cuda:N"
        ) from error


def write_failure(planned: PlannedCell, message: str, details: str) -> None:
    """Write why a cell failed, with the traceback, beside the place of its record, if there is room for it."""
    progress = read_progress(run_folder(planned.cell))
    content = {
        "cell": planned.cell.model_dump(mode="json"),
        "overrides": dict(planned.facts.overrides),
        "error": message,
        "traceback": details,
        "created": timestamp(),
        "attempt": None if progress is None else progress.attempt,
    }
    with suppress(StorageError):  # the event says why the cell failed
        write_whole(planned.failure_path, json.dumps(content, indent=2) + "\n")
