"""How cells are run: device, threads, limits, and where things are told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from metabench.runs.isolation.limits import NO_LIMITS, Limits
from metabench.runs.kept.run_folder import PATIENCE


@dataclass(frozen=True)
class Settings:
    """How cells are run; results do not depend on it but for the last bits of arithmetic (device, threads).

    Attributes:
        device: where to train: `cpu`, `cuda`, `cuda:1`.
        threads: torch's threads a cell.
        checkpoint_seconds: least time between two checkpoints.
        command: what the user typed, for the record.
        isolate: let policies act in processes of their own, one a rollout; privileged ones, told the task, not.
        limits: what a cell may take, in this attempt; a cell that takes more is ended and has failed.
        separate: run cells in processes of their own even with one worker, as limits do: some of their code is foreign.
        patience: seconds to wait for another process that runs the same cell.
        wait: wait for such processes to the end, when nothing else is left to do.
        tensorboard: folder for training curves and scores, a folder a cell below it; None writes none.
    """

    device: str = "cpu"
    threads: int = 1
    checkpoint_seconds: float = 30.0
    command: str = ""
    isolate: bool = False
    limits: Limits = NO_LIMITS
    separate: bool = False
    patience: float = PATIENCE
    wait: bool = False
    tensorboard: Path | None = None
