"""`metabench run` as a function: train and evaluate methods, get their records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from metabench.errors import MetabenchError, MethodError
from metabench.runs.executors.choice import choose_executor
from metabench.runs.executors.events import Event, Executor
from metabench.runs.executors.run_cells import run_cells
from metabench.runs.executors.worker_processes import runs_foreign_code
from metabench.runs.kept.record import Record, read_record
from metabench.runs.plan import plan_cells
from metabench.runs.planned_cell import PlannedCell
from metabench.runs.prepare import prepare_data
from metabench.runs.request import RunRequest
from metabench.runs.settings import Settings
from metabench.suites import Suite


def run(
    suite: Suite | str,
    dataset: str,
    methods: Sequence[str],
    *,
    preset: str = "cpu",
    seeds: Sequence[int] = (0,),
    overrides: Mapping[str, Any] | None = None,
    tracks: Sequence[str] | None = None,
    splits: Sequence[str] | None = None,
    results: Path | str = "results",
    workers: int = 1,
    threads: int | None = None,
    device: str = "cpu",
    progress: Callable[[str], object] | None = None,
) -> list[Record]:
    """Train each method on a dataset once a seed, evaluate what it trained, and keep one record a cell.

    Finished cells are read instead, interrupted ones go on where they were, missing data is built.

    Args:
        suite: a suite, its name or folder.
        dataset: the dataset's name: `medium`.
        methods: what `load_method` takes: names, `name/variant`, `path/to/file.py:Class`.
        preset: a preset of every method.
        seeds: training seeds.
        overrides: configuration keys and values for every method.
        tracks: only these tracks; None takes all that the suite has.
        splits: only these splits; None takes all that are ranked. `validation`, alone, is for choosing between
            configurations: its steps are counted, and its records are kept apart and never ranked.
        results: the folder that keeps the records.
        workers: cells at once, each in a process of its own, as are cells of methods that do not ship with metabench.
            Processes are spawned: a script needs an `if __name__ == "__main__"` guard for them, a notebook does not.
        threads: torch's threads a cell; None shares the cores out. The last bits of results depend on it.
        device: where to train: `cpu`, `cuda`, `cuda:1`.
        progress: told a line for every cell that ends: `print`.

    Returns:
        The records, of each method in the order of the seeds.

    Raises:
        UnknownNameError: no such suite, dataset, method, variant, preset, track, split or configuration key.
        MetabenchError: a cell failed; the message names the first. The others were run, and calling again goes on.
    """
    request = RunRequest(
        suites=[suite],
        datasets=[dataset],
        methods=[methods] if isinstance(methods, str) else methods,
        preset=preset,
        seeds=seeds,
        overrides=overrides or {},
        tracks=tracks,
        splits=splits,
        results=Path(results).expanduser(),
        workers=workers,
        threads=threads,
        device=device,
    )
    executor = choose_executor(request)
    left_out: dict[str, MethodError] = {}

    def leave_out(method: str, error: MethodError) -> None:
        left_out[method] = error

    planned = plan_cells(request, leave_out)
    if prepare_data(planned):
        planned = plan_cells(request, leave_out)
    failures: dict[int, str] = {}

    def hear(event: Event) -> None:
        if event.kind == "failed":
            failures[event.index] = event.message
        if progress is not None and event.kind in ("finished", "failed"):
            progress(f"{planned[event.index].label}: {event.kind}")

    run_cells(planned, make_settings(request, executor, planned), executor=executor, listener=hear)
    for index, message in sorted(failures.items()):
        cell = planned[index]
        place = cell.record_path if cell.state == "corrupt" else cell.failure_path
        raise MetabenchError(f"{cell.label}: failed: {message}; see {place}")
    for error in left_out.values():
        raise error
    return [read_record(cell.record_path) for cell in planned]


def make_settings(
    request: RunRequest, executor: Executor, planned: Sequence[PlannedCell]
) -> Settings:
    """How the planned cells are run: what was asked for, and what the executor and the cells make of the rest."""
    return Settings(
        device=str(request.device),  # torch's own kind of device is one, too
        threads=request.threads or executor.default_threads,
        command=request.command,
        isolate=request.isolate,
        limits=request.limits,
        separate=runs_foreign_code(planned),
        tensorboard=request.tensorboard,
    )
