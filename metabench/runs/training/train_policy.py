"""Training a method on a dataset: what becomes of it, in whichever process."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from metabench.data.load import load_data
from metabench.errors import MethodError
from metabench.evaluation.task_code_probe import probe_task_codes
from metabench.methods.contract import Method, Policy
from metabench.methods.training_run import TrainingProgress, TrainingRun
from metabench.suites import Suite
from metabench.system.plain_values import make_plain, name_numbers
from metabench.system.strict_model import StrictModel


@dataclass(frozen=True)
class TrainingTask:
    """What a training depends on, beside the method.

    Attributes:
        suite: the suite.
        dataset: name of the dataset, which is built.
        seed: the training seed.
        device: where to train.
        checkpoints: where checkpoints go; None keeps none.
        checkpoint_seconds: least time between two of them.
        expert_labels: with the expert's actions, where the dataset has them.
    """

    suite: Suite
    dataset: str
    seed: int
    device: str
    checkpoints: Path | None
    checkpoint_seconds: float = 30.0
    expert_labels: bool = False


class Learned(StrictModel):
    """What a training found, beside the policy.

    Attributes:
        parameters: trained parameters that acting uses.
        training_tasks: how many tasks the data is of.
        curve: what was logged, as a record has it.
        summary: named results of the training, as a record has them.
    """

    parameters: int = Field(ge=0)
    training_tasks: int = Field(ge=0)
    curve: tuple[dict[str, float | int | str], ...]
    summary: dict[str, Any]


def train_policy(
    method: Method,
    task: TrainingTask,
    progress: TrainingProgress,
    cancelled: Callable[[], bool],
    follow: Callable[[Sequence[Mapping[str, Any]]], None] = lambda curve: None,
) -> tuple[Policy, Learned]:
    """Train, from the last checkpoint where there is one.

    Args:
        method: the method with its configuration.
        task: on what.
        progress: told how far it is: (stage, updates done, updates in all, metrics).
        cancelled: asked often; true stops it.
        follow: given the curve so far, again and again.

    Raises:
        CancelledError: `cancelled` said so.
        MethodError: the method broke its contract.
    """
    data = load_data(task.suite, task.dataset, build=False, expert_labels=task.expert_labels)

    def tell(stage: str, done: int, total: int, metrics: Mapping[str, float]) -> None:
        follow(run.curve)
        progress(stage, done, total, metrics)

    run = TrainingRun(
        task.seed, task.device, task.checkpoints, task.checkpoint_seconds, tell, cancelled
    )
    own = os.getpid()
    policy = method.train(data, run)
    if os.getpid() != own:  # the method forked, and here its other process came back
        os._exit(1)
    if not isinstance(policy, Policy):
        raise MethodError(
            f"method {method.name!r}: train must return a Policy, not {type(policy).__name__}"
        )
    probe = probe_task_codes(policy, task.suite, task.dataset)
    summary = run.summary if probe is None else {**run.summary, "task_probe": probe}
    try:
        learned = Learned(
            parameters=policy.parameter_count(),
            training_tasks=data.num_tasks,
            curve=tuple(name_numbers(run.curve)),
            summary=name_numbers(make_plain(summary, "run.summary")),
        )
        json.dumps(learned.model_dump(mode="json"), allow_nan=False)
    except (ValidationError, ValueError, TypeError) as error:
        first = " ".join(str(error).split())
        raise MethodError(
            f"method {method.name!r}: training logged what a record cannot hold: {first:.300}"
        ) from error
    return policy, learned
