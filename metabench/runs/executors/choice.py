"""From what users type to an executor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from metabench.errors import MetabenchError, UnknownNameError
from metabench.runs.executors.events import Executor
from metabench.runs.executors.local import LocalExecutor

EXECUTORS = ("local", "ray", "slurm")


@dataclass(frozen=True)
class Engine:
    """Where cells run, as users say it.

    Attributes:
        name: one of `EXECUTORS`.
        workers: cells at once; None is one here, and as many as there is room for elsewhere.
        cells_per_gpu: cells that share a GPU; None gives each the device it is told.
        address: of a Ray cluster.
        slurm: options of sbatch.
    """

    name: str = "local"
    workers: int | None = None
    cells_per_gpu: int | None = None
    address: str | None = None
    slurm: Mapping[str, Any] = field(default_factory=dict)

    def executor(self, device: str) -> Executor:
        """The executor for cells that train on `device`.

        Raises:
            UnknownNameError: there is none of this name.
            MetabenchError: an option does not belong to it, or there are too few GPUs.
        """
        if self.name not in EXECUTORS:
            raise UnknownNameError("executor", self.name, EXECUTORS)
        for option, given, owners in (
            ("--address", self.address is not None, ("ray",)),
            ("--slurm", bool(self.slurm), ("slurm",)),
            ("--cells-per-gpu", self.cells_per_gpu is not None, ("local", "ray")),
        ):
            if given and self.name not in owners:
                raise MetabenchError(f"{option} is for --executor {' or '.join(owners)}, not {self.name}")
        if self.cells_per_gpu is not None and device != "cuda":
            raise MetabenchError(f"--cells-per-gpu needs --device cuda, which stands for all GPUs, not {device!r}")
        if self.name == "ray":
            from metabench.runs.executors.ray import RayExecutor

            return RayExecutor(self.address, self.workers, self.cells_per_gpu or 1)
        if self.name == "slurm":
            from metabench.runs.executors.slurm import SlurmExecutor

            return SlurmExecutor(self.workers, self.slurm)
        if self.cells_per_gpu is None:
            return LocalExecutor(self.workers or 1)
        return _sharing_gpus(self.cells_per_gpu, self.workers)


def _sharing_gpus(cells_per_gpu: int, workers: int | None) -> LocalExecutor:
    import torch

    gpus = torch.cuda.device_count()
    if not gpus:
        raise MetabenchError("--cells-per-gpu: torch finds no GPU here")
    places = gpus * cells_per_gpu
    if workers is not None and workers > places:
        raise MetabenchError(
            f"--workers {workers}: {gpus} GPU{'s'[: gpus != 1]} with {cells_per_gpu} cells each hold {places} cells"
        )
    return LocalExecutor(workers or places, tuple(f"cuda:{gpu}" for gpu in range(gpus)))
