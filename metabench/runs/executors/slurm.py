"""Cells as SLURM jobs, submitted by submitit as arrays; SLURM begins again what a machine lost or preempted."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from metabench.errors import MetabenchError
from metabench.runs.executors.events import Listener
from metabench.runs.executors.shared import Ending, Job, run_job, run_jobs
from metabench.runs.planned_cell import PlannedCell
from metabench.runs.settings import Settings
from metabench.system.extras import require
from metabench.system.home import home

MINUTES = 240
"""Time limit of a job where none is given; a job that reaches it goes on in another from its checkpoint."""

TIMEOUTS = 20
"""How often a cell may go on in another job after a time limit."""

LARGEST_ARRAY = 1000
"""Jobs an array: SLURM's own limit is 1001 unless it is configured otherwise."""

GRACE_SECONDS = 30.0
"""How long the result of a job may take to be seen here after SLURM has let go of the job."""


@dataclass(frozen=True)
class SlurmExecutor:
    """Submits each cell as a job of a SLURM array.

    Attributes:
        workers: cells at once; None leaves that to SLURM.
        options: of sbatch, by their long names: `{"partition": "gpu", "mem": "8G", "time": 120}`; `time` in minutes.
    """

    workers: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def default_threads(self) -> int:
        """One: jobs are small, so that many fit."""
        return 1

    def check(self, settings: Settings) -> None:
        """Raise `MetabenchError` if submitit or SLURM is missing, or the device is one of this machine's."""
        require("submitit", "slurm", "--executor slurm")
        for command in ("sbatch", "squeue", "scancel", "srun"):
            if shutil.which(command) is None:
                raise MetabenchError(
                    f"--executor slurm: no command {command} here; expected a machine of the cluster"
                )
        if settings.device not in ("cpu", "cuda"):
            raise MetabenchError(
                f"--device {settings.device}: expected cpu or cuda: SLURM deals out the GPUs itself"
            )
        minutes = self.options.get("time", MINUTES)
        if not isinstance(minutes, int) or minutes < 1:
            raise MetabenchError(f"--slurm time={minutes}: expected a whole number of minutes")

    def run(
        self,
        planned: Sequence[PlannedCell],
        waiting: Sequence[int],
        settings: Settings,
        listener: Listener,
        cancelled: Callable[[], bool],
    ) -> None:
        """Run the cells of the indices in `waiting`."""
        if not waiting:
            return
        folder = home().resolve() / "slurm" / uuid.uuid4().hex[:12]
        engine = _SlurmEngine(folder, self.workers, dict(self.options), settings)
        # A process of its own for the cell: SLURM's signals are for the one that begins it again.
        apart = replace(settings, separate=True)
        try:
            run_jobs(engine, planned, waiting, apart, listener, cancelled, poll_seconds=2.0)
        except BaseException:
            engine.cancel()
            raise
        if not engine.lost:
            shutil.rmtree(folder, ignore_errors=True)


class _Runner:
    """What a SLURM job runs; submitit calls `checkpoint` when the job is preempted or out of time."""

    def __call__(self, job: Job) -> Ending:
        # SLURM sends it to all processes of a job that it is about to requeue: the cell, which inherits this, would
        # otherwise count as failed before the job is killed and begins again.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        return run_job(job)

    def checkpoint(self, job: Job) -> Any:
        """The same again, in another job: the cell has its own checkpoints."""
        import submitit

        return submitit.helpers.DelayedSubmission(self, job)


class _SlurmEngine:
    """The jobs of one run."""

    def __init__(
        self, folder: Path, at_once: int | None, options: dict[str, Any], settings: Settings
    ) -> None:
        self.lost = False
        self._folder = folder
        self._at_once = at_once
        self._options = options
        self._settings = settings
        self._jobs: dict[int, Any] = {}
        self._withdrawn: set[int] = set()
        self._unseen: dict[int, float] = {}  # since when neither the job nor its result can be seen

    def submit(self, jobs: Mapping[int, Job]) -> None:
        """Take jobs, each under its number."""
        import submitit

        executor = submitit.SlurmExecutor(self._folder, max_num_timeout=TIMEOUTS)
        options = {
            "time": MINUTES,
            **self._options,
        }  # each submission needs them anew: nothing is taken out of ours
        minutes = options.pop("time")
        gpus = {"gpus_per_node": 1} if self._settings.device == "cuda" else {}
        executor.update_parameters(
            job_name="metabench",
            time=minutes,
            cpus_per_task=self._settings.threads,
            array_parallelism=self._at_once or LARGEST_ARRAY,
            additional_parameters={"requeue": True, **gpus, **options},
        )
        entries = list(jobs.items())
        for start in range(0, len(entries), LARGEST_ARRAY):
            part = entries[start : start + LARGEST_ARRAY]
            try:
                submitted = executor.map_array(_Runner(), [job for _, job in part])
            except (submitit.core.utils.FailedJobError, subprocess.CalledProcessError) as error:
                problem = " ".join(str(error).split())
                raise MetabenchError(f"sbatch refused the cells: {problem:.300}") from error
            self._jobs.update(zip((index for index, _ in part), submitted, strict=True))

    def collect_ended(self, seconds: float) -> Iterator[tuple[int, Ending]]:
        """The jobs that ended since the last call."""
        time.sleep(seconds)
        queued = self._list_queued()
        for index, job in list(self._jobs.items()):
            if index in self._withdrawn:
                ending = Ending("stopped")
            elif job.paths.result_pickle.exists():
                ending = self._read_ending(job)
            elif queued is None or job.job_id in queued:
                self._unseen.pop(index, None)
                continue
            elif (
                time.monotonic() - self._unseen.setdefault(index, time.monotonic()) < GRACE_SECONDS
            ):
                continue
            else:
                ending = Ending(
                    "lost", f"SLURM job {job.job_id} ended without a result; see {job.paths.stderr}"
                )
            self.lost = self.lost or ending.kind == "lost"
            del self._jobs[index]
            yield index, ending

    def withdraw(self, begun: set[int]) -> None:
        """Cancel the jobs that wait."""
        self._withdrawn = set(self._jobs) - begun
        for index in self._withdrawn:
            self._jobs[index].cancel(check=False)

    def cancel(self) -> None:
        """Cancel all jobs."""
        self.withdraw(set())

    def _list_queued(self) -> set[str] | None:
        """Numbers of the jobs that SLURM still has; None if it does not answer now."""
        arrays = ",".join(sorted({job.job_id.partition("_")[0] for job in self._jobs.values()}))
        command = ["squeue", "--noheader", "--array", "--format=%i", f"--jobs={arrays}"]
        try:
            answer = subprocess.run(
                command, capture_output=True, text=True, timeout=60, check=False
            )
        except subprocess.TimeoutExpired:
            return None
        if answer.returncode == 0:
            return set(answer.stdout.split())
        return (
            set() if "invalid job id" in answer.stderr.lower() else None
        )  # it forgets jobs after a while

    def _read_ending(self, job: Any) -> Ending:
        import submitit

        try:
            ending: Ending = job.result()
        except (submitit.core.utils.FailedJobError, submitit.core.utils.UncompletedJobError):
            return Ending("lost", f"SLURM job {job.job_id} broke off; see {job.paths.stderr}")
        return ending
