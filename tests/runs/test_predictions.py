"""The track `prediction` in runs: records, what is left to do, isolation, saved policies, verification."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from metabench import MetabenchError, compute_error, evaluate_predictions, load_suite
from metabench.leaderboard.submission.predictions_agree import compare_predictions
from metabench.runs.again.evaluate_policy import predict_saved
from metabench.runs.execute_cell import execute_cell
from metabench.runs.isolation.isolated_policy import open_isolated
from metabench.runs.kept.record import read_record, write_record
from metabench.runs.kept.saved_policy import policy_folder
from metabench.runs.plan import plan_cells
from metabench.runs.request import RunRequest

from .interrupted import SETTINGS, quiet
from .predicting_method import Drifting

METHODS = Path(__file__).with_name("predicting_method.py")

pytestmark = pytest.mark.slow


def plan_tiny(place, name="Drifting", **options):
    request = RunRequest(["tiny"], ["medium"], [f"{METHODS}:{name}"], "tiny", results=place / "results", **options)
    return plan_cells(request)[0]


def run_tiny(place, name="Drifting", **options):
    return execute_cell(plan_tiny(place, name, **options), SETTINGS, quiet)


def test_a_run_predicts_after_it_acted(place):
    record = run_tiny(place)
    assert [each.split for each in record.result.predictions] == ["test", "test-far"]
    assert {block.track for block in record.result.blocks} == {"zero-shot", "few-shot", "logged-shot"}
    costs = record.provenance.predicting
    assert [(cost.split, cost.shots) for cost in costs] == [
        *(("test", shots) for shots in (0, 1, 3)),
        *(("test-far", shots) for shots in (0, 3)),
    ]
    assert [cost.adapt_calls for cost in costs] == [0, 1, 1, 0, 1]
    planned = plan_tiny(place)
    assert planned.state == "finished"
    assert compute_error(record.result.predictions[0], "observations", 3, 5) < 0.9
    again = place / "again.json.gz"
    write_record(record, again)
    assert read_record(again) == record
    folder = policy_folder(record.result.cell)
    assert predict_saved(folder, tracks=["prediction"]) == list(record.result.predictions)
    assert predict_saved(folder, tracks=["zero-shot"]) == []


def test_predictions_alone_need_no_simulator(place, monkeypatch):
    monkeypatch.setattr(type(load_suite("tiny").family), "environment", None)
    monkeypatch.setattr(type(load_suite("tiny").family), "check_available", None)
    record = run_tiny(place, tracks=["prediction"])
    assert record.result.blocks == ()
    assert len(record.result.predictions) == 2
    assert record.result.counts.scored_steps == 0


def test_a_record_from_before_is_extended(place):
    record = run_tiny(place, tracks=["zero-shot"])
    assert record.result.predictions is None
    assert "predictions" not in record.model_dump(mode="json")["result"], "digests of older records hold"
    planned = plan_tiny(place)
    assert (planned.state, planned.extends) == ("waiting", True)
    assert planned.tracks[-2:] == (("test", "prediction"), ("test-far", "prediction"))


def test_a_policy_that_cannot_is_asked_once(place):
    record = run_tiny(place, "Silent", tracks=["zero-shot", "prediction"])
    assert record.result.predictions == ()
    assert plan_tiny(place, "Silent", tracks=["zero-shot", "prediction"]).state == "finished"


def test_a_method_without_a_world_model_is_not_planned(place):
    request = RunRequest(["tiny"], ["random"], ["random"], "tiny", results=place / "results")
    assert "prediction" not in {track for _, track in plan_cells(request)[0].tracks}
    with pytest.raises(MetabenchError, match="method 'random' cannot be scored in track 'prediction'"):
        plan_cells(RunRequest(["tiny"], ["random"], ["random"], "tiny", tracks=["prediction"]))


def test_an_isolated_policy_predicts_the_same(place, tmp_path):
    suite, folder = load_suite("tiny"), tmp_path / "policy"
    folder.mkdir()
    policy = Drifting().train(None, None)
    policy.save(folder)
    here = evaluate_predictions(lambda: nullcontext(policy), suite, shots=[3])
    there = evaluate_predictions(lambda: open_isolated(f"{METHODS}:Drifting", folder, suite.spaces), suite, shots=[3])
    assert here.predictions is not None
    assert here.predictions == there.predictions
    with open_isolated(f"{METHODS}:Silent", folder, suite.spaces) as silent:
        assert not silent.predicts


def test_predictions_measured_again_are_equal_or_within_a_tolerance(place):
    record = run_tiny(place, tracks=["prediction"])
    published = record.result.predictions[0]

    def scale(factor):
        sums = published.by_task
        rewards = tuple(tuple(factor * each for each in row) for row in sums.rewards)
        return published.model_copy(update={"by_task": sums.model_copy(update={"rewards": rewards})})

    assert compare_predictions(published, published, exactly=True).agrees
    assert compare_predictions(published, scale(1.01), exactly=False).agrees
    assert not compare_predictions(published, scale(1.01), exactly=True).agrees
    far = compare_predictions(published, scale(1.3), exactly=False)
    assert not far.agrees
    assert "rewards" in far.text
    assert not compare_predictions(published, None, exactly=False).agrees
    fewer = published.model_copy(update={"trajectories": 1})
    assert "other trajectories" in compare_predictions(published, fewer, exactly=False).text
