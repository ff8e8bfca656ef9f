"""How often verdicts are wrong, and what they find, when scores vary as published ones do.

`pytest -rP` prints the rates, and beside them those of the rules before this one: Welch's interval over seeds alone, of
means over tasks, and of interquartile means pooled over episodes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest

from metabench.evaluation.statistics import CONFIDENCE, matrix_interquartile_mean
from metabench.evaluation.verdicts import compare_methods_on

from .variance_components import Components, measure_components

pytestmark = pytest.mark.slow


DESIGNS = [(3, 20), (5, 20), (3, 30), (5, 30)]
"""Seeds and test tasks."""

EQUAL, AHEAD, FAILING = 1_000, 300, 400
"""Simulated pairs of methods a suite: equal ones, one 10 points ahead, equal ones whose tasks may fail."""

GAIN, FAILURE, FALL = 10.0, 0.15, 80.0
"""Points between unequal methods; the share of tasks that fail, each method's own, and what failing costs there."""


class Rates(NamedTuple):
    """Share of verdicts in per cent by rule, and half the mean width of the interval over seeds and tasks."""

    rule: float
    seeds_alone: float
    pooled: float
    half_width: float

    def __str__(self) -> str:
        return f"{self.rule:5.1f} {self.seeds_alone:6.1f} {self.pooled:6.1f} (± {self.half_width:4.1f})"


@pytest.fixture(scope="module")
def components() -> dict[str, Components]:
    return measure_components()


def simulate(
    parts: Components, seeds: int, tasks: int, count: int, generator: np.random.Generator, failing: float = 0.0
) -> np.ndarray:
    """Scores of `count` pairs of equally good methods `(count, 2, seeds, tasks, episodes)`."""

    def draw(*shape: int) -> np.ndarray:
        return generator.standard_normal((count, 2, *shape), np.float32)

    # Luck in a task without that of its episodes, which is drawn for itself.
    luck = max(0.0, parts.seed_task**2 - parts.episode**2 / parts.episodes) ** 0.5
    scores = parts.episode * draw(seeds, tasks, parts.episodes) + luck * draw(seeds, tasks, 1)
    scores += parts.seed * draw(seeds, 1, 1) + parts.difference / 2**0.5 * draw(1, tasks, 1)
    scores -= FALL * (generator.random((count, 2, 1, tasks, 1)) < failing)
    return scores


def judge(scores: np.ndarray, gain: float = 0.0) -> Rates:
    """Rates of verdicts over simulated pairs, the first of each `gain` points better than drawn."""
    scores[:, 0] += gain
    found = [compare_methods_on(first, second) for first, second in scores.mean(axis=-1)]
    assert all(each is not None and each.may_be_judged for each in found)
    widths = [each.find_interval() for each in found if each is not None]
    return Rates(
        rule=100.0 * float(np.mean([each.verdict != "undecided" for each in found if each is not None])),
        seeds_alone=judge_by_seeds(scores.mean(axis=(-2, -1))),
        pooled=judge_by_seeds(matrix_interquartile_mean(scores)),
        half_width=float(np.mean([(high - low) / 2 for low, high in widths])),
    )


def judge_by_seeds(numbers: np.ndarray) -> float:
    """Share of pairs, `(count, 2, seeds)` one number a seed, that Welch's test separates, in per cent."""
    from scipy import stats

    tested = stats.ttest_ind(numbers[:, 0], numbers[:, 1], axis=-1, equal_var=False)
    return 100.0 * float(np.mean(tested.pvalue < 1 - CONFIDENCE))


def run_designs(
    title: str, components: dict[str, Components], judge_pair: Callable[[Components, int, int, list[int]], Rates]
) -> dict[tuple[int, int], dict[str, Rates]]:
    print(f"\n{title}: verdicts in %, by the rule, seeds alone, pooled interquartile means (half-width of the rule)")
    found: dict[tuple[int, int], dict[str, Rates]] = {}
    for seeds, tasks in DESIGNS:
        for place, (suite, parts) in enumerate(components.items()):
            found.setdefault((seeds, tasks), {})[suite] = judge_pair(parts, seeds, tasks, [seeds, tasks, place])
            print(f"{seeds} seeds x {tasks} tasks, {suite:15} {found[seeds, tasks][suite]}")
    return found


def average(rates: dict[str, Rates], rule: str) -> float:
    return float(np.mean([getattr(each, rule) for each in rates.values()]))


def test_equal_methods_are_told_apart_in_3_to_7_per_cent(components: dict[str, Components]) -> None:
    for suite, parts in components.items():
        print(f"{suite:15} {parts}")
    found = run_designs(
        "equal methods",
        components,
        lambda parts, seeds, tasks, seed: judge(
            simulate(parts, seeds, tasks, EQUAL, np.random.default_rng(seed)),
        ),
    )
    for design, rates in found.items():
        for suite, each in rates.items():
            assert 3.0 <= each.rule <= 7.0, (design, suite, each)
        # What the rule is for: on other tasks the seeds alone are wrong far more often.
        assert average(rates, "seeds_alone") > 2 * average(rates, "rule")


def test_a_gain_of_10_points_is_found_more_often_with_more_tasks(components: dict[str, Components]) -> None:
    found = run_designs(
        f"a gain of {GAIN:g} points",
        components,
        lambda parts, seeds, tasks, seed: judge(
            simulate(parts, seeds, tasks, AHEAD, np.random.default_rng(seed)), GAIN
        ),
    )
    power = {design: average(rates, "rule") for design, rates in found.items()}
    print({design: f"{value:.0f} %" for design, value in power.items()})
    assert power[3, 20] > 30
    assert power[3, 30] > power[3, 20]
    assert power[5, 30] > power[5, 20]
    assert all(average(found[s, 30], "half_width") < average(found[s, 20], "half_width") for s in (3, 5))


def test_where_tasks_fail_outright_at_most_one_verdict_in_ten_is_false(components: dict[str, Components]) -> None:
    found = run_designs(
        f"equal methods, {FAILURE:.0%} of each one's tasks {FALL:g} points lower",
        components,
        lambda parts, seeds, tasks, seed: judge(
            simulate(parts, seeds, tasks, FAILING, np.random.default_rng(seed), FAILURE)
        ),
    )
    for design, rates in found.items():
        for suite, each in rates.items():
            assert each.rule <= 10.0, (design, suite, each)


def test_the_components_are_those_of_made_up_scores() -> None:
    """The measure itself: drawn from known components, it finds them again."""
    from .variance_components import _measure, _summarise

    truth = Components(seed=6.0, seed_task=9.0, difference=15.0, episode=20.0, episodes=8)
    generator = np.random.default_rng(0)
    parts = [_measure(list(pair)) for pair in simulate(truth, 4, 10, 600, generator)]
    found = _summarise(parts, truth.episodes)
    assert found == pytest.approx(truth, rel=0.05)
