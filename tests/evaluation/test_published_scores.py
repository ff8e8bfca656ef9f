"""rliable's definitions on published numbers: TWM's scores in the 26 games of Atari 100k.

At hand are the means over its 5 seeds in every game, and its aggregates: mean 0.956, median 0.505, 8 games above a
human's score, interquartile mean 0.459, optimality gap 0.513. The first three follow from the means; the last two need
each seed's score, and can only be bounded.
"""

import itertools

import numpy as np
import pytest

from metabench.evaluation import statistics

GAMES = {  # random, human, TWM
    "Alien": (227.8, 7127.7, 674.6),
    "Amidar": (5.8, 1719.5, 121.8),
    "Assault": (222.4, 742.0, 682.6),
    "Asterix": (210.0, 8503.3, 1116.6),
    "BankHeist": (14.2, 753.1, 466.7),
    "BattleZone": (2360.0, 37187.5, 5068.0),
    "Boxing": (0.1, 12.1, 77.5),
    "Breakout": (1.7, 30.5, 20.0),
    "ChopperCommand": (811.0, 7387.8, 1697.4),
    "CrazyClimber": (10780.5, 35829.4, 71820.4),
    "DemonAttack": (152.1, 1971.0, 350.2),
    "Freeway": (0.0, 29.6, 24.3),
    "Frostbite": (65.2, 4334.7, 1475.6),
    "Gopher": (257.6, 2412.5, 1674.8),
    "Hero": (1027.0, 30826.4, 7254.0),
    "Jamesbond": (29.0, 302.8, 362.4),
    "Kangaroo": (52.0, 3035.0, 1240.0),
    "Krull": (1598.0, 2665.5, 6349.2),
    "KungFuMaster": (258.5, 22736.3, 24554.6),
    "MsPacman": (307.3, 6951.6, 1588.4),
    "Pong": (-20.7, 14.6, 18.8),
    "PrivateEye": (24.9, 69571.3, 86.6),
    "Qbert": (163.9, 13455.0, 3330.8),
    "RoadRunner": (11.5, 7845.0, 9109.0),
    "Seaquest": (68.4, 42054.7, 774.4),
    "UpNDown": (533.4, 11693.2, 15981.7),
}
TABLE = np.array(list(GAMES.values()))
MEANS = ((TABLE[:, 2] - TABLE[:, 0]) / (TABLE[:, 1] - TABLE[:, 0]))[None, :]
"""Human-normalised means over seeds, `(1, 26)`."""


def draw_with_spread(generator):
    """Five seeds' scores with these means: their spread is made up, as the published scores of each are not at hand."""
    scatter = generator.normal(0, 0.4, (5, len(GAMES))) * np.abs(MEANS)
    return MEANS + scatter - scatter.mean(axis=0)


def test_mean_and_median_over_games_are_the_published_ones():
    matrix = draw_with_spread(np.random.default_rng(0))
    assert statistics.matrix_mean(matrix) == pytest.approx(0.956, abs=5e-4)
    assert statistics.matrix_median(matrix) == pytest.approx(0.505, abs=5e-4)


def test_the_profile_of_means_counts_the_games_above_human():
    assert statistics.performance_profile(MEANS, [1.0]) * len(GAMES) == pytest.approx([8])


def test_the_published_optimality_gap_is_one_that_these_means_allow():
    """A score above the target makes up for none below: seeds that scatter only widen the gap of their mean."""
    least = statistics.optimality_gap(MEANS, target=1.0)
    assert least < 0.513
    assert least < statistics.optimality_gap(draw_with_spread(np.random.default_rng(1)), target=1.0)


def test_the_interval_of_improvement_is_the_exact_one_of_the_resampling_distribution():
    first, second = np.array([[1.0, 5.0], [4.0, 2.0]]), np.array([[2.0, 3.0], [3.0, 1.0]])
    draws = list(itertools.product(range(2), repeat=2))
    values = []
    for a, b, c, d in itertools.product(draws, repeat=4):  # both tasks of both methods resample by themselves
        x = np.stack([first[list(a), 0], first[list(b), 1]], axis=1)
        y = np.stack([second[list(c), 0], second[list(d), 1]], axis=1)
        values.append(statistics.probability_of_improvement(x, y))
    expected = np.quantile(values, [0.25, 0.75])
    generator = np.random.default_rng(2)
    found = statistics.bootstrap_improvement(first, second, generator, 20_000, confidence=0.5)
    assert found == pytest.approx(expected)


def test_resampling_in_pieces_changes_nothing_but_the_numbers_drawn(monkeypatch):
    generator = np.random.default_rng(3)
    first, second = generator.normal(1, 1, (4, 3)), generator.normal(0, 1, (5, 3))
    whole = statistics.bootstrap_improvement(first, second, np.random.default_rng(4), 4_000)
    monkeypatch.setattr(statistics, "_BOOTSTRAP_CHUNK", 1_000)
    pieces = statistics.bootstrap_improvement(first, second, np.random.default_rng(4), 4_000)
    assert pieces == pytest.approx(whole, abs=0.05)
    estimate = statistics.probability_of_improvement(first, second)
    assert whole.low < estimate < whole.high
