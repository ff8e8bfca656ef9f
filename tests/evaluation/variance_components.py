"""How much published scores vary: by seed, by seed x task, by which tasks a method is good at, by episode."""

from __future__ import annotations

import itertools
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from metabench.leaderboard.records import load_records
from metabench.leaderboard.scores.quotas import Quotas, SuiteShelf

RECORDS = Path(__file__).parents[2] / "leaderboard" / "records"
PROTOCOL = "1"
"""Its records are archived: what is measured on them stays as it is."""

SHOTS = {"zero-shot": 0, "few-shot": 3, "logged-shot": 3}
LEAST_SEEDS = 3


class Components(NamedTuple):
    """Standard deviations, in points of the normalised score.

    Attributes:
        seed: of a training's luck in all tasks alike.
        seed_task: of its luck in a task, of the mean over the task's episodes.
        difference: between two methods over tasks: one is better in some, the other in others.
        episode: of an episode around its task's mean.
        episodes: how many of them a task has.
    """

    seed: float
    seed_task: float
    difference: float
    episode: float
    episodes: int


def measure_components() -> dict[str, Components]:
    """The components of each suite's published records: unbiased variances, averaged over methods, pairs and tracks.

    The methods are those that learn: the teacher and random actions have no luck of training.
    """
    tables: dict[tuple[str, str], dict[str, list[np.ndarray]]] = defaultdict(lambda: defaultdict(list))
    shelf = SuiteShelf()
    for record in load_records(RECORDS):
        cell = record.result.cell
        if cell.protocol != PROTOCOL or cell.preset != "cpu" or cell.dataset != "medium":
            continue
        if record.result.privileged or cell.method == "random":
            continue
        quotas = shelf.find_quotas(cell.suite, cell.suite_version)
        assert isinstance(quotas, Quotas)
        for block in record.result.blocks:
            if block.split == "test" and block.shots == SHOTS[block.track]:
                rows = sorted(block.rows, key=lambda row: row.task)
                scores = quotas.suite.normalised([row.task for row in rows], [row.total_return for row in rows])
                tasks = len({row.task for row in rows})
                tables[cell.suite, block.track][f"{cell.method} {cell.config_digest}"].append(
                    np.array(scores).reshape(tasks, -1)
                )
    found: dict[str, list[list[list[float]]]] = defaultdict(list)
    episodes: dict[str, int] = {}
    for (suite, _), methods in tables.items():
        cubes = [np.clip(seeds, -100, 200) for seeds in methods.values() if len(seeds) >= LEAST_SEEDS]
        if len(cubes) > 1:
            found[suite].append(_measure(cubes))
            episodes[suite] = cubes[0].shape[-1]
    return {suite: _summarise(parts, episodes[suite]) for suite, parts in sorted(found.items())}


def _measure(cubes: list[np.ndarray]) -> list[list[float]]:
    """Variances of each method, `(seeds, tasks, episodes)` scores, and of each pair."""
    seed, seed_task, episode, difference = [], [], [], []
    means, residuals = [], []
    for cube in cubes:
        table = cube.mean(axis=-1)  # (seeds, tasks)
        seeds, tasks = table.shape
        left = table - table.mean(0) - table.mean(1, keepdims=True) + table.mean()
        residual = float((left**2).sum() / ((seeds - 1) * (tasks - 1)))
        seed.append(float(table.mean(1).var(ddof=1)) - residual / tasks)
        seed_task.append(residual)
        episode.append(float(cube.var(axis=-1, ddof=1).mean()))
        means.append(table.mean(0))
        residuals.append(residual / seeds)
    for one, other in itertools.combinations(range(len(cubes)), 2):
        spread = float((means[one] - means[other]).var(ddof=1))
        difference.append(spread - residuals[one] - residuals[other])
    return [seed, seed_task, difference, episode]


def _summarise(parts: list[list[list[float]]], episodes: int) -> Components:
    variances = [np.mean([value for part in parts for value in part[i]]) for i in range(4)]
    return Components(*(float(np.sqrt(max(0.0, value))) for value in variances), episodes)
