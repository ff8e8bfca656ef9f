"""The two ends of the normalised score: mean returns of random actions and of the teacher's expert."""

from __future__ import annotations

import numpy as np

from metabench.data.making.roll_out import roll_out
from metabench.errors import MetabenchError
from metabench.seeding import derive_seed
from metabench.suites import Suite

EPISODES = 500
"""Episodes a task and behaviour that references are averaged over, unless asked otherwise."""


def measure_references(suite: Suite, episodes: int = EPISODES) -> dict[int, dict[str, float]]:
    """Mean returns per task id: `{0: {"random": -17.2, "expert": -2.1}, ...}`, rounded to 1e-4.

    Raises:
        MetabenchError: the suite's family has no teacher.
    """
    if "expert" not in suite.teacher().behaviours:
        raise MetabenchError(
            f"suite {suite.name}: its references cannot be measured: its family has no teacher"
        )
    measured: dict[int, dict[str, float]] = {task.id: {} for task in suite.tasks}
    tasks = np.repeat([task.id for task in suite.tasks], episodes)
    for behaviour in ("random", "expert"):
        seeds = [
            derive_seed(
                "reference", suite.name, suite.entry.version, behaviour, int(task), i % episodes
            )
            for i, task in enumerate(tasks)
        ]
        columns = roll_out(suite, tasks.tolist(), [behaviour] * len(tasks), seeds).columns
        for task, mean in zip(
            measured, columns.episode_returns.reshape(-1, episodes).mean(axis=1), strict=True
        ):
            measured[task][behaviour] = round(float(mean), 4)
    return measured
