"""Running planned cells with any executor: what waits is run, what is finished is skipped, all is told."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from metabench.runs.executors.events import ENDS, Event, Executor, Kind, Listener, Outcome
from metabench.runs.executors.local import LocalExecutor
from metabench.runs.planned_cell import PlannedCell
from metabench.runs.settings import Settings
from metabench.system.home import home
from metabench.system.writing import check_room


def run_cells(
    planned: Sequence[PlannedCell],
    settings: Settings,
    *,
    workers: int = 1,
    executor: Executor | None = None,
    listener: Listener = lambda event: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Run the cells that wait.

    Args:
        planned: what `plan_cells` returned; finished cells are skipped, corrupt ones count as failed.
        settings: device, threads a worker, and so on.
        workers: number of processes on this machine, as `LocalExecutor` has them.
        executor: runs the cells instead.
        listener: told of every event, in this process.
        cancelled: asked often; true stops all cells, and what they have done is kept.

    Raises:
        MetabenchError: the executor cannot run cells with these settings.
        StorageError: checkpoints or records cannot be written.
    """
    executor = executor or LocalExecutor(workers)
    executor.check(settings)
    waiting = [index for index, cell in enumerate(planned) if cell.state == "waiting"]
    for folder in dict.fromkeys(
        folder for index in waiting for folder in (home() / "runs", planned[index].results)
    ):
        check_room(folder)
    kinds: dict[int, Kind] = {}

    def heard(event: Event) -> None:
        kinds[event.index] = event.kind
        listener(event)

    for index, cell in enumerate(planned):
        if cell.state == "corrupt":
            heard(Event(index, "failed", message=cell.note))
    executor.run(planned, waiting, settings, heard, cancelled)
    busy = [index for index in waiting if kinds.get(index) == "busy"]
    if settings.wait and busy:
        for index in busy:
            heard(Event(index, "progress", "waiting for the process that has it"))
        executor.run(planned, busy, replace(settings, patience=math.inf), heard, cancelled)
    ended = {
        index: kinds.get(index, "stopped")
        for index, cell in enumerate(planned)
        if cell.state != "finished"
    }
    return Outcome(
        finished=tuple(index for index, kind in ended.items() if kind == "finished"),
        skipped=tuple(index for index, cell in enumerate(planned) if cell.state == "finished"),
        failed=tuple(index for index, kind in ended.items() if kind == "failed"),
        stopped=tuple(
            index for index, kind in ended.items() if kind == "stopped" or kind not in ENDS
        ),
        busy=tuple(index for index, kind in ended.items() if kind == "busy"),
    )
