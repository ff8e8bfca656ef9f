"""Cells as Ray tasks: Ray places them by threads and GPUs, and repeats those whose machine or process is lost."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from metabench.errors import MetabenchError
from metabench.runs.executors.events import Listener
from metabench.runs.executors.shared import Ending, Job, run_job, run_jobs
from metabench.runs.planned_cell import PlannedCell
from metabench.runs.settings import Settings
from metabench.system.extras import require

RETRIES = 3
"""How often Ray begins a cell again elsewhere, from its checkpoint, before it counts as failed."""


@dataclass(frozen=True)
class RayExecutor:
    """Runs cells on a Ray cluster; one that this process is connected to already is used, whatever `address` says.

    Attributes:
        address: of the cluster's head (`10.0.0.1:6379`); None is `$RAY_ADDRESS`, or a Ray started on this machine.
        workers: cells at once; None is as many as the cluster holds.
        cells_per_gpu: how many cells share a GPU.
    """

    address: str | None = None
    workers: int | None = None
    cells_per_gpu: int = 1

    @property
    def default_threads(self) -> int:
        """One: as many cells as there are cores."""
        return 1

    def check(self, settings: Settings) -> None:
        """Raise `MetabenchError` if Ray is missing, or the device is one of this machine's."""
        require("ray", "ray", "--executor ray")
        if settings.device not in ("cpu", "cuda"):
            raise MetabenchError(
                f"--device {settings.device}: expected cpu or cuda: Ray deals out the GPUs itself"
            )

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
        with _connect(self.address):
            engine = _RayEngine(self.workers or len(waiting), settings, self.cells_per_gpu)
            run_jobs(engine, planned, waiting, settings, listener, cancelled)


@contextmanager
def _connect(address: str | None) -> Iterator[None]:
    import ray

    if ray.is_initialized():
        yield
        return
    try:
        ray.init(address=address, log_to_driver=False, logging_level="error")
    except (ConnectionError, ValueError, RuntimeError) as error:
        problem = " ".join(str(error).split())
        raise MetabenchError(
            f"Ray cluster {address or 'on this machine'}: cannot be used: {problem:.200}"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


class _RayEngine:
    """Keeps a number of tasks in Ray's hands."""

    def __init__(self, at_once: int, settings: Settings, cells_per_gpu: int) -> None:
        import ray

        needs = {
            "CPU": float(settings.threads),
            "GPU": 1 / cells_per_gpu if settings.device == "cuda" else 0.0,
        }
        largest = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        for name, amount in needs.items():
            if amount > max((resources.get(name, 0.0) for resources in largest), default=0.0):
                raise MetabenchError(
                    f"the Ray cluster has no machine with {amount:g} {name} for a cell"
                )
        self._ray = ray
        self._task = ray.remote(run_job).options(
            num_cpus=needs["CPU"], num_gpus=needs["GPU"], max_retries=RETRIES
        )
        self._at_once = at_once
        self._queue: deque[tuple[int, Job]] = deque()
        self._running: dict[Any, int] = {}

    def submit(self, jobs: Mapping[int, Job]) -> None:
        """Take jobs, each under its number."""
        self._queue.extend(jobs.items())
        self._fill()

    def collect_ended(self, seconds: float) -> Iterator[tuple[int, Ending]]:
        """The jobs that ended since the last call."""
        if not self._running:
            while self._queue:
                yield self._queue.popleft()[0], Ending("stopped")
            return
        deadline = time.monotonic() + seconds
        ready, _ = self._ray.wait(list(self._running), num_returns=1, timeout=seconds)
        while ready:
            index = self._running.pop(ready[0])
            ending = self._ending(ready[0])
            self._fill()
            yield index, ending
            left = max(0.0, deadline - time.monotonic())
            ready = (
                self._ray.wait(list(self._running), num_returns=1, timeout=left)[0]
                if self._running
                else []
            )

    def withdraw(self, begun: set[int]) -> None:
        """Do without the tasks that wait."""
        self._at_once = 0
        for reference, index in self._running.items():
            if index not in begun:
                self._ray.cancel(reference)

    def _fill(self) -> None:
        while self._queue and len(self._running) < self._at_once:
            index, job = self._queue.popleft()
            self._running[self._task.remote(job)] = index

    def _ending(self, reference: Any) -> Ending:
        try:
            ending: Ending = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            kind, message = type(error).__name__, " ".join(str(error).split())
            return Ending("lost", f"Ray lost the cell: {kind}: {message:.300}")
        return ending
