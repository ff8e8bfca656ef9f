"""What all engines have in common: a cell as a job that any machine can run, and following it through shared folders.

Nothing but files connects the machines. `$METABENCH_HOME` (data stores, checkpoints, locks, progress) and the results
folder must lie on storage that all of them share, under the same paths, with metabench installed at the same place;
locks hold across machines if that storage has them (NFS 4, Lustre mounted with `flock`, most cluster file systems).
"""

from __future__ import annotations

import dataclasses
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from metabench.errors import ClaimedError, MetabenchError
from metabench.runs.executors.events import Event, Listener
from metabench.runs.executors.local import write_failure
from metabench.runs.executors.run_cells import run_cells
from metabench.runs.kept.progress import read_progress
from metabench.runs.kept.run_folder import begin_replacing, claim_cell, run_folder
from metabench.runs.planned_cell import PlannedCell
from metabench.runs.settings import Settings
from metabench.system.home import home, minari_root

PATIENCE = 120.0
"""Seconds that a job waits for the lock of its cell: a lost machine's locks last a while (NFS 4: up to 90 s)."""

HOME, MINARI, CORES = "METABENCH_HOME", "MINARI_DATASETS_PATH", "OMP_NUM_THREADS"


@dataclass(frozen=True)
class Job:
    """A cell with all that another machine needs to run it.

    Attributes:
        planned: the cell, with absolute paths.
        settings: how it is run.
        home: `$METABENCH_HOME` of the machine that planned.
        minari: its Minari folder.
        wanted: files, below `home` and in the results folder, that exist as long as the run wants its jobs.
    """

    planned: PlannedCell
    settings: Settings
    home: Path
    minari: Path
    wanted: tuple[Path, ...]


@dataclass(frozen=True)
class Ending:
    """How a job ended.

    Attributes:
        kind: `lost` if it was never run to its end: its machine, its process or the engine failed.
        message: one line: why.
    """

    kind: Literal["finished", "failed", "stopped", "busy", "lost"]
    message: str = ""


Endings: TypeAlias = Iterable[tuple[int, Ending]]


class JobRunner(Protocol):
    """Runs jobs somewhere."""

    def submit(self, jobs: Mapping[int, Job]) -> None:
        """Take jobs, each under its number."""
        ...

    def collect_ended(self, seconds: float) -> Endings:
        """The jobs that ended since the last call; waits about as long for some."""
        ...

    def withdraw(self, begun: set[int]) -> None:
        """Do without the jobs that wait; those in `begun` are left to stop by themselves."""
        ...


def run_job(job: Job) -> Ending:
    """Run a job's cell here, to the end or until the run no longer wants it."""
    os.environ.update({HOME: str(job.home), MINARI: str(job.minari)})
    os.environ.setdefault(
        CORES, str(job.settings.threads)
    )  # else every job's simulator takes all cores of its machine
    unseen = [path.parent for path in job.wanted if not path.exists()]
    if unseen:
        return Ending(
            "lost",
            f"{unseen[0]} is not the folder of the machine that planned the run (or the run was ended): "
            "$METABENCH_HOME and --results must lie on storage that all machines share",
        )
    last = Event(0, "stopped")

    def listen(event: Event) -> None:
        nonlocal last
        last = event

    try:
        run_cells(
            [job.planned],
            job.settings,
            listener=listen,
            cancelled=lambda: not _all_exist(job.wanted),
        )
    except MetabenchError as error:  # the device, of which the machine that planned knows nothing
        write_failure(job.planned, str(error), "")
        return Ending("failed", str(error))
    return Ending(
        last.kind if last.kind in ("finished", "failed", "busy") else "stopped", last.message
    )


def run_jobs(
    engine: JobRunner,
    planned: Sequence[PlannedCell],
    waiting: Sequence[int],
    settings: Settings,
    listener: Listener,
    cancelled: Callable[[], bool],
    poll_seconds: float = 1.0,
) -> None:
    """Let an engine run the cells of the indices in `waiting`, and follow them by what they write."""
    free = []
    for index in waiting:
        try:
            if planned[index].overwrite:
                with claim_cell(planned[index].cell) as folder:
                    begin_replacing(planned[index].record_path, folder)
            free.append(index)
        except ClaimedError as error:
            listener(Event(index, "busy", message=str(error)))
    waiting = free
    with _keep_wanted_files(planned[index].results for index in waiting) as files:
        jobs = {
            index: _make_job(planned[index], settings, files[planned[index].results])
            for index in waiting
        }
        followed = {index: _Follower(planned[index]) for index in waiting}
        engine.submit(jobs)
        stopping = False
        while followed:
            if cancelled() and not stopping:
                stopping = True
                for path in {path for job in jobs.values() for path in job.wanted}:
                    path.unlink(missing_ok=True)
                engine.withdraw({index for index, follower in followed.items() if follower.begun})
            for index, ending in engine.collect_ended(poll_seconds):
                del followed[index]
                listener(_make_event(index, planned[index], ending, stopping))
            for index, follower in followed.items():
                for event in follower.events():
                    listener(dataclasses.replace(event, index=index))


def _make_event(index: int, planned: PlannedCell, ending: Ending, stopping: bool) -> Event:
    if ending.kind != "lost":
        return Event(index, ending.kind, message=ending.message)
    if stopping:
        return Event(index, "stopped")
    write_failure(planned, ending.message, "")
    return Event(index, "failed", message=ending.message)


def _make_job(planned: PlannedCell, settings: Settings, wanted: tuple[Path, ...]) -> Job:
    path, is_file, attribute = planned.spec.partition(".py:")
    absolute = dataclasses.replace(
        planned,
        overwrite=False,  # it has begun anew by now: a job that begins again goes on where it was
        results=planned.results.resolve(),
        spec=f"{Path(path).resolve()}{is_file}{attribute}" if is_file else planned.spec,
    )
    tensorboard = settings.tensorboard.resolve() if settings.tensorboard is not None else None
    there = dataclasses.replace(settings, patience=PATIENCE, tensorboard=tensorboard)
    return Job(absolute, there, home().resolve(), minari_root().resolve(), wanted)


@contextmanager
def _keep_wanted_files(results: Iterable[Path]) -> Iterator[Mapping[Path, tuple[Path, ...]]]:
    """Files that tell jobs that they see the right folders, and to go on: for each results folder, its own and home's.

    They stay behind if this process is killed: its jobs then go on, and can be followed with `metabench status`.
    """
    name = f".wanted-{uuid.uuid4().hex[:12]}"
    folders = list(dict.fromkeys(results))
    files = {
        folder: ((home() / "runs" / name).resolve(), (folder / name).resolve())
        for folder in folders
    }
    everything = {path for pair in files.values() for path in pair}
    try:
        for path in everything:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        yield files
    finally:
        for path in everything:
            path.unlink(missing_ok=True)


def _all_exist(paths: Iterable[Path]) -> bool:
    return all(path.exists() for path in paths)


class _Follower:
    """Turns what a cell writes into events."""

    def __init__(self, planned: PlannedCell) -> None:
        self._folder = run_folder(planned.cell)
        before = read_progress(self._folder)
        self._attempt = None if before is None else before.attempt
        self._updated = 0.0
        self.begun = False

    def events(self) -> Iterator[Event]:
        """What is new since the last call."""
        progress = read_progress(self._folder)
        if progress is None:
            return
        if progress.attempt != self._attempt:  # also where a lost machine's cell goes on
            self._attempt, self.begun = progress.attempt, True
            yield Event(0, "started")
        if self.begun and progress.updated != self._updated:
            self._updated = progress.updated
            yield Event(
                0, "progress", progress.stage, progress.done, progress.total, progress.metrics
            )
