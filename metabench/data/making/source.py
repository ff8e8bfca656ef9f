"""Where the trajectories of a dataset come from: behaviours that act here, Minari datasets, or a dataset to label.

What follows, writing and describing them, is the same for all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from metabench.data.making.label import label_trajectories
from metabench.data.making.plan import Plan, plan_trajectories
from metabench.data.making.recorded import read_recorded
from metabench.data.making.roll_out import roll_out
from metabench.data.storage.store import open_checked_store
from metabench.data.trajectories import CHUNK, BuildProgress, Trajectories, TrajectorySource
from metabench.suites import Suite
from metabench.suites.recipes.kinds import describe_recipe

_ORDER = (
    "the episodes of a task lie in the order of learning, and each one's metadata has its `stage`, counted from 0, and "
    "its `order` within the stage"
)


def open_source(
    suite: Suite, dataset: str, *, download: bool = False, progress: BuildProgress | None = None
) -> TrajectorySource:
    """The trajectories of `dataset`, made as they are asked for; arguments and errors as of `read_recorded`.

    Raises:
        DataError: as `read_recorded`, or the dataset whose trajectories it labels is not built.
    """
    recipe = suite.dataset(dataset)
    if recipe.minari is not None:
        return read_recorded(suite, dataset, download=download, progress=progress)
    if recipe.labels_of is not None:
        return _label_built(suite, recipe.labels_of)
    return _act_plan(suite, dataset)


def _act_plan(suite: Suite, dataset: str) -> TrajectorySource:
    """The trajectories of a dataset that behaviours act here."""
    recipe, plan = suite.dataset(dataset), plan_trajectories(suite, dataset)
    kind = describe_recipe(recipe.model_dump())
    order = f"; {_ORDER}" if recipe.stages is not None else ""
    return TrajectorySource(
        parts=_act_chunks(suite, plan),
        total=len(plan),
        stage="rolling out",
        algorithm=f"metabench teacher: {kind}",
        description=f"{recipe.trajectories} trajectories a task, {kind}{order}",
    )


def _label_built(suite: Suite, base: str) -> TrajectorySource:
    """The trajectories of the built dataset `base`, labelled."""
    trajectories = open_checked_store(suite, base).trajectories
    kind = describe_recipe(suite.dataset(base).model_dump())
    return TrajectorySource(
        parts=label_trajectories(suite, trajectories),
        total=len(trajectories.seeds),
        stage="asking the expert",
        algorithm=f"metabench teacher: {kind}; labels: expert without noise",
        description=f"the trajectories of {base} ({kind}), in its order; what the expert, which knows the task, does "
        "without noise in the state before each step stands in infos/expert_actions",
    )


def _act_chunks(suite: Suite, plan: Plan) -> Iterator[Trajectories]:
    for start in range(0, len(plan), CHUNK):
        chunk = slice(start, start + CHUNK)
        part = roll_out(
            suite,
            plan.tasks[chunk],
            plan.behaviours[chunk],
            plan.seeds[chunk],
            plan.expert_shares[chunk],
        )
        stages = None if plan.stages is None else np.array(plan.stages[chunk], np.int64)
        yield Trajectories(
            dataclasses.replace(part.columns, stages=stages),
            np.array(plan.behaviours[chunk]),
            np.array(plan.seeds[chunk], np.int64),
            part.success,
        )
