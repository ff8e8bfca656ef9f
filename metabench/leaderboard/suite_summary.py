"""What a leaderboard says of a suite: rules, splits, and what policies that are no rivals reach in it."""

from __future__ import annotations

from collections.abc import Sequence

from metabench.evaluation.protocol import SPLITS
from metabench.leaderboard.scores.estimates import round_score
from metabench.leaderboard.scores.tables import (
    ReferenceLevel,
    ReferenceLevels,
    SuiteSummary,
    TaskReference,
)
from metabench.suites import Suite
from metabench.suites.recipes.kinds import describe_recipe


def summarise_suite(suite: Suite) -> SuiteSummary:
    """`suite` as its scores are computed with it."""
    entry = suite.entry
    scored = [name for name in suite.splits if name in SPLITS]
    headroom = {name: suite.headroom(name) for name in scored}
    return SuiteSummary(
        name=suite.name,
        version=entry.version,
        digest=suite.digest,
        title=entry.title,
        distribution=entry.distribution,
        horizon=entry.horizon,
        metric=entry.headline,
        seen_tasks=entry.seen_tasks,
        episodes=entry.evaluation.episodes,
        supports=entry.evaluation.supports,
        tasks={name: len(suite.split(name)) for name in suite.splits},
        headroom={
            name: round_score(value) for name, value in headroom.items() if value is not None
        },
        references={name: _find_references(suite, name, headroom[name]) for name in scored},
        task_references={
            task.id: TaskReference(
                random=task.reference.random,
                blind=task.reference.blind,
                teacher=task.reference.expert,
            )
            for task in suite.tasks
            if task.split != "train"
        },
        parameters={task.id: task.parameters for task in suite.tasks if task.split != "train"},
        datasets={
            name: describe_recipe(recipe.model_dump()) for name, recipe in entry.datasets.items()
        },
        archived=suite.archived,
    )


def _find_references(suite: Suite, split: str, headroom: float | None) -> ReferenceLevels:
    tasks = suite.split(split)
    # Without references of success, success is shown in plain per cent, of which 0 and 100 are nobody's.
    scaled = suite.entry.headline != "success" or all(task.success for task in tasks)
    blind = None
    if headroom is not None and not suite.entry.task_in_observation:
        blind = ReferenceLevel(
            score=round_score(100.0 - headroom),
            mean_return=_average([task.reference.blind for task in tasks]),
        )
    return ReferenceLevels(
        random=ReferenceLevel(
            score=0.0 if scaled else None,
            mean_return=_average([task.reference.random for task in tasks]),
        ),
        blind=blind,
        teacher=ReferenceLevel(
            score=100.0 if scaled else None,
            mean_return=_average([task.reference.expert for task in tasks]),
        ),
    )


def _average(values: Sequence[float | None]) -> float | None:
    told = [value for value in values if value is not None]
    if not told or len(told) < len(values):
        return None
    return round_score(sum(told) / len(told))
