"""Exports for other catalogues: what their formats ask for, stated here anew."""

import json
import time

import jsonschema
import pytest
import yaml
from huggingface_hub.repocard_data import model_index_to_eval_results

from metabench.leaderboard.export.formats import export_entries, select_entries
from metabench.leaderboard.scores.aggregate import aggregate

TEXT = {"type": "string", "minLength": 1}
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
EVERY_EVAL_EVER = {
    "type": "object",
    "additionalProperties": False,
    "required": ["schema_version", "evaluation_id", "retrieved_timestamp", "source_metadata", "model_info"],
    "properties": {
        "schema_version": {"const": "0.3.0"},
        "evaluation_id": TEXT,
        "evaluation_timestamp": TEXT,
        "retrieved_timestamp": {"type": "string", "pattern": "^[0-9]+$"},
        "source_metadata": {
            "required": ["source_type", "source_organization_name", "evaluator_relationship"],
            "properties": {
                "source_type": {"enum": ["documentation", "evaluation_run"]},
                "evaluator_relationship": {"enum": ["first_party", "third_party", "collaborative", "other"]},
            },
        },
        "eval_library": {"required": ["name", "version"], "properties": {"additional_details": TEXTS}},
        "model_info": {
            "required": ["name", "id", "additional_details"],
            "properties": {
                "id": {"pattern": "^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$"},
                "additional_details": {**TEXTS, "required": ["deployment_type", "model_availability"]},
            },
        },
        "evaluation_results": {
            "type": "array",
            "minItems": 1,
            "items": {
                "required": ["evaluation_name", "source_data", "metric_config", "score_details"],
                "properties": {
                    "source_data": {
                        "required": ["dataset_name", "source_type"],
                        "properties": {"source_type": {"const": "other"}, "additional_details": TEXTS},
                    },
                    "metric_config": {
                        "required": ["lower_is_better", "score_type", "min_score", "max_score"],
                        "properties": {
                            "score_type": {"const": "continuous"},
                            "min_score": {"oneOf": [{"type": "number"}, {"const": "-Infinity"}]},
                            "max_score": {"oneOf": [{"type": "number"}, {"const": "Infinity"}]},
                        },
                    },
                    "score_details": {
                        "required": ["score"],
                        "properties": {"score": {"type": "number"}, "details": TEXTS},
                    },
                },
            },
        },
    },
}
"""What a log of version 0.3.0 must hold."""


@pytest.fixture(scope="module")
def entries(make):
    records = [make(method, seed, level=level) for method, level in (("bc", 20), ("meta-dt", 60)) for seed in (0, 1)]
    records += [make("bc", 0, suite="point-robot"), make("bc", 0, preset="demo")]
    records.append(make("meta-dt/no_context", 0, overrides={"no_context": True}, configuration={"a": 1}))
    records.append(make("lazy", 0, keep=lambda block: block if block.track == "few-shot" else None))
    return aggregate([*records, make("old", cell={"suite_digest": "sha256:" + "1" * 64})])


def numbers(entries):
    """What every catalogue must get: each estimate of each entry that has complete seeds."""
    fields = ("headline", "normalised_return", "mean_return", "success_any", "success_last")
    return sorted(
        getattr(entry, field).mean
        for entry in entries
        if entry.seeds
        for field in fields
        if getattr(entry, field) is not None
    )


def test_a_log_of_every_eval_ever_for_each_method_and_preset(entries):
    logs = [json.loads(line) for line in export_entries(entries, "every-eval-ever").splitlines()]
    validator = jsonschema.Draft202012Validator(EVERY_EVAL_EVER)
    for log in logs:
        validator.validate(log)
    assert [log["model_info"]["id"] for log in logs] == [
        "metabench/bc-v1-cpu",
        "metabench/lazy-v1-cpu",
        "metabench/meta-dt-v1-cpu",
        "metabench/meta-dt-no_context-v1-cpu",
        "metabench/bc-v1-demo",
    ]
    results = [result for log in logs for result in log["evaluation_results"]]
    assert sorted(result["score_details"]["score"] for result in results) == numbers(entries)
    assert len({result["evaluation_result_id"] for result in results}) == len(results)


def test_it_is_the_same_in_every_time_zone(entries, monkeypatch):
    texts = set()
    for zone in ("UTC", "Asia/Kolkata", "America/Los_Angeles"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        texts.add(export_entries(entries, "every-eval-ever"))
    monkeypatch.undo()
    time.tzset()
    assert len(texts) == 1


def test_its_intervals_are_the_entries_and_name_their_unit(entries):
    chosen = select_entries(entries, suite="tiny", method="bc", preset="cpu", split="test", track="few-shot", shots=3)
    (log,) = (json.loads(line) for line in export_entries(chosen, "every-eval-ever").splitlines())
    (result,) = [
        r for r in log["evaluation_results"] if r["metric_config"]["metric_id"] == "metabench.normalised_return"
    ]
    uncertainty = result["score_details"]["uncertainty"]
    interval = uncertainty["confidence_interval"]
    assert (interval["lower"], interval["upper"]) == chosen[0].normalised_return.interval
    assert (interval["confidence_level"], uncertainty["num_samples"]) == (0.95, 2)
    assert "seeds" in interval["method"]
    assert result["evaluation_name"] == "tiny-v1 test few-shot, 3 shots"


def test_the_model_index_is_one_that_the_hubs_library_reads(entries):
    chosen = [entry for entry in select_entries(entries, method="bc", preset="cpu") if entry.split == "test"]
    text = export_entries(chosen, "model-index")
    assert text.startswith("---\n")
    assert text.endswith("---\n")
    (index,) = [yaml.safe_load(text.strip("-\n"))["model-index"]]
    name, results = model_index_to_eval_results(index)
    assert name == "bc, version 1, preset cpu"
    assert {result.dataset_type for result in results} == {
        "metabench/tiny/medium-v1",
        "metabench/point-robot/medium-v1",
    }
    assert {result.dataset_config for result in results} == {
        *("zero-shot-0", "few-shot-1", "few-shot-3", "few-shot-5", "few-shot-20", "logged-shot-3")
    }
    assert all(result.verified is False and result.metric_name for result in results)
    assert sorted(result.metric_value for result in results) == numbers(chosen)


def test_names_are_text_in_yaml_whatever_they_hold(make):
    (odd,) = yaml.safe_load(export_entries(aggregate([make("a: [b, &c] # 'd'")]), "model-index").strip("-\n"))[
        "model-index"
    ]
    assert odd["name"] == "a: [b, &c] # 'd', version 1, preset cpu"


def test_nothing_complete_makes_nothing_up(make):
    none = aggregate([make(keep=lambda block: None)])
    assert export_entries(none, "every-eval-ever") == ""
    assert yaml.safe_load(export_entries(none, "model-index").strip("-\n")) == {"model-index": []}
