"""Training a cell's method from where it was left, and keeping policy and facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from metabench.methods.contract import Method
from metabench.methods.training_run import TrainingProgress
from metabench.runs.isolation.method_facts import MethodFacts
from metabench.runs.kept.clock import Clock
from metabench.runs.kept.record import EXPERT_LABELS
from metabench.runs.kept.saved_policy import (
    Training,
    read_training,
    save_trained,
    take_trained,
)
from metabench.runs.planned_cell import PlannedCell
from metabench.runs.settings import Settings
from metabench.runs.training.isolated_training import ForeignMethod, train_isolated
from metabench.runs.training.train_policy import Learned, TrainingTask, train_policy
from metabench.suites import Suite


def train_cell(
    planned: PlannedCell,
    settings: Settings,
    suite: Suite,
    method: Method | None,
    facts: MethodFacts,
    folder: Path,
    target: Path,
    progress: TrainingProgress,
    cancelled: Callable[[], bool],
    follow: Callable[[Sequence[Mapping[str, Any]]], None],
) -> Training:
    """Train, and keep policy and facts in `target`.

    Args:
        planned: the cell.
        settings: device, threads, limits.
        suite: its suite.
        method: its method; None lets a process of its own import and train it.
        facts: what is known of the method.
        folder: the cell's run folder: checkpoints and clock.
        target: where policy and facts go.
        progress: told how far it is.
        cancelled: asked often; true stops it.
        follow: given the curve so far, where the method is trained here.

    Raises:
        CancelledError: `cancelled` said so.
        MethodError: the method broke its contract, or its process failed.
        DataError: what its process left is no plain folder.
    """
    cell, clock = planned.cell, Clock(folder / "clock.json")
    task = TrainingTask(
        suite,
        cell.dataset,
        cell.seed,
        settings.device,
        folder / "checkpoints",
        settings.checkpoint_seconds,
        facts.uses_expert_labels,
    )

    def tell(stage: str, done: int, total: int, metrics: Mapping[str, float]) -> None:
        clock.tick()
        progress(f"training: {stage}", done, total, metrics)

    def make_training(learned: Learned) -> Training:
        clock.write()
        return Training(
            cell=cell,
            spec=planned.spec,
            overrides=dict(planned.overrides),
            configuration=facts.configuration,
            parameters=learned.parameters,
            training_tasks=learned.training_tasks,
            curve=learned.curve,
            # Said here, not by the method: leaderboards mark the row by it.
            summary={**learned.summary, EXPERT_LABELS: True}
            if facts.uses_expert_labels
            else learned.summary,
            seconds=clock.seconds,
            resumed=clock.attempts - 1,
            device=settings.device,
            threads=settings.threads,
            warnings=clock.warnings,
        )

    progress("training", 0, 0, {})
    try:
        if method is not None:
            policy, learned = train_policy(method, task, tell, cancelled, follow)
            save_trained(policy, make_training(learned), target)
        else:
            foreign = ForeignMethod(planned.spec, facts.configuration, cell.method_code)
            with train_isolated(
                foreign, task, settings.threads, folder, tell, cancelled, settings.limits
            ) as (saved, learned):
                take_trained(saved, make_training(learned), target)
    except BaseException:
        clock.write()
        raise
    return read_training(target)
