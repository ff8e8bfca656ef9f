"""Lanes of the prediction track: who looks at others' beginnings or supports is found, who does not is left alone."""

from __future__ import annotations

import numpy as np
import pytest

from metabench import Prediction, evaluate_predictions
from metabench.errors import DependentLanesError

from .test_measure import World, stay

pytestmark = pytest.mark.usefixtures("tiny_built")


def pool(prefix, actions):
    """Rewards as all lanes have seen them so far, whoever they are of."""
    seen = np.concatenate([episode.rewards for episode in prefix])
    return stay(prefix, actions, reward=float(seen.mean()) if len(seen) else 0.0)


def look_at_own(prefix, actions):
    """Rewards as the lane has seen them so far."""
    said = stay(prefix, actions)
    means = [episode.rewards.mean() if len(episode) else 0.0 for episode in prefix]
    return Prediction(said.observations, said.rewards + np.array(means)[:, None], said.ends)


def pool_short_beginnings(prefix, actions):
    """The same, but where beginnings are as long as they get."""
    return pool(prefix, actions) if max(map(len, prefix)) < 16 else look_at_own(prefix, actions)


class Pooling(World):
    """Says of each lane the mean reward of all supports."""

    def adapt(self, support):
        super().adapt(support)
        self.reward = np.mean([episode.rewards.mean() for group in support.values() for episode in group])

    def predict(self, prefix, actions):
        return stay(prefix, actions, reward=float(self.reward))


def test_who_looks_at_other_lanes_is_found():
    found = 0
    for seed in range(4):
        evaluate_predictions(World(look_at_own), "tiny", seed=seed, name="honest", replay=True)
        evaluate_predictions(World(pool), "tiny", seed=seed)  # nobody asked
        with pytest.raises(
            DependentLanesError, match=r"method 'cheat': .*shots?, task \d+: .* it predicted other rewards"
        ):
            evaluate_predictions(World(pool), "tiny", seed=seed, name="cheat", replay=True)
        with pytest.raises(DependentLanesError):
            evaluate_predictions(World(pool_short_beginnings), "tiny", seed=seed, replay=True)
        try:
            evaluate_predictions(Pooling(None), "tiny", shots=(1, 3), seed=seed, replay=True)
        except DependentLanesError:
            found += 1
    assert found == 4
