"""`random`: uniform, from the lane's seed and nothing else."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from metabench import Spaces, Step, evaluate, load_method, load_suite

CONTINUOUS = Spaces(1, 100, action_low=(-1.0, 0.0), action_high=(1.0, 0.5))
DISCRETE = Spaces(1, 100, num_actions=4)


def act_steps(spaces: Spaces, seeds: list[int], steps: int) -> np.ndarray:
    policy = load_method("random").load(Path("nothing-is-read"), spaces)
    policy.reset([0] * len(seeds), seeds)
    lanes = len(seeds)
    step = Step(
        np.zeros((lanes, 1), np.float32),
        spaces.null_actions(lanes),
        np.zeros(lanes, np.float32),
        np.zeros(lanes, np.int64),
        np.ones(lanes, bool),
        np.ones(lanes, bool),
    )
    return np.stack([policy.act(step) for _ in range(steps)])


def test_continuous_actions_are_uniform_in_their_bounds() -> None:
    actions = act_steps(CONTINUOUS, list(range(50)), 100).reshape(-1, 2)
    for coordinate, (low, high) in enumerate([(-1, 1), (0, 0.5)]):
        assert stats.kstest(actions[:, coordinate], stats.uniform(low, high - low).cdf).pvalue > 1e-3


def test_discrete_actions_are_uniform() -> None:
    counts = np.bincount(act_steps(DISCRETE, list(range(50)), 100).reshape(-1), minlength=4)
    assert len(counts) == 4
    assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("spaces", [CONTINUOUS, DISCRETE], ids=["continuous", "discrete"])
def test_a_lane_is_the_stream_of_its_seed(spaces: Spaces) -> None:
    together = act_steps(spaces, [5, 6, 5], 70)
    stream = spaces.uniform_actions(np.random.default_rng(6), (96,))
    np.testing.assert_array_equal(together[:, 1], stream[:70])
    np.testing.assert_array_equal(together[:, 0], together[:, 2])
    np.testing.assert_array_equal(act_steps(spaces, [6], 70)[:, 0], together[:, 1])


def test_it_scores_about_nothing() -> None:
    suite = load_suite("tiny")
    policy = load_method("random").load(Path("nothing-is-read"), suite.spaces)
    scores = []
    for seed in range(30):
        rows = evaluate(policy, suite, "zero-shot", seed=seed).blocks[0].rows
        scores += suite.normalised([row.task for row in rows], [row.total_return for row in rows])
    assert abs(np.mean(scores)) < 4 * np.std(scores) / np.sqrt(len(scores))
