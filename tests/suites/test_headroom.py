"""What knowing the task is worth: in suites of returns and of success, in lists; the core set has some."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from metabench.leaderboard.scores.overall import CORE_SUITES
from metabench.suites import Suite, load_suite
from metabench.suites.catalogue import describe_suite, list_suite_summaries
from metabench.suites.folders import find_built_in_suites
from metabench.suites.headroom import LITTLE_HEADROOM, describe_headroom, measure_headroom
from metabench.suites.schema import Reference, SuiteEntry


def succeed_by_rule(suite: Suite, blind: float | None, **changes: object) -> Suite:
    """`suite` as one of success, with this share of the blind policy in every task."""
    success = {"random": 0.1, "expert": 0.9, "blind": blind}
    content = suite.entry.model_dump()
    tasks = [{**task, "success": success} for task in content["task"]]
    entry = SuiteEntry.model_validate({**content, "headline": "success", "success": "any", "task": tasks, **changes})
    return dataclasses.replace(suite, entry=entry)


def test_a_suite_of_success_has_the_headroom_of_success() -> None:
    suite = succeed_by_rule(load_suite("tiny"), 0.3)
    assert suite.headroom("test") == pytest.approx(75.0)
    assert describe_suite(suite)["headroom"] == {"test": pytest.approx(75.0), "test-far": pytest.approx(75.0)}
    assert succeed_by_rule(load_suite("tiny"), None).headroom("test") is None
    assert succeed_by_rule(load_suite("tiny"), 0.3, task_in_observation=True).headroom("test") == 0.0


def test_a_task_whose_expert_has_no_more_success_than_random_is_named() -> None:
    content = succeed_by_rule(load_suite("tiny"), 0.3).entry.model_dump()
    content["task"][2]["success"]["expert"] = 0.1
    with pytest.raises(ValueError, match=r"task\.2\.success\n.*expert \(0\.1\) must be above random \(0\.1\)"):
        SuiteEntry.model_validate(content)


def test_the_blind_policy_may_be_as_good_as_the_expert_where_there_is_nothing_to_find_out() -> None:
    assert succeed_by_rule(load_suite("tiny"), 0.9).headroom("test") == pytest.approx(0.0)
    assert succeed_by_rule(load_suite("tiny"), 0.93).headroom("test") == pytest.approx(-3.75)
    with pytest.raises(
        ValueError, match=r"split 'train': expert must be above blind, which scores 112\.5 .* in task 0"
    ):
        succeed_by_rule(load_suite("tiny"), 1.0)


def test_scores_are_clipped_task_by_task() -> None:
    ends = {"random": 0.0, "expert": 1.0}
    assert measure_headroom([{**ends, "blind": -7.0}, {**ends, "blind": 0.5}]) == pytest.approx(125.0)
    assert measure_headroom([{**ends, "blind": 0.5}, ends]) is None
    assert measure_headroom([{**ends, "blind": 0.5}, Reference(**ends).model_dump()]) is None


def test_little_headroom_is_told() -> None:
    assert describe_headroom(None) == "not measured"
    assert describe_headroom(LITTLE_HEADROOM) == "30"
    assert describe_headroom(29.0) == "29, little to adapt to"


def test_lists_and_validated_suites_agree() -> None:
    listed = {each.name: each.headroom for each in list_suite_summaries(internal=True)}
    names = [*find_built_in_suites()]
    assert {name: listed[name] for name in names} == {name: load_suite(name).headroom("test") for name in names}
    assert listed["sweep"] == 0.0  # its observation tells the task
    assert listed["cartpole"] == 0.0  # there is one task


def test_a_list_reads_what_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (load_suite("tiny").folder / "suite.toml").read_text()
    measured = text.replace("expert = -2.2271 }", "expert = -2.2271, blind = -9.0 }")
    assert measured != text
    (tmp_path / "datasets" / "tiny").mkdir(parents=True)
    (tmp_path / "datasets" / "tiny" / "suite.toml").write_text(measured)
    monkeypatch.setattr("metabench.suites.folders.source_root", lambda: tmp_path)
    (found,) = [each for each in list_suite_summaries(internal=True) if each.name == "tiny"]
    assert found.headroom == pytest.approx(100.0 * (9.0 - 2.2271) / (15.7323 - 2.2271))
    assert json.dumps(describe_suite(load_suite("tiny"))["headroom"]) == json.dumps(
        {"test": found.headroom, "test-far": None}
    )


@pytest.mark.parametrize("name", CORE_SUITES)
def test_a_core_suite_has_headroom(name: str) -> None:
    suite = load_suite(name)
    headroom = suite.headroom("test")
    if headroom is None:
        pytest.skip(f"{suite.identity} has no blind references")
    assert headroom >= LITTLE_HEADROOM


def test_whose_blind_policy_is_measured_ships_it() -> None:
    for name in find_built_in_suites():
        suite = load_suite(name)
        if any(
            reference and reference.blind is not None
            for task in suite.tasks
            for reference in (task.reference, task.success)
        ):
            assert suite.blind() is not None, name
