"""Scores of one seed's rows, against sums done by hand."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metabench.errors import DataError
from metabench.evaluation.rows import Block, Row
from metabench.evaluation.scores import score_block, score_rows
from metabench.suites import load_suite

SUITE = load_suite("tiny")


def rows_of(returns, success=None):
    """Rows of tasks 2 and 3 in turn."""
    return [Row(2 + i % 2, i // 2, 0, value, 20, success, success) for i, value in enumerate(returns)]


@given(st.lists(st.floats(-40, 0), min_size=2, max_size=30))
def test_scores_are_normalised_by_each_tasks_own_references(returns):
    score = score_rows(rows_of(returns), SUITE)
    normalised = [
        100
        * (value - SUITE.tasks[2 + i % 2].reference.random)
        / (SUITE.tasks[2 + i % 2].reference.expert - SUITE.tasks[2 + i % 2].reference.random)
        for i, value in enumerate(returns)
    ]
    means = np.array([np.mean(normalised[::2]), np.mean(normalised[1::2])])
    assert score.tasks == (2, 3)
    assert score.task_scores == pytest.approx(np.clip(means, -100, 200), abs=1e-9)
    assert score.clipped == sum(mean < -100 or mean > 200 for mean in means)
    assert score.headline == pytest.approx(np.mean(score.task_scores))
    assert score.normalised_return == score.headline
    assert score.mean_return == pytest.approx(np.mean(returns))


def test_a_task_counts_once_however_many_episodes_it_has():
    reference = SUITE.tasks[2].reference
    rows = [Row(2, i, 0, reference.expert, 20, None, None) for i in range(9)]
    rows.append(Row(3, 0, 0, SUITE.tasks[3].reference.random, 20, None, None))
    assert score_rows(rows, SUITE).headline == pytest.approx(50.0)


def test_a_failed_task_is_charged_for_and_no_task_beyond_measure_decides():
    """The failure is in the mean, where an interquartile mean over episodes left it out; at -100 it ends."""

    def value(task, score):
        reference = SUITE.tasks[task].reference
        return reference.random + score / 100 * (reference.expert - reference.random)

    scored = [
        score_rows([Row(2, 0, 0, value(2, 90), 20, None, None), Row(3, 0, 0, value(3, low), 20, None, None)], SUITE)
        for low in (-80.0, -1e6)
    ]
    assert [score.headline for score in scored] == pytest.approx([5.0, -5.0])
    assert [score.clipped for score in scored] == [0, 1]
    # An episode is not clipped, its task's mean is: one bad episode of many is averaged first.
    rows = [Row(2, i, 0, value(2, score), 20, None, None) for i, score in enumerate((-250.0, 50.0))]
    assert score_rows(rows, SUITE).task_scores == pytest.approx((-100.0,))
    assert score_rows(rows, SUITE).clipped == 0


def test_the_references_are_0_and_100():
    reference = SUITE.tasks[2].reference
    for value, expected in ((reference.random, 0.0), (reference.expert, 100.0)):
        assert score_rows([Row(2, 0, 0, value, 20, None, None)], SUITE).headline == pytest.approx(expected)


def test_success_is_a_share_where_rows_tell_it():
    rows = [Row(2, i, 0, -5.0, 20, i < 3, i < 1) for i in range(4)]
    score = score_rows(rows, SUITE)
    assert (score.success_any, score.success_last) == (0.75, 0.25)
    assert score.headline == score.normalised_return
    assert score_rows(rows_of([-5.0, -6.0]), SUITE).success_any is None


def test_a_suite_of_success_is_scored_by_it_task_by_task():
    suite = dataclasses.replace(SUITE, entry=SUITE.entry.model_copy(update={"headline": "success"}))
    rows = [Row(2, i, 0, -5.0, 20, i < 3, False) for i in range(4)] + [Row(3, 0, 0, -5.0, 20, False, False)]
    score = score_rows(rows, suite)
    assert score.task_scores == (75.0, 0.0)
    assert score.headline == 37.5
    assert score.normalised_return == score_rows(rows, SUITE).headline
    with pytest.raises(DataError, match="score is success, but the rows tell none"):
        score_rows(rows_of([-5.0, -6.0]), suite)


def test_rows_that_cannot_be_scored_are_refused():
    with pytest.raises(DataError, match="no episodes"):
        score_rows([], SUITE)
    with pytest.raises(DataError, match="task 9 is unknown; expected 0 to 3"):
        score_rows([Row(9, 0, 0, -5.0, 20, None, None)], SUITE)
    with pytest.raises(DataError, match="1 of 3 rows tell no success"):
        score_rows([*rows_of([-5.0, -6.0], success=True), Row(2, 1, 0, -5.0, 20, None, None)], SUITE)


def test_another_versions_rows_are_not_normalised_with_these_references():
    block = Block(split="test", track="zero-shot", shots=0, rows=tuple(rows_of([-5.0, -6.0])))
    assert score_block(block, SUITE, SUITE.digest) == score_rows(block.rows, SUITE)
    with pytest.raises(DataError, match="digest"):
        score_block(block, SUITE, "sha256:" + "0" * 64)
