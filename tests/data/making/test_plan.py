"""Which trajectories a dataset consists of."""

from __future__ import annotations

from metabench.data.making.plan import plan_trajectories
from metabench.seeding import derive_seed
from metabench.suites import load_suite


def test_the_plan_gives_each_task_its_shares_and_its_own_seeds():
    suite = load_suite("tiny")
    plan = plan_trajectories(suite, "mixed")
    assert plan.tasks == (0,) * 10 + (1,) * 10 + (2,) * 10
    assert plan.splits == ("train",) * 20 + ("test",) * 10
    assert plan.behaviours == (("medium",) * 7 + ("expert",) * 3) * 3
    assert plan.seeds[13] == derive_seed("data", "tiny", 1, "mixed", 4, 1, 3)
    assert len(set(plan.seeds)) == 30
