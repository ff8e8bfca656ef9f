"""Verdicts against hand-made numbers, closed forms, and what must not change them."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from metabench.evaluation import verdicts
from metabench.evaluation.statistics import welch_interval

matrices = st.tuples(st.integers(2, 6), st.integers(2, 6), st.integers(2, 25), st.integers(0, 10_000)).map(
    lambda drawn: [
        np.random.default_rng(drawn[3]).normal(50, 20, (2, 6, drawn[2]))[i, : drawn[i]].round(3) for i in (0, 1)
    ]
)


def compare_by_the_formula(first, second):
    """DESIGN section 4, written out: difference, V, degrees of freedom."""
    (n_a, tasks), n_b = first.shape, len(second)
    s_a, s_b = first.mean(1).var(ddof=1), second.mean(1).var(ddof=1)
    s_d = (first.mean(0) - second.mean(0)).var(ddof=1)

    def residual(y):
        table = sum(
            (y[i, j] - y[i].mean() - y[:, j].mean() + y.mean()) ** 2 for i, j in itertools.product(*map(range, y.shape))
        )
        return table / ((len(y) - 1) * (tasks - 1))

    variance = s_a / n_a + s_b / n_b + s_d / tasks - residual(first) / (n_a * tasks) - residual(second) / (n_b * tasks)
    variance = max(variance, s_a / n_a + s_b / n_b, s_d / tasks)
    freedom = variance**2 / (
        s_a**2 / (n_a**2 * (n_a - 1)) + s_b**2 / (n_b**2 * (n_b - 1)) + s_d**2 / (tasks**2 * (tasks - 1))
    )
    return first.mean() - second.mean(), variance, max(freedom, min(n_a, n_b) - 1)


@given(matrices)
def test_the_interval_is_that_of_the_formula(pair):
    first, second = pair
    found = verdicts.compare_methods_on(first, second)
    difference, variance, freedom = compare_by_the_formula(first, second)
    half = stats.t.ppf(0.975, freedom) * variance**0.5
    assert found.freedom == pytest.approx(freedom)
    assert found.find_interval() == pytest.approx((difference - half, difference + half))
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs(difference) / variance**0.5, freedom))


@given(matrices, st.floats(0.01, 100), st.floats(-50, 50), st.randoms(use_true_random=False))
def test_verdicts_turn_with_the_methods_and_ignore_order_and_scale(pair, scale, shift, random):
    first, second = pair
    found = verdicts.compare_methods_on(first, second)
    assume(min(map(abs, found.find_interval())) > 1e-6)  # at the edge the last bit decides
    opposite = {"better": "worse", "worse": "better", "undecided": "undecided", None: None}
    assert verdicts.compare_methods_on(second, first).verdict == opposite[found.verdict]
    assert found.reverse().verdict == opposite[found.verdict]
    tasks = random.sample(range(first.shape[1]), first.shape[1])
    changed = verdicts.compare_methods_on(first[::-1, tasks] * scale + shift, second[:, tasks] * scale + shift)
    assert changed.verdict == found.verdict
    assert changed.difference == pytest.approx(found.difference * scale, abs=1e-6)


def test_without_an_effect_of_tasks_it_is_never_narrower_than_the_seeds_alone():
    """All methods' tasks move together: V falls to its floor, the variance that Welch's interval has."""
    generator = np.random.default_rng(0)
    tasks = generator.normal(0, 20, 12)
    first, second = (tasks + generator.normal(0, 3, (4, 1)) for _ in range(2))
    found = verdicts.compare_methods_on(first, second)
    welch = welch_interval(first.mean(1), second.mean(1))
    assert found.find_interval() == pytest.approx(welch)


def test_without_an_effect_of_seeds_it_is_the_paired_t_interval_over_tasks():
    generator = np.random.default_rng(1)
    rows = generator.normal(50, 10, (2, 15))
    first, second = (np.tile(row, (3, 1)) for row in rows)
    found = verdicts.compare_methods_on(first, second)
    expected = stats.ttest_1samp(rows[0] - rows[1], 0).confidence_interval(0.95)
    assert found.find_interval() == pytest.approx((expected.low, expected.high))


def test_a_verdict_needs_three_seeds_of_both_and_ten_tasks():
    generator = np.random.default_rng(2)
    high, low = generator.normal(90, 1, (5, 12)), generator.normal(10, 1, (5, 12))
    assert verdicts.compare_methods_on(high, low).verdict == "better"
    assert verdicts.compare_methods_on(low[:3], high[:3, :]).verdict == "worse"
    assert verdicts.compare_methods_on(high[:, :10], low[:, :10]).verdict == "better"
    assert verdicts.compare_methods_on(high, high + generator.normal(0, 1, high.shape)).verdict == "undecided"
    for one, other in ((high[:2], low), (high, low[:2]), (high[:, :9], low[:, :9])):
        few = verdicts.compare_methods_on(one, other)
        assert few.verdict is None
        assert few.find_interval().low > 0
    for one in (high[:1], high[:, :1]):
        assert verdicts.compare_methods_on(one, low[:, : one.shape[1]]) is None
    with pytest.raises(ValueError, match="12 and 10 tasks"):
        verdicts.compare_methods_on(high, low[:, :10])


def test_scores_that_never_vary_are_equal_or_not():
    fixed = np.full((3, 10), 40.0)
    same, above = verdicts.compare_methods_on(fixed, fixed), verdicts.compare_methods_on(fixed + 1, fixed)
    assert (same.verdict, same.p_value, same.find_interval()) == ("undecided", 1.0, (0.0, 0.0))
    assert (above.verdict, above.p_value, above.find_interval()) == ("better", 0.0, (1.0, 1.0))


def test_over_suites_the_variances_add():
    generator = np.random.default_rng(3)
    pairs = [generator.normal(50, spread, (2, 4, 20)) for spread in (2.0, 10.0, 30.0)]
    found = verdicts.average_contrasts([verdicts.compare_methods_on(*pair) for pair in pairs])
    numbers = [compare_by_the_formula(*pair) for pair in pairs]
    variance = sum(each[1] for each in numbers) / 9
    assert found.difference == pytest.approx(np.mean([each[0] for each in numbers]))
    assert found.variance == pytest.approx(variance)
    below = sum(
        part**2 / freedom
        for first, second in pairs
        for part, freedom in (
            (first.mean(1).var(ddof=1) / 4 / 9, 3),
            (second.mean(1).var(ddof=1) / 4 / 9, 3),
            ((first.mean(0) - second.mean(0)).var(ddof=1) / 20 / 9, 19),
        )
    )
    assert found.freedom == pytest.approx(variance**2 / below)
    one = verdicts.compare_methods_on(*pairs[0])
    assert verdicts.average_contrasts([one]) == one
    few = verdicts.compare_methods_on(pairs[1][0][:, :9], pairs[1][1][:, :9])
    assert verdicts.average_contrasts([one, few]).verdict is None


def test_rank_ranges_by_hand():
    # a is better than c and d, b better than d, c undecided against b and d.
    better = np.zeros((4, 4), bool)
    better[0, 2] = better[0, 3] = better[1, 3] = True
    assert verdicts.find_rank_ranges(better) == [(1, 2), (1, 3), (2, 4), (3, 4)]
    assert verdicts.find_rank_ranges(np.zeros((3, 3), bool)) == [(1, 3)] * 3
    assert verdicts.find_rank_ranges(np.triu(np.ones((3, 3), bool), 1)) == [(1, 1), (2, 2), (3, 3)]
    assert verdicts.find_rank_ranges(np.zeros((1, 1), bool)) == [(1, 1)]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=7))
def test_rank_ranges_hold_every_order_that_the_verdicts_allow(levels):
    """Methods of levels, better only by two or more: the order of levels is within the ranges."""
    better = np.array([[one - other >= 2 for other in levels] for one in levels])
    ranges = verdicts.find_rank_ranges(better)
    order = sorted(range(len(levels)), key=lambda method: -levels[method])
    for rank, method in enumerate(order, 1):
        assert ranges[method][0] <= rank <= ranges[method][1]


def test_holms_correction_by_hand():
    # Holm (1979): the smallest times 4, the next times 3, ..., never falling.
    assert verdicts.adjust_by_holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert verdicts.adjust_by_holm([0.5, 0.6]) == pytest.approx([1.0, 1.0])
    assert verdicts.adjust_by_holm([]) == []


def test_first_needs_all_comparisons_to_hold_together():
    def ahead(t, seeds=5, tasks=20):
        """A difference of `t` standard errors, of very many degrees of freedom."""
        return verdicts.Contrast(t, 1.0, ((1.0, 10**6),), seeds, tasks)

    one = [ahead(2.1)]
    assert one[0].p_value == pytest.approx(0.0357, abs=1e-3)
    assert verdicts.is_first(one)
    assert all(each.verdict == "better" for each in one * 2)
    assert not verdicts.is_first(one * 2)  # twice 0.036 is above 0.05
    assert verdicts.is_first([ahead(2.1), ahead(2.6)])  # the smallest, 0.009, times two, then 0.036 alone
    assert not verdicts.is_first([ahead(-9.0)])
    assert not verdicts.is_first([ahead(9.0), None])
    assert not verdicts.is_first([ahead(9.0), ahead(9.0, seeds=2)])
    assert not verdicts.is_first([ahead(9.0, tasks=5)])
    assert not verdicts.is_first([])
