"""What random actions, the blind policy and the teacher reach in a suite, as tables and plots show it."""

from __future__ import annotations

import dataclasses

import pytest

from metabench.leaderboard.suite_summary import summarise_suite
from metabench.suites import load_suite
from metabench.suites.schema import Reference


def with_tasks(name, entry=None, **changes):
    suite = load_suite(name)
    tasks = tuple(task.model_copy(update=changes) for task in suite.tasks)
    return dataclasses.replace(suite, entry=suite.entry.model_copy(update={"task": tasks, **(entry or {})}))


def test_references_are_means_over_the_split():
    suite = with_tasks("point-robot", reference=Reference(random=-20.0, expert=0.0, blind=-15.0))
    levels = summarise_suite(suite).references["test"]
    assert (levels.random.score, levels.teacher.score) == (0.0, 100.0)
    assert levels.blind.score == pytest.approx(25.0)
    assert [each.mean_return for each in (levels.random, levels.blind, levels.teacher)] == [-20.0, -15.0, 0.0]
    tasks = summarise_suite(suite).task_references
    assert set(tasks) == {task.id for task in suite.tasks if task.split != "train"}
    assert {task.blind for task in tasks.values()} == {-15.0}


def test_what_was_not_measured_has_no_level():
    suite = with_tasks("point-robot", reference=Reference(random=-20.0, expert=0.0))
    assert summarise_suite(suite).references["test"].blind is None
    told = with_tasks(
        "point-robot", {"task_in_observation": True}, reference=Reference(random=-20.0, expert=0.0, blind=-15.0)
    )
    assert summarise_suite(told).references["test"].blind is None  # it is told the task as all others are


def test_success_in_plain_per_cent_has_no_random_and_no_teacher():
    plain = summarise_suite(with_tasks("point-robot", {"headline": "success"}, success=None)).references["test"]
    assert (plain.random.score, plain.teacher.score) == (None, None)
    scaled = with_tasks(
        "point-robot",
        {"headline": "success"},
        reference=Reference(random=-20.0, expert=0.0),
        success=Reference(random=0.1, expert=0.9, blind=0.3),
    )
    levels = summarise_suite(scaled).references["test"]
    assert (levels.random.score, levels.teacher.score) == (0.0, 100.0)
    assert levels.blind.score == pytest.approx(25.0)
    assert levels.blind.mean_return is None  # its return was not measured
