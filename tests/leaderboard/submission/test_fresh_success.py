"""Fresh tasks of a suite whose score is success by a rule."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from metabench.evaluation.rows import Row
from metabench.leaderboard.submission import fresh_tasks
from metabench.leaderboard.submission.fresh_tasks import compare_with_fresh, make_fresh_suite
from metabench.suites import Suite, load_suite
from metabench.suites.schema import SuiteEntry

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def reach() -> Suite:
    """Short episodes of reach, scored by success at the last step."""
    suite = load_suite("reach")
    success = {"random": 0.1, "expert": 0.9}
    content = suite.entry.model_dump()
    tasks = [{**task, "success": success} for task in content["task"]]
    content |= {"horizon": 90, "success": "last", "task": tasks}
    return dataclasses.replace(suite, entry=SuiteEntry.model_validate(content))


def test_they_have_references_of_success_and_are_scored_by_it(reach: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fresh_tasks, "FRESH_TASKS", 3)
    monkeypatch.setattr(fresh_tasks, "REFERENCE_EPISODES", 4)
    fresh = make_fresh_suite(reach, 7, ["test"])
    tasks = fresh.split("test")
    assert len(tasks) == 3
    success = [task.success for task in tasks if task.success is not None]
    assert len(success) == 3
    assert all(0.0 <= each.random < each.expert <= 1.0 for each in success)
    assert {4 * each.expert % 1 for each in success} == {
        0.0
    }  # shares of four episodes, not the placeholders' or others
    assert all(task.reference.random < task.reference.expert for task in tasks)

    def act(suite: Suite, successes: int) -> list[Row]:
        """Ten episodes a task, of which so many end with success; all have it at some step."""
        return [
            Row(task.id, 0, episode, 0.0, 90, True, episode < successes)
            for task in suite.split("test")
            for episode in range(10)
        ]

    published = np.mean([100 * (0.5 - 0.1) / (0.9 - 0.1)])
    ours = np.mean([100 * (0.5 - each.random) / (each.expert - each.random) for each in success])
    verdict = compare_with_fresh("few-shot", act(reach, 5), reach, act(fresh, 5), fresh, 1)
    assert f"published {published:.1f}" in verdict.text
    assert f"about {ours:.1f} in 3 fresh tasks" in verdict.text
    assert verdict.agrees is not compare_with_fresh("few-shot", act(reach, 9), reach, act(fresh, 1), fresh, 1).agrees
