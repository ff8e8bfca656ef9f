"""Which trajectories a dataset consists of, by its recipe."""

from __future__ import annotations

from dataclasses import dataclass

from metabench.seeding import derive_seed
from metabench.suites import Suite
from metabench.suites.recipes.kinds import MIXTURE


@dataclass(frozen=True)
class Plan:
    """The trajectories of a dataset, one an entry, in the order in which they are stored.

    Attributes:
        tasks: suite task id of each.
        splits: its task's split.
        behaviours: what acts.
        seeds: its only randomness.
        stages: of histories, the stage of each, counted from 0; else None.
        expert_shares: of mixed histories, how often each acts as the expert, else at random; else empty.
    """

    tasks: tuple[int, ...]
    splits: tuple[str, ...]
    behaviours: tuple[str, ...]
    seeds: tuple[int, ...]
    stages: tuple[int, ...] | None = None
    expert_shares: tuple[float, ...] = ()

    def __len__(self) -> int:
        """Number of trajectories."""
        return len(self.tasks)


def plan_trajectories(suite: Suite, dataset: str) -> Plan:
    """All trajectories of `dataset`: for each task, each behaviour's share or stage in the recipe's order."""
    recipe = suite.dataset(dataset)
    behaviours = [
        name
        for name, share in recipe.behaviours.items()
        for _ in range(round(share * recipe.trajectories))
    ]
    tasks = [task for task in suite.dataset_tasks(dataset) for _ in behaviours]
    episodes, last = recipe.trajectories // recipe.stage_count, recipe.stage_count - 1
    stages = [position % len(behaviours) // episodes for position in range(len(tasks))]
    return Plan(
        tasks=tuple(task.id for task in tasks),
        splits=tuple(task.split for task in tasks),
        behaviours=tuple(behaviours * len(suite.dataset_tasks(dataset))),
        seeds=tuple(
            derive_seed(
                "data",
                suite.name,
                suite.entry.version,
                dataset,
                recipe.seed,
                task.id,
                position % len(behaviours),
            )
            for position, task in enumerate(tasks)
        ),
        stages=None if recipe.stages is None else tuple(stages),
        expert_shares=tuple(stage / last for stage in stages) if MIXTURE in behaviours else (),
    )
