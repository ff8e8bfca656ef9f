"""What a method's training is given beside its data: seed, device, progress, checkpoints, cancellation."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

from metabench.errors import CancelledError, DataError, MetabenchError, MethodError
from metabench.methods.state_files import has_state, load_state, save_state
from metabench.seeding import derive_seed
from metabench.system.plain_values import make_plain


class Stateful(Protocol):
    """Anything whose state can be taken and put back: modules, optimisers, schedulers."""

    def state_dict(self) -> Mapping[str, Any]:
        """The state, as tensors and plain values."""
        ...

    def load_state_dict(self, state_dict: Any, /) -> Any:
        """Put back what `state_dict` returned."""
        ...


class TrainingProgress(Protocol):
    """Where a run reports its progress."""

    def __call__(self, stage: str, done: int, total: int, metrics: Mapping[str, float]) -> None:
        """`done` of `total` updates of `stage`; the latest metrics."""
        ...


class Summary(dict[str, Any]):
    """A summary that takes what a record can hold, as plain values; see `make_plain`."""

    def __setitem__(self, key: str, value: Any) -> None:
        """Take `value`; raises `MethodError` if a record cannot hold it."""
        try:
            plain = make_plain({key: value}, "run.summary")
        except MetabenchError as error:
            raise MethodError(str(error)) from error
        super().__setitem__(*next(iter(plain.items())))

    def update(self, *mappings: Any, **more: Any) -> None:
        """Take all of them, as `__setitem__` does."""
        for key, value in dict(*mappings, **more).items():
            self[key] = value

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value under `key`, which is `default` if there was none."""
        if key not in self:
            self[key] = default
        return self[key]

    def __ior__(self, other: Any) -> Self:  # type: ignore[misc, override]
        """Take all of `other`."""
        self.update(other)
        return self


class TrainingRun:
    """One training: its only randomness, its log, its checkpoints.

    `steps` gives a method resuming, progress and reproducible randomness without extra code::

        for update in run.steps("policy", total, model=model, optimizer=optimizer):
            batch = data.sample_windows(run.generator("policy", update), 64, 20)
            ...
            run.log(loss=loss.item())

    Attributes:
        seed: the training seed.
        device: where to train: `cpu`, `cuda`, `cuda:1`.
        curve: everything that was logged: `{"stage": ..., "update": ..., metric: value, ...}`.
        summary: named results of the training (diagnostics); becomes part of the record.
    """

    def __init__(
        self,
        seed: int,
        device: str = "cpu",
        folder: Path | None = None,
        checkpoint_seconds: float = 30.0,
        progress: TrainingProgress | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        """Make a run.

        Args:
            seed: the training seed.
            device: a torch device.
            folder: where checkpoints go; None keeps none.
            checkpoint_seconds: least time between two checkpoints of `steps`.
            progress: called after every update of `steps`.
            cancelled: asked after every update of `steps`; true ends it with `CancelledError`, checkpoint written.
        """
        self.seed = seed
        self.device = device
        self.curve: list[dict[str, Any]] = []
        self._summary = Summary()
        self._folder = folder
        self._checkpoint_seconds = checkpoint_seconds
        self._progress = progress
        self._cancelled = cancelled
        self._position: tuple[str, int] = ("", 0)

    @property
    def summary(self) -> dict[str, Any]:
        """Named results of the training; values that a record cannot store are refused when they are set."""
        return self._summary

    @summary.setter
    def summary(self, content: Mapping[str, Any]) -> None:
        self._summary = Summary()
        self._summary.update(content)

    def branch(self, name: str, seed: int) -> TrainingRun:
        """A training within this one, such as one of several methods: resumed, shown and cancelled with it.

        Args:
            name: of its checkpoints; another for each.
            seed: its own seed; its curve and summary are its own as well.
        """
        folder = None if self._folder is None else self._folder / name
        return TrainingRun(
            seed, self.device, folder, self._checkpoint_seconds, self._progress, self._cancelled
        )

    def generator(self, *purpose: int | str) -> np.random.Generator:
        """NumPy randomness for a named purpose: the same seed and purpose give the same stream."""
        return np.random.default_rng(derive_seed(self.seed, *purpose))

    def torch_seed(self, *purpose: int | str) -> None:
        """Seed torch's generators (initialisation, dropout) for a named purpose; `steps` does so before each update."""
        import torch

        seed = derive_seed(self.seed, *purpose)
        if self.device == "cpu":
            # `torch.manual_seed` would note a stack trace for each accelerator that is never used: 1 ms an update.
            torch.default_generator.manual_seed(seed)
        else:
            torch.manual_seed(seed)

    def log(self, **metrics: float) -> None:
        """Add a row to `curve`, at the current stage and update.

        Args:
            **metrics: numbers, NumPy's and torch's too; NaN and infinities are kept as such.

        Raises:
            MethodError: a value is no number, or a name is one that the row has already.
        """
        stage, update = self._position
        row: dict[str, Any] = {"stage": stage, "update": update}
        for name, value in metrics.items():
            if name in row:
                raise MethodError(
                    f"log: {name!r} is a name that every row already has; expected another name"
                )
            try:
                row[name] = float(value)
            except (TypeError, ValueError, RuntimeError, OverflowError) as error:
                raise MethodError(
                    f"log: {name}: expected a number, found {type(value).__name__} ({error})"
                ) from error
        self.curve.append(row)

    def checkpoint(self, name: str, state: Mapping[str, Any]) -> None:
        """Keep `state` (tensors, arrays, plain values, nested) under `name`, with the curve and summary so far."""
        if self._folder is not None:
            # Together, so that curve and weights are always of one moment.
            content = {"state": state, "curve": self.curve, "summary": self.summary}
            save_state(content, self._folder / name, keep_previous=True)

    def restore(self, name: str) -> dict[str, Any] | None:
        """The state last kept under `name`, or None; the curve and summary go back to that moment, too.

        Where it is damaged, it is the state kept before, if that is whole.
        """
        if self._folder is None or not has_state(self._folder / name):
            return None
        content = load_state(self._folder / name)
        self.curve, self.summary = content["curve"], content["summary"]
        state: dict[str, Any] = content["state"]
        return state

    def steps(self, stage: str, total: int, **parts: Stateful) -> Iterator[int]:
        """Count updates 1 to `total` of `stage`, resuming where a killed run had its last checkpoint.

        Args:
            stage: name of this part of the training; each is trained once a run.
            total: number of updates.
            **parts: what the updates change: modules, optimisers. They are restored before the first update, and
                kept at intervals and at the end.

        Yields:
            The number of the update to do now. Before each, torch's generators are seeded for it.

        Raises:
            CancelledError: the run was asked to stop.
            DataError: the checkpoint is damaged, or is not of these parts.
        """
        done = 0
        state = self.restore(stage)
        if state is not None:
            done = _put_back(stage, state, parts)
        self._position = (stage, done)

        def keep(update: int) -> None:
            self.checkpoint(
                stage,
                {
                    "update": update,
                    **{name: dict(part.state_dict()) for name, part in parts.items()},
                },
            )

        kept = time.monotonic()
        while done < total:
            done += 1
            self._position = (stage, done)
            # Seeded by its number, so that a resumed run draws what the uninterrupted one would have drawn.
            self.torch_seed(stage, done)
            yield done
            if self._progress is not None:
                self._progress(stage, done, total, self._read_latest_metrics(stage))
            cancelled = (
                self._cancelled is not None and self._cancelled()
            )  # asked once: it may change in between
            if cancelled or done == total or time.monotonic() - kept >= self._checkpoint_seconds:
                keep(done)
                kept = time.monotonic()
            if cancelled:
                raise CancelledError(f"stopped in stage {stage!r} after update {done} of {total}")
        self.torch_seed(
            stage, "end"
        )  # what follows draws the same numbers, whether this stage was resumed or not

    def _read_latest_metrics(self, stage: str) -> Mapping[str, float]:
        row = self.curve[-1] if self.curve and self.curve[-1]["stage"] == stage else {}
        return {key: value for key, value in row.items() if key not in ("stage", "update")}


def _put_back(stage: str, state: Mapping[str, Any], parts: Mapping[str, Stateful]) -> int:
    """Restore `parts`; the number of updates done."""
    if set(state) != {"update", *parts}:
        expected, found = ", ".join(sorted(parts)), ", ".join(sorted(set(state) - {"update"}))
        raise DataError(
            f"checkpoint of stage {stage!r}: expected the parts {expected}; found {found}"
        )
    for name, part in parts.items():
        try:
            part.load_state_dict(state[name])
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            problem = " ".join(str(error).split())
            raise DataError(
                f"checkpoint of stage {stage!r}: {name} does not fit: {problem}"
            ) from error
    return int(state["update"])
