"""Costs: means over seeds of what records say, by hand."""

from __future__ import annotations

import pytest

from metabench.evaluation.rows import StageCost
from metabench.leaderboard.scores import overall
from metabench.leaderboard.scores.aggregate import aggregate
from metabench.leaderboard.scores.overall import make_overall_tables
from metabench.runs.kept.record import make_record


def stage(shots, scored, acting, adapting, *, track="few-shot", episodes=4):
    return StageCost(
        **{"split": "test", "track": track, "shots": shots, "scored": scored, "episodes": episodes},
        **{"act_calls": 1, "adapt_calls": 1, "seconds_acting": acting, "seconds_adapting": adapting},
    )


def with_provenance(record, **changes):
    return make_record(record.result, record.provenance.model_copy(update=changes))


def costs_of(records, track="few-shot", shots=3):
    (entry,) = [e for e in aggregate(records) if (e.split, e.track, e.shots) == ("test", track, shots)]
    return entry.costs


def test_an_episode_costs_adapting_acting_and_its_own_support(make):
    stages = (
        *(stage(0, False, 2.0, 0.0), stage(1, False, 3.0, 1.0), stage(2, False, 3.0, 2.0), stage(3, False, 90.0, 90.0)),
        *(stage(3, True, 8.0, 4.0), stage(5, True, 800.0, 400.0), stage(3, True, 70.0, 70.0, track="logged-shot")),
    )
    first, second = (with_provenance(make("bc", seed), stages=stages) for seed in (0, 1))
    slower = tuple(each.model_copy(update={"seconds_acting": 3 * each.seconds_acting}) for each in stages)
    costs = costs_of([first, with_provenance(second, stages=slower)])
    assert costs.acting == pytest.approx((8.0 + 24.0) / 2 / 4)
    assert costs.adapting == pytest.approx(4.0 / 4)
    assert costs.collecting == pytest.approx(((8.0 + 3.0) + (24.0 + 3.0)) / 2 / 4)
    assert costs_of([first], track="logged-shot").collecting is None
    assert costs_of([first], track="zero-shot", shots=0).acting is None  # no rollout of it is priced


def test_training_pretraining_updates_and_evaluation_are_means_over_seeds(make):
    records = []
    for seed, pretraining in ((0, 10.0), (1, 30.0)):
        made = make("bc", seed)
        curve = tuple({"stage": name, "update": step} for name in "ab" for step in (1, 50 * (seed + 1)))
        provenance = made.provenance.model_copy(update={"seconds_pretraining": pretraining})
        records.append(make_record(made.result.model_copy(update={"curve": curve}), provenance))
    costs = costs_of(records)
    assert (costs.training, costs.pretraining, costs.updates, costs.evaluating) == (105.0, 20.0, 150.0, 5.0)
    unknown = costs_of([records[0], with_provenance(records[1], seconds_pretraining=None)])
    assert unknown.pretraining is None  # a mean over the seeds that tell would pass for one over all


def test_costs_of_records_that_tell_none_are_absent(make):
    costs = costs_of([with_provenance(make("bc"), stages=())])
    assert (costs.adapting, costs.acting, costs.collecting, costs.pretraining) == (None,) * 4
    assert costs.training == 100.0


def test_groups_of_suites_have_tables_of_their_own_with_seeds_and_costs(make, monkeypatch):
    monkeypatch.setattr(overall, "CORE_SUITES", ("tiny", "point-robot"))
    monkeypatch.setattr(overall, "OTHER_GROUPS", {"robots": ("point-robot",)})
    records = [make("bc", seed) for seed in range(3)] + [make("bc", seed, suite="point-robot") for seed in range(2)]
    tables = [each for each in make_overall_tables(aggregate(records)) if each.track == "few-shot"]
    assert [(each.group, each.suites) for each in tables] == [
        ("core set", ("tiny", "point-robot")),
        ("robots", ("point-robot",)),
    ]
    core, robots = (table.rows[0] for table in tables)
    assert (core.seeds, robots.seeds) == ((2, 3), (2, 2))
    assert core.costs.training == pytest.approx((110.0 + 105.0) / 2)
    assert robots.costs.acting == pytest.approx(0.11)
    assert robots.mean.mean == robots.cells[0].headline.mean
