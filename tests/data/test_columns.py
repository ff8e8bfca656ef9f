"""Episodes as flat arrays."""

from __future__ import annotations

import numpy as np

from metabench.data.columns import Columns


def test_returns_are_the_sums_of_each_episode_in_double_precision():
    generator = np.random.default_rng(0)
    rewards = [(1e4 * generator.standard_normal(length)).astype(np.float32) for length in (1, 5, 300, 1)]
    steps = sum(map(len, rewards))
    columns = Columns(
        observations=np.zeros((steps + 4, 2), np.float32),
        actions=np.zeros((steps, 1), np.float32),
        rewards=np.concatenate(rewards),
        offsets=np.array([0, 1, 6, 306, 307]),
        terminated=np.zeros(4, bool),
        tasks=np.zeros(4, np.int64),
    )
    assert columns.episode_returns.dtype == np.float64
    expected = [sum(float(reward) for reward in episode) for episode in rewards]
    np.testing.assert_allclose(columns.episode_returns, expected, rtol=1e-12)
