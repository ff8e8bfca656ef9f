"""Where the trajectories of a dataset come from: whatever follows is the same for all sources."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from metabench.data.making.plan import Plan, plan_trajectories
from metabench.data.making.roll_out import roll_out
from metabench.data.trajectories import CHUNK, Trajectories, TrajectorySource
from metabench.suites import Suite


def rolled_out(suite: Suite, dataset: str) -> TrajectorySource:
    """The trajectories of a dataset that behaviours act here."""
    recipe, plan = suite.dataset(dataset), plan_trajectories(suite, dataset)
    shares = ", ".join(f"{100 * share:g} % {name}" for name, share in recipe.behaviours.items())
    return TrajectorySource(
        parts=_roll_outs(suite, plan),
        total=len(plan),
        stage="rolling out",
        algorithm=f"metabench teacher: {shares}",
        description=f"{recipe.trajectories} trajectories a task, {shares}",
    )


def _roll_outs(suite: Suite, plan: Plan) -> Iterator[Trajectories]:
    for start in range(0, len(plan), CHUNK):
        chunk = slice(start, start + CHUNK)
        part = roll_out(suite, plan.tasks[chunk], plan.behaviours[chunk], plan.seeds[chunk])
        yield Trajectories(
            part.columns, np.array(plan.behaviours[chunk]), np.array(plan.seeds[chunk], np.int64), part.success
        )
