"""Training foreign code in a process of its own, which may write its checkpoints and its policy, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from metabench.errors import MethodError, first_problem
from metabench.methods.training_run import TrainingProgress
from metabench.runs.isolation.channel import TRAIN
from metabench.runs.isolation.confinement import unreadable
from metabench.runs.isolation.limits import NO_LIMITS, Limits
from metabench.runs.isolation.process import make_scratch, name_for_process, start_policy_process
from metabench.runs.isolation.shared_arrays import Place
from metabench.runs.kept.saved_policy import POLICY
from metabench.runs.training.train_policy import Learned, TrainingTask
from metabench.system.foreign import remove_folder
from metabench.system.home import home, minari_root

LEARNED = "learned.json"
LARGEST_LEARNED = 1 << 28
"""Bytes of that file: a curve of a million rows has less."""

STOP = {"stop": Place("uint8", (1,))}
"""Shared memory of a training: not zero once it is to stop."""


@dataclass(frozen=True)
class ForeignMethod:
    """A method to be imported in a process of its own.

    Attributes:
        spec: what `load_method` takes; the variant is in the configuration.
        configuration: all keys and values.
        code: the hash that its code must have; None takes any.
    """

    spec: str
    configuration: Mapping[str, Any]
    code: str | None


@contextmanager
def train_isolated(
    method: ForeignMethod,
    task: TrainingTask,
    threads: int,
    place: Path,
    progress: TrainingProgress,
    cancelled: Callable[[], bool],
    limits: Limits = NO_LIMITS,
    *,
    confined: bool = True,
) -> Iterator[tuple[Path, Learned]]:
    """Train as `train_policy` does, without importing the method here.

    Args:
        method: the method.
        task: on what; its checkpoints are the only files that the process may write, beside the policy.
        threads: torch's.
        place: a folder that exists; one below it is made for the policy, and removed on leaving.
        progress: told how far it is.
        cancelled: asked often; true stops it.
        limits: what the process may take.
        confined: keep it from the rest of the system.

    Yields:
        What `Policy.save` wrote, which may hold anything, and what the training found, as it says itself.

    Raises:
        MethodError: the method raised something or broke its contract, or its process failed or took too much.
        CancelledError: `cancelled` said so.
    """
    label = f"method {method.spec!r}: train"
    outcome = place / "outcome"
    remove_folder(outcome)
    (outcome / POLICY).mkdir(parents=True)
    writable = [outcome]
    if task.checkpoints is not None:
        task.checkpoints.mkdir(parents=True, exist_ok=True)
        writable.append(task.checkpoints)
    content = {
        **name_for_process(method.spec),
        "configuration": dict(method.configuration),
        "code": method.code,
        "suite_folder": str(task.suite.folder.resolve()),
        "dataset": task.dataset,
        "seed": task.seed,
        "device": task.device,
        "threads": threads,
        "checkpoints": None if task.checkpoints is None else str(task.checkpoints.resolve()),
        "checkpoint_seconds": task.checkpoint_seconds,
        "expert_labels": task.expert_labels,
        "folder": str(outcome.resolve()),
    }
    folders = {
        "METABENCH_HOME": str(home().resolve()),
        "MINARI_DATASETS_PATH": str(minari_root().resolve()),
    }
    try:
        with (
            make_scratch() as scratch,
            unreadable(),
            start_policy_process(
                scratch, limits, writable=writable, variables=folders, confined=confined
            ) as process,
        ):
            stop = process.arrays.grow(STOP)["stop"]

            def hear(told: Any) -> None:
                if cancelled():
                    stop[0] = 1
                if (known := _read_progress(told)) is not None:
                    progress(*known)

            process.describe(TRAIN, content, label, hear)
        if (outcome / POLICY).is_symlink():
            raise MethodError(f"{label} left a link in place of its policy")
        yield outcome / POLICY, _read_learned(outcome / LEARNED, label)
    finally:
        remove_folder(outcome)


def _read_progress(told: Any) -> tuple[str, int, int, dict[str, float]] | None:
    """What the process says of how far it is, if it is such a thing."""
    try:
        stage, done, total, metrics = told
        numbers = {str(name): float(value) for name, value in metrics.items()}
        return str(stage), int(done), int(total), numbers
    except (TypeError, ValueError, AttributeError, OverflowError):
        return None


def _read_learned(file: Path, label: str) -> Learned:
    try:
        if file.is_symlink() or not file.is_file() or file.stat().st_size > LARGEST_LEARNED:
            raise MethodError(f"{label} left no findings of its training")
        return Learned.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        problem = first_problem(error) if isinstance(error, ValidationError) else str(error)
        raise MethodError(f"{label} left findings that are none: {problem}") from error
