"""Where the trajectories of a dataset come from: behaviours that act here, or Minari datasets that others recorded.

What follows, writing and describing them, is the same for both.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from metabench.data.making.plan import Plan, plan_trajectories
from metabench.data.making.recorded import read_recorded
from metabench.data.making.roll_out import roll_out
from metabench.data.trajectories import CHUNK, BuildProgress, Trajectories, TrajectorySource
from metabench.suites import Suite


def open_source(
    suite: Suite, dataset: str, *, download: bool = False, progress: BuildProgress | None = None
) -> TrajectorySource:
    """The trajectories of `dataset`, made as they are asked for; arguments and errors as of `read_recorded`."""
    if suite.dataset(dataset).minari is not None:
        return read_recorded(suite, dataset, download=download, progress=progress)
    return _act_plan(suite, dataset)


def _act_plan(suite: Suite, dataset: str) -> TrajectorySource:
    """The trajectories of a dataset that behaviours act here."""
    recipe, plan = suite.dataset(dataset), plan_trajectories(suite, dataset)
    shares = ", ".join(f"{100 * share:g} % {name}" for name, share in recipe.behaviours.items())
    return TrajectorySource(
        parts=_act_chunks(suite, plan),
        total=len(plan),
        stage="rolling out",
        algorithm=f"metabench teacher: {shares}",
        description=f"{recipe.trajectories} trajectories a task, {shares}",
    )


def _act_chunks(suite: Suite, plan: Plan) -> Iterator[Trajectories]:
    for start in range(0, len(plan), CHUNK):
        chunk = slice(start, start + CHUNK)
        part = roll_out(suite, plan.tasks[chunk], plan.behaviours[chunk], plan.seeds[chunk])
        yield Trajectories(
            part.columns,
            np.array(plan.behaviours[chunk]),
            np.array(plan.seeds[chunk], np.int64),
            part.success,
        )
