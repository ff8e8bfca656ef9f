"""From what users ask for to an executor."""

from __future__ import annotations

from metabench.errors import MetabenchError, UnknownNameError
from metabench.runs.executors.events import Executor
from metabench.runs.executors.local import LocalExecutor
from metabench.runs.request import RunRequest

EXECUTORS = ("local", "ray", "slurm")


def choose_executor(request: RunRequest) -> Executor:
    """The executor that a run asks for, with its options.

    Raises:
        UnknownNameError: there is none of this name.
        MetabenchError: an option does not belong to it, or there are too few GPUs.
    """
    name = request.executor
    if name not in EXECUTORS:
        raise UnknownNameError("executor", name, EXECUTORS)
    for option, given, owners in (
        ("--address", request.address is not None, ("ray",)),
        ("--slurm", bool(request.slurm), ("slurm",)),
        ("--cells-per-gpu", request.cells_per_gpu is not None, ("local", "ray")),
    ):
        if given and name not in owners:
            raise MetabenchError(f"{option} is for --executor {' or '.join(owners)}, not {name}")
    if request.cells_per_gpu is not None and request.device != "cuda":
        raise MetabenchError(
            f"--cells-per-gpu needs --device cuda, which stands for all GPUs, not {request.device!r}"
        )
    if name == "ray":
        from metabench.runs.executors.ray import RayExecutor

        return RayExecutor(request.address, request.workers, request.cells_per_gpu or 1)
    if name == "slurm":
        from metabench.runs.executors.slurm import SlurmExecutor

        return SlurmExecutor(request.workers, request.slurm)
    if request.cells_per_gpu is None:
        return LocalExecutor(request.workers or 1)
    return _share_gpus(request.cells_per_gpu, request.workers)


def _share_gpus(cells_per_gpu: int, workers: int | None) -> LocalExecutor:
    """Processes of this machine that are dealt out to its GPUs."""
    import torch

    gpus = torch.cuda.device_count()
    if not gpus:
        raise MetabenchError("--cells-per-gpu: torch finds no GPU here")
    places = gpus * cells_per_gpu
    if workers is not None and workers > places:
        found = "1 GPU" if gpus == 1 else f"{gpus} GPUs"
        raise MetabenchError(
            f"--workers {workers}: {found} with {cells_per_gpu} cells each hold {places} cells"
        )
    return LocalExecutor(workers or places, tuple(f"cuda:{gpu}" for gpu in range(gpus)))
