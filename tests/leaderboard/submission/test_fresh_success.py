"""Fresh tasks of a suite whose score is success by a rule."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from metabench.evaluation.rows import Row
from metabench.leaderboard.submission import fresh_tasks
from metabench.leaderboard.submission.fresh_agree import collect_fresh_scores
from metabench.leaderboard.submission.fresh_tasks import make_fresh_suite
from metabench.suites import Suite, load_suite
from metabench.suites.schema import SuiteEntry

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def reach() -> Suite:
    """Short episodes of reach, scored by success at the last step."""
    suite = load_suite("reach")
    success = {"random": 0.1, "expert": 0.9}
    content = suite.entry.model_dump()
    kept = suite.split("train") + suite.split("test")[:3]
    tasks = [{**task.model_dump(), "success": success} for task in kept]
    content |= {"horizon": 90, "success": "last", "task": tasks}
    return dataclasses.replace(suite, entry=SuiteEntry.model_validate(content))


def test_they_have_references_of_success_and_are_scored_by_it(reach: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fresh_tasks, "LEAST_FRESH", 3)
    monkeypatch.setattr(fresh_tasks, "FRESH_A_TASK", 0)
    monkeypatch.setattr(fresh_tasks, "REFERENCE_EPISODES", 4)
    fresh = make_fresh_suite(reach, 7, ["test"])
    tasks = [fresh.suite.tasks[task] for task in fresh.fresh["test"]]
    assert len(tasks) == 3
    assert len(fresh.moved["test"]) == len(fresh.published["test"]) == len(reach.split("test"))
    success = [task.success for task in tasks if task.success is not None]
    assert len(success) == 3
    assert all(0.0 <= each.random < each.expert <= 1.0 for each in success)
    # Shares of four episodes, not the placeholders' or others.
    assert {4 * each.expert % 1 for each in success} == {0.0}
    assert all(task.reference.random < task.reference.expert for task in tasks)

    def act(suite: Suite, successes: int) -> list[Row]:
        """Ten episodes a task, of which so many end with success; all have it at some step."""
        return [
            Row(task.id, 0, episode, 0.0, 90, True, episode < successes)
            for task in suite.split("test")
            for episode in range(10)
        ]

    scores = collect_fresh_scores(act(reach, 5), reach, act(fresh.suite, 5), fresh, "test")
    np.testing.assert_allclose(scores.published, 100 * (0.5 - 0.1) / (0.9 - 0.1))
    np.testing.assert_allclose(scores.again, scores.published)
    ours = [100 * (0.5 - each.random) / (each.expert - each.random) for each in success]
    np.testing.assert_allclose(scores.fresh, ours)
