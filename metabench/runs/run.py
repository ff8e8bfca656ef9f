"""`metabench run` as a function: train and evaluate methods, get their records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from numbers import Integral
from pathlib import Path
from typing import Any, TypeAlias

from metabench.errors import ClaimedError, MetabenchError, MethodError
from metabench.methods.contract import Method
from metabench.methods.given_methods import describe_given_method
from metabench.runs.executors.choice import choose_executor
from metabench.runs.executors.events import ENDS, Event, Executor
from metabench.runs.executors.run_cells import run_cells
from metabench.runs.executors.worker_processes import runs_foreign_code
from metabench.runs.kept.record import Record, read_record
from metabench.runs.planned_cell import PlannedCell
from metabench.runs.prepare import prepare_data
from metabench.runs.request import RunRequest
from metabench.runs.settings import Settings
from metabench.runs.sweep import plan_in_turn
from metabench.suites import Suite, load_suite

GivenMethod: TypeAlias = str | type[Method] | Method


def run(
    suite: Suite | str,
    dataset: str,
    methods: Iterable[GivenMethod] | GivenMethod,
    *,
    preset: str = "cpu",
    seeds: Iterable[int] | int = (0,),
    overrides: Mapping[str, Any] | None = None,
    tracks: Iterable[str] | str | None = None,
    splits: Iterable[str] | str | None = None,
    results: Path | str = "results",
    workers: int = 1,
    threads: int | None = None,
    device: str = "cpu",
    wait: bool = False,
    progress: Callable[[str], object] | None = None,
) -> list[Record]:
    """Train each method on a dataset once per seed, evaluate the policies, and keep one record for each cell.

    Finished cells are read, interrupted cells continue where they were, and missing data are built.

    Args:
        suite: a suite, its name or folder.
        dataset: the dataset's name: `medium`.
        methods: names, `name/variant`, `path/to/file.py:Class`; or classes of an importable file, or instances of
            these classes, which keep their configuration. Their cells run in other processes, which read the file,
            and the file identifies them. A class in a notebook therefore needs a file (`%%writefile my_method.py`).
        preset: a preset of every method.
        seeds: training seeds, or their number: 3 means 0, 1, 2.
        overrides: configuration keys and values for every method.
        tracks: only these tracks; None takes all that the suite has.
        splits: only these splits; None takes all that are ranked. `validation`, alone, is for choosing between
            configurations: its steps are counted, and its records are kept apart and never ranked.
        results: the folder that keeps the records.
        workers: cells at once, each in its own process. Cells of methods that do not ship with metabench always run
            in their own process. If a script defines a method's class, these processes import the script; it must
            then call `run` under `if __name__ == "__main__":`. No other script needs that.
        threads: torch's threads for each cell; None divides the cores. The last bits of results depend on it.
        device: where to train: `cpu`, `cuda`, `cuda:1`.
        wait: wait for cells that another process runs; otherwise they are an error after the others have run.
        progress: called with a line for every cell that ends: `print`.

    Returns:
        The records, of each method in the order of the seeds.

    Raises:
        UnknownNameError: no such suite, dataset, method, variant, preset, track, split or configuration key.
        MetabenchError: an argument is invalid, or other processes cannot find a class.
        ClaimedError: another process runs a cell; none failed.
        MetabenchError: a cell failed; the message names the first. The others have run, and another call continues.
    """
    suite = load_suite(suite) if isinstance(suite, str | Path) else suite
    if not isinstance(suite, Suite):
        raise MetabenchError(f"suite: expected a suite or the name of one, found {suite!r:.80}")
    described = [
        describe_given_method(method, preset, suite.name)
        for method in _list_values(methods, "methods")
    ]
    request = RunRequest(
        suites=[suite],
        datasets=[dataset],
        methods=[spec for spec, _ in described],
        preset=preset,
        seeds=_list_seeds(seeds),
        overrides=overrides or {},
        tracks=None if tracks is None else _list_values(tracks, "tracks"),
        splits=None if splits is None else _list_values(splits, "splits"),
        results=_read_folder(results),
        workers=workers,
        threads=threads,
        device=device,
        wait=wait,
    )
    request.check()
    if progress is not None and not callable(progress):
        raise MetabenchError(
            f"progress: expected what can be called with a line (print), found {progress!r:.80}"
        )
    requests = [
        replace(request, methods=[spec], overrides={**own, **request.overrides})
        for spec, own in described
    ]
    executor = choose_executor(request)
    left_out: dict[str, MethodError] = {}

    def leave_out(method: str, error: MethodError) -> None:
        left_out[method] = error

    planned = plan_in_turn(requests, leave_out)
    if prepare_data(planned):
        planned = plan_in_turn(requests, leave_out)
    failures: dict[int, str] = {}
    busy: dict[int, str] = {}

    def hear(event: Event) -> None:
        if event.kind == "failed":
            failures[event.index] = event.message
        if event.kind == "busy":
            busy[event.index] = event.message
        if progress is not None and event.kind in ENDS:
            progress(f"{planned[event.index].label}: {event.kind}")

    settings = make_settings(request, executor, planned)
    outcome = run_cells(planned, settings, executor=executor, listener=hear)
    for index, message in sorted(failures.items()):
        cell = planned[index]
        place = cell.record_path if cell.state == "corrupt" else cell.failure_path
        raise MetabenchError(f"{cell.label}: failed: {message}; see {place}")
    for error in left_out.values():
        raise error
    for index in outcome.busy:
        raise ClaimedError(f"{planned[index].label}: {busy[index]}")
    return [read_record(cell.record_path) for cell in planned]


def _list_seeds(seeds: Iterable[int] | int) -> Sequence[int]:
    if isinstance(seeds, Integral) and not isinstance(seeds, bool):
        return range(int(seeds))
    return _list_values(seeds, "seeds")


def _read_folder(results: Path | str) -> Path:
    if not isinstance(results, str | Path) or not str(results):
        raise MetabenchError(f"results: expected a folder, found {results!r:.80}")
    return Path(results).expanduser()


def _list_values(values: Any, argument: str) -> tuple[Any, ...]:
    """`values` that may be a single one or may be passed only once, as a tuple."""
    if isinstance(values, str | type | Method):
        return (values,)
    try:
        return tuple(values)
    except TypeError as error:
        raise MetabenchError(
            f"{argument}: expected several values, found {values!r:.80}"
        ) from error


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
        wait=request.wait,
        separate=runs_foreign_code(planned),
        tensorboard=request.tensorboard,
    )
