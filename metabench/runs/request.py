"""What a user asks of a run: which cells, and who runs them how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import Any

from metabench.errors import MetabenchError
from metabench.runs.isolation.limits import NO_LIMITS, Limits
from metabench.suites import Suite


@dataclass(frozen=True)
class RunRequest:
    """All that `metabench run` takes; planning, preparing and running read what they need of it.

    Attributes:
        suites: suites, their names or folders.
        datasets: names of datasets, each of every suite.
        methods: what `load_method` takes: names, `name/variant`, `path/to/file.py:Class`.
        preset: a preset of every method.
        seeds: training seeds.
        overrides: configuration keys and values for every method.
        tracks: only these tracks; None takes all that a suite has.
        splits: only these splits; None takes all that are ranked. `validation` is run alone.
        results: the results folder, where records go and finished ones are looked for.
        overwrite: begin every cell anew: forget its checkpoints; its record stays until the new one is there.
        executor: who runs the cells: `local`, `ray` or `slurm`.
        workers: cells at once; None is one here, and as many as there is room for elsewhere.
        cells_per_gpu: cells that share a GPU; None gives each the device it is told.
        address: of a Ray cluster.
        slurm: options of sbatch.
        device: where to train: `cpu`, `cuda`, `cuda:1`.
        threads: torch's threads a cell; None is the executor's default.
        isolate: let policies act in processes of their own.
        limits: what a cell may take.
        wait: wait for cells that other processes run.
        tensorboard: folder for training curves and scores; None writes none.
        command: what the user typed, for the record.
    """

    suites: Sequence[Suite | str]
    datasets: Sequence[str]
    methods: Sequence[str]
    preset: str = "cpu"
    seeds: Sequence[int] = (0,)
    overrides: Mapping[str, Any] = field(default_factory=dict)
    tracks: Sequence[str] | None = None
    splits: Sequence[str] | None = None
    results: Path = Path("results")
    overwrite: bool = False
    executor: str = "local"
    workers: int | None = None
    cells_per_gpu: int | None = None
    address: str | None = None
    slurm: Mapping[str, Any] = field(default_factory=dict)
    device: str = "cpu"
    threads: int | None = None
    isolate: bool = False
    limits: Limits = NO_LIMITS
    wait: bool = False
    tensorboard: Path | None = None
    command: str = ""

    def check(self) -> None:
        """Raise `MetabenchError`, naming the argument, unless every value is one of its kind and nothing is empty."""
        for argument in ("suites", "datasets", "methods", "seeds", "tracks", "splits"):
            values = getattr(self, argument)
            if values is not None and not values:
                raise MetabenchError(f"{argument}: expected at least one, found none")
        for argument in ("datasets", "methods", "tracks", "splits"):
            for value in getattr(self, argument) or ():
                if not isinstance(value, str) or not value:
                    raise MetabenchError(f"{argument}: expected names, found {value!r:.80}")
        for argument, least in (("workers", 1), ("threads", 1), ("cells_per_gpu", 1)):
            value = getattr(self, argument)
            if value is not None and not _is_whole(value, least):
                raise MetabenchError(
                    f"{argument}: expected a whole number from {least}, found {value!r:.80}"
                )
        for seed in self.seeds:
            if not _is_whole(seed, 0):
                raise MetabenchError(f"seeds: expected whole numbers from 0, found {seed!r:.80}")
        if not isinstance(self.overrides, Mapping):
            raise MetabenchError(
                f"overrides: expected configuration keys and values, found {self.overrides!r:.80}"
            )


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least
