"""Where the trajectories of a dataset come from: whatever follows is the same for all sources."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from metabench.data.collect import RollOut, joined, roll_out
from metabench.data.manifest import Plan, Trajectories, plan_trajectories
from metabench.suites import Suite

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

CHUNK = 500
"""Trajectories that are rolled out and written, or read, between two calls of a `Progress`."""


@dataclass(frozen=True)
class Source:
    """Trajectories to be stored.

    Attributes:
        parts: the trajectories, sorted by task, made as they are asked for.
        total: how many there are in all.
        stage: what making them is called.
        algorithm: what acted, for Minari's metadata.
        description: what they are, for Minari's metadata.
    """

    parts: Iterable[Trajectories]
    total: int
    stage: str
    algorithm: str
    description: str


def rolled_out(suite: Suite, dataset: str) -> Source:
    """The trajectories of a dataset that behaviours act here."""
    recipe, plan = suite.dataset(dataset), plan_trajectories(suite, dataset)
    shares = ", ".join(f"{100 * share:g} % {name}" for name, share in recipe.behaviours.items())
    return Source(
        parts=_roll_outs(suite, plan),
        total=len(plan),
        stage="rolling out",
        algorithm=f"metabench teacher: {shares}",
        description=f"{recipe.trajectories} trajectories a task, {shares}",
    )


def joined_trajectories(parts: Sequence[Trajectories]) -> Trajectories:
    """The trajectories of all parts, in order, as one."""
    whole = joined([RollOut(part.columns, part.success) for part in parts])
    return Trajectories(
        columns=whole.columns,
        behaviours=np.concatenate([part.behaviours for part in parts]),
        seeds=np.concatenate([part.seeds for part in parts]),
        success=whole.success,
    )


def _roll_outs(suite: Suite, plan: Plan) -> Iterator[Trajectories]:
    for start in range(0, len(plan), CHUNK):
        chunk = slice(start, start + CHUNK)
        part = roll_out(suite, plan.tasks[chunk], plan.behaviours[chunk], plan.seeds[chunk])
        yield Trajectories(
            part.columns, np.array(plan.behaviours[chunk]), np.array(plan.seeds[chunk], np.int64), part.success
        )
