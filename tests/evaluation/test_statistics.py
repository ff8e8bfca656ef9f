"""Statistics against closed forms, brute force, SciPy and the published definitions."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from metabench.evaluation import statistics

samples = st.lists(st.integers(-1000, 1000), min_size=2, max_size=9)
matrices = st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(0, 10_000)).map(
    lambda shape: np.random.default_rng(shape[2]).normal(50, 30, shape[:2])
)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([7.0], 7.0), ([1, 2, 9], 4.0), ([1, 2, 3, 100], 2.5), ([0, 1, 2, 3, 4, 5, 6, 1000], 3.5), (range(10), 4.5)],
)
def test_the_interquartile_mean_drops_a_quarter_at_each_end_rounded_down(values, expected):
    matrix = np.array([list(values)], float)
    assert statistics.matrix_interquartile_mean(matrix) == pytest.approx(expected)
    assert statistics.matrix_interquartile_mean(matrix[:, ::-1].T) == pytest.approx(expected)


@given(samples)
def test_students_interval_is_scipys(values):
    low, high = statistics.t_interval(values)
    if np.var(values) == 0:
        assert low == high == values[0]
        return
    expected = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    assert (low, high) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_students_interval_of_two_values_by_its_closed_form():
    low, high = statistics.t_interval([1.0, 3.0])
    half = math.tan(math.pi * 0.475)  # the 97.5 % point of t with one degree of freedom; standard error 1
    assert (low, high) == pytest.approx((2 - half, 2 + half))


def test_one_seed_has_no_interval():
    assert statistics.t_interval([5.0]) is None
    assert statistics.welch_interval([5.0], [1.0, 2.0]) is None


@given(samples, samples)
def test_the_difference_is_welchs(first, second):
    if np.var(first) == 0 and np.var(second) == 0:
        return
    found = statistics.welch_interval(first, second)
    expected = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    assert found == pytest.approx((expected.low, expected.high), rel=1e-9, abs=1e-9)


def test_a_mean_over_suites_has_the_variance_of_independent_means():
    generator = np.random.default_rng(0)
    groups = [generator.normal(0, scale, 5) for scale in (1.0, 4.0, 9.0)]
    low, high = statistics.weighted_sum_interval(groups, [1 / 3] * 3)
    variances = np.array([group.var(ddof=1) / 5 / 9 for group in groups])
    freedom = variances.sum() ** 2 / (variances**2 / 4).sum()
    assert (low + high) / 2 == pytest.approx(np.mean([group.mean() for group in groups]))
    assert (high - low) / 2 == pytest.approx(stats.t.ppf(0.975, freedom) * math.sqrt(variances.sum()))


def test_intervals_cover_as_often_as_they_say():
    generator = np.random.default_rng(1)
    covered = sum(
        low <= 3.0 <= high for low, high in (statistics.t_interval(generator.normal(3, 2, 5)) for _ in range(2000))
    )
    assert 0.935 < covered / 2000 < 0.965


@given(matrices, matrices)
def test_probability_of_improvement_is_the_mann_whitney_share_of_each_task(first, second):
    tasks = min(first.shape[1], second.shape[1])
    first, second = np.round(first[:, :tasks], -1), np.round(second[:, :tasks], -1)
    expected = np.mean(
        [
            stats.mannwhitneyu(first[:, task], second[:, task]).statistic / (len(first) * len(second))
            for task in range(tasks)
        ]
    )
    found = statistics.probability_of_improvement(first, second)
    assert found == pytest.approx(expected)
    assert found + statistics.probability_of_improvement(second, first) == pytest.approx(1)


def test_probability_of_improvement_by_counting_pairs_and_refusing_other_tasks():
    assert statistics.probability_of_improvement([3, 1], [1, 2]) == pytest.approx((1 + 1 + 0.5 + 0) / 4)
    assert statistics.probability_of_improvement([[1, 2]], [[1, 2]]) == 0.5
    with pytest.raises(ValueError, match="2 and 1 tasks"):
        statistics.probability_of_improvement([[1, 2]], [[1]])


@given(matrices)
def test_matrix_statistics_are_rliables_definitions(matrix):
    per_task = matrix.mean(axis=0)
    assert statistics.matrix_mean(matrix) == pytest.approx(per_task.mean())
    assert statistics.matrix_median(matrix) == pytest.approx(np.median(per_task))
    assert statistics.matrix_interquartile_mean(matrix) == pytest.approx(stats.trim_mean(matrix, 0.25, axis=None))
    assert statistics.optimality_gap(matrix) == pytest.approx(100 - np.mean(np.minimum(matrix, 100)))
    thresholds = np.linspace(-50, 150, 9)
    expected = [(matrix > threshold).mean() for threshold in thresholds]
    assert statistics.performance_profile(matrix, thresholds) == pytest.approx(expected)


def test_the_profile_counts_strictly_above():
    assert statistics.performance_profile([1, 2, 2, 3], [2, 0, 3]).tolist() == [0.25, 1.0, 0.0]


def test_the_bootstrap_resamples_runs_within_each_task_independently():
    matrix = np.array([[0.0, 10.0], [1.0, 20.0]])
    seen = set()

    def statistic(drawn):
        seen.update(map(tuple, drawn.reshape(-1, 4).tolist()))
        return drawn.mean(axis=(-2, -1))

    statistics.stratified_bootstrap(matrix, statistic, np.random.default_rng(0), replications=2000)
    columns = [itertools.product((0.0, 1.0), repeat=2), itertools.product((10.0, 20.0), repeat=2)]
    everything = {(a, b, c, d) for (a, c), (b, d) in itertools.product(*map(list, columns))}
    assert seen == everything


def test_the_bootstrap_interval_is_the_exact_one_of_the_resampling_distribution():
    matrix = np.array([[0.0, 3.0], [6.0, 3.0], [9.0, 30.0]])
    draws = [np.array(draw) for draw in itertools.product(range(3), repeat=3)]
    means = [(matrix[a, 0].mean() + matrix[b, 1].mean()) / 2 for a in draws for b in draws]
    expected = np.quantile(means, [0.025, 0.975])
    found = statistics.stratified_bootstrap(matrix, statistics.matrix_mean, np.random.default_rng(3))
    assert found == pytest.approx(expected, abs=0.35)


@settings(max_examples=10, deadline=None)
@given(matrices, st.integers(0, 100))
def test_the_bootstrap_has_no_randomness_but_its_generators(matrix, seed):
    first, second = (
        statistics.stratified_bootstrap(matrix, statistics.optimality_gap, np.random.default_rng(seed), 200)
        for _ in range(2)
    )
    assert first == second


def test_the_band_of_a_profile_is_that_of_all_resamplings():
    scores = np.array([[10.0, 80.0], [30.0, 20.0], [50.0, 90.0]])
    thresholds = (0.0, 25.0, 85.0, 100.0)
    shares = []
    for first, second in itertools.product(itertools.product(range(3), repeat=3), repeat=2):
        drawn = np.stack([scores[list(first), 0], scores[list(second), 1]], axis=1)
        shares.append((drawn[:, :, None] > np.array(thresholds)).mean(axis=(0, 1)))
    low, high = statistics.find_profile_band(scores, thresholds)
    expected = [np.quantile(shares, bound, axis=0, method="inverted_cdf") for bound in (0.025, 0.975)]
    np.testing.assert_allclose([low, high], expected, atol=1e-12)
    assert (low[0], high[0], low[-1], high[-1]) == (1.0, 1.0, 0.0, 0.0)
