"""What fresh tasks find: frauds of 30 points and false alarms, when scores vary as published ones do.

`pytest -rP` prints the shares.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from scipy import stats

from metabench.leaderboard.scores.quotas import Quotas, SuiteShelf
from metabench.leaderboard.submission.fresh_agree import FreshScores, compare_with_fresh
from metabench.leaderboard.submission.fresh_tasks import FRESH_A_TASK, LEAST_FRESH
from metabench.runs.kept.record import read_record

pytestmark = pytest.mark.slow

RECORDS = Path(__file__).parents[3] / "leaderboard" / "records"
FRAUD = 30.0
"""Points that a policy has in tasks that it knows more than in others."""

BLOCKS = 7
"""Zero-shot, four or so shot counts, logged-shot, test-far: the verdicts hold for all together."""

TRIES = 20
"""Simulated policies a spread."""

MOVED = 0.5
"""Deviation over tasks of what moving a task a fifth of the way changes, as a share of that between tasks."""


class Spread(NamedTuple):
    """Deviations of a method's scores: between tasks, and of a task's mean over its episodes."""

    tasks: float
    episodes: float


@pytest.fixture(scope="module")
def spreads() -> list[Spread]:
    """Of each method, suite and test block of the present protocol; random actions and the teacher have nearly none."""
    shelf, found = SuiteShelf(), []
    for record in (read_record(path) for path in RECORDS.glob("*-v2/medium/*/*/0.json.gz")):
        cell = record.result.cell
        if cell.method in ("random", "teacher"):
            continue
        quotas = shelf.find_quotas(cell.suite, cell.suite_version)
        assert isinstance(quotas, Quotas)
        for block in record.result.blocks:
            rows = sorted(block.rows, key=lambda row: row.task)
            if block.split == "test" and block.shots <= 5:  # 20 shots leave one episode a task
                scores = quotas.suite.normalised([row.task for row in rows], [row.total_return for row in rows])
                table = np.clip(np.array(scores).reshape(len({row.task for row in rows}), -1), -100, 200)
                luck = table.var(axis=1, ddof=1).mean() / table.shape[1]
                between = max(0.0, table.mean(axis=1).var(ddof=1) - luck)
                found.append(Spread(float(between**0.5), float(luck**0.5)))
    return found


def draw(spread: Spread, tasks: int, falls: tuple[float, float, float], generator: np.random.Generator) -> FreshScores:
    """Scores of a policy that loses `falls` in the same tasks in other company, in moved copies, in fresh tasks."""
    fresh = max(LEAST_FRESH, FRESH_A_TASK * tasks)
    known = generator.normal(50.0, spread.tasks, tasks)
    published, again = known + generator.normal(0.0, spread.episodes, (2, tasks))
    moved = known + generator.normal(0.0, (MOVED**2 * spread.tasks**2 + spread.episodes**2) ** 0.5, tasks)
    others = generator.normal(50.0, (spread.tasks**2 + spread.episodes**2) ** 0.5, fresh)
    pairs = list(zip(published, moved - falls[1], strict=True))
    return FreshScores(list(published), list(again - falls[0]), pairs, list(others - falls[2]))


def find(spreads: list[Spread], tasks: int, falls: tuple[float, float, float]) -> np.ndarray:
    """Of each policy whether some comparison finds it."""
    generator = np.random.default_rng(0)
    found = [
        any(not verdict.agrees for verdict in compare_with_fresh("", draw(spread, tasks, falls, generator), BLOCKS))
        for spread in spreads
        for _ in range(TRIES)
    ]
    return np.array(found)


@pytest.mark.parametrize("tasks", [20, 30])
def test_frauds_are_found_and_honest_policies_are_not(spreads: list[Spread], tasks: int) -> None:
    assert len(spreads) >= 50
    alarms = find(spreads, tasks, (0.0, 0.0, 0.0))  # of one block
    by_seeds, by_task, nearest = (
        100 * find(spreads, tasks, falls).mean()
        for falls in ((FRAUD, FRAUD, FRAUD), (0.0, FRAUD, FRAUD), (0.0, 0.0, FRAUD))
    )
    print(f"{tasks} tasks: false alarms {100 * BLOCKS * alarms.mean():.1f} % a record at most")
    print(f"frauds of {FRAUD:.0f} points found: who knows seeds or order {by_seeds:.0f} %, tasks {by_task:.0f} %,")
    print(f"goes to the nearest task {nearest:.0f} %")
    assert stats.binomtest(int(alarms.sum()), len(alarms), 0.05 / BLOCKS, alternative="greater").pvalue > 0.01
    assert min(by_seeds, by_task, nearest) >= 90.0
