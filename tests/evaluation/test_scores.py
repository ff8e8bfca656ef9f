"""Scores of one seed's rows, against sums done by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from metabench.errors import DataError
from metabench.evaluation.rows import Block, Row
from metabench.evaluation.scores import score_block, score_rows
from metabench.suites import load_suite

SUITE = load_suite("tiny")


def rows_of(returns, success=None):
    """Rows of tasks 2 and 3 in turn."""
    return [Row(2 + i % 2, i // 2, 0, value, 20, success, success) for i, value in enumerate(returns)]


@given(st.lists(st.floats(-100, 0), min_size=2, max_size=30))
def test_scores_are_normalised_by_each_tasks_own_references(returns):
    score = score_rows(rows_of(returns), SUITE)
    normalised = [
        100
        * (value - SUITE.tasks[2 + i % 2].reference.random)
        / (SUITE.tasks[2 + i % 2].reference.expert - SUITE.tasks[2 + i % 2].reference.random)
        for i, value in enumerate(returns)
    ]
    assert score.iqm == pytest.approx(stats.trim_mean(normalised, 0.25))
    assert score.mean == pytest.approx(np.mean(normalised))
    assert score.median == pytest.approx(np.median(normalised))
    assert score.mean_return == pytest.approx(np.mean(returns))
    assert score.tasks == (2, 3)
    assert score.task_scores == pytest.approx((np.mean(normalised[::2]), np.mean(normalised[1::2])))


def test_the_references_are_0_and_100():
    reference = SUITE.tasks[2].reference
    for value, expected in ((reference.random, 0.0), (reference.expert, 100.0)):
        assert score_rows([Row(2, 0, 0, value, 20, None, None)], SUITE).iqm == pytest.approx(expected)


def test_success_is_a_share_where_rows_tell_it():
    rows = [Row(2, i, 0, -5.0, 20, i < 3, i < 1) for i in range(4)]
    score = score_rows(rows, SUITE)
    assert (score.success_any, score.success_last) == (0.75, 0.25)
    assert score.headline("success") == 75.0
    assert score.headline("normalised") == score.iqm
    silent = score_rows(rows_of([-5.0, -6.0]), SUITE)
    assert silent.success_any is None
    with pytest.raises(DataError, match="hold none"):
        silent.headline("success")


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
