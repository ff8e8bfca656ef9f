"""Whether 95 % intervals cover the truth as often as they say, when tasks and episodes share their training's luck.

The world of the simulation: a seed is good or bad at everything by an effect of its own, at each task by another, and
episodes scatter around that. The tasks are fixed. The truth is 50 by symmetry: task means lie evenly around it.
"""

import numpy as np
import pytest

from metabench.evaluation import statistics

TRUTH, TASKS, EPISODES = 50.0, 5, 8
SIMULATIONS = 4_000
"""Standard error of a coverage of 95 %: 0.34 percentage points."""

FLOOR, CEILING = 0.93, 0.97


def simulate(seeds, generator, seed_effect=6.0, task_seed_effect=8.0, noise=20.0):
    """Headlines `(SIMULATIONS, seeds)`: means over tasks of the means over episodes."""
    shape = (SIMULATIONS, seeds, TASKS, EPISODES)
    scores = np.linspace(TRUTH - 20, TRUTH + 20, TASKS)[:, None] + noise * generator.standard_normal(shape)
    scores += seed_effect * generator.standard_normal((*shape[:2], 1, 1))
    scores += task_seed_effect * generator.standard_normal((*shape[:3], 1))
    return scores.mean(axis=(-2, -1))


def coverage(intervals, truth):
    return np.mean([low <= truth <= high for low, high in intervals])


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_a_methods_interval_covers_as_often_as_it_says(seeds):
    scores = simulate(seeds, np.random.default_rng(seeds))
    assert FLOOR < coverage(map(statistics.t_interval, scores), TRUTH) < CEILING


@pytest.mark.parametrize(("first", "second"), [(3, 3), (5, 5), (10, 10), (3, 10)])
def test_the_interval_of_a_difference_covers_as_often_as_it_says(first, second):
    generator = np.random.default_rng([first, second])
    pairs = zip(simulate(first, generator), simulate(second, generator), strict=True)
    found = (statistics.welch_interval(one, two) for one, two in pairs)
    assert FLOOR < coverage(found, 0.0) < CEILING


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_so_does_a_difference_between_methods_of_unequal_spread(seeds):
    generator = np.random.default_rng([seeds, 1])
    steady = simulate(seeds, generator, seed_effect=2.0, task_seed_effect=3.0)
    unsteady = simulate(seeds, generator, seed_effect=10.0)
    found = (statistics.welch_interval(one, two) for one, two in zip(steady, unsteady, strict=True))
    assert FLOOR < coverage(found, 0.0) < CEILING


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_and_the_mean_over_suites_of_unequal_spread(seeds):
    generator = np.random.default_rng([seeds, 2])
    suites = [simulate(seeds, generator, seed_effect=effect) for effect in (2.0, 6.0, 12.0)]
    found = (statistics.weighted_sum_interval(each, [1 / 3] * 3) for each in zip(*suites, strict=True))
    assert FLOOR < coverage(found, TRUTH) < CEILING


def test_episodes_are_not_the_unit():
    """The same data taken as independent episodes: intervals that promise 95 % and hold less than half of it."""
    generator = np.random.default_rng(0)
    shape = (500, 5, TASKS * EPISODES)
    scores = TRUTH + 10.0 * generator.standard_normal((*shape[:2], 1)) + 10.0 * generator.standard_normal(shape)
    assert coverage((statistics.t_interval(each) for each in scores), TRUTH) < 0.5


def test_resampling_runs_task_by_task_takes_a_shared_seed_effect_for_luck():
    """Why rliable's interval is published under its own name only: it resamples each task apart."""
    generator = np.random.default_rng(1)
    shape = (400, 5, TASKS)
    scores = TRUTH + 10.0 * generator.standard_normal((*shape[:2], 1)) + 2.0 * generator.standard_normal(shape)
    found = [statistics.stratified_bootstrap(each, statistics.matrix_mean, generator, 400) for each in scores]
    assert coverage(found, TRUTH) < 0.75
    assert (
        FLOOR - 0.02 < coverage((statistics.t_interval(each.mean(axis=1)) for each in scores), TRUTH) < CEILING + 0.02
    )
