"""A method whose policies predict, for tests of runs."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from metabench import Method, Policy, Prediction, load_state, save_state


class DriftingPolicy(Policy):
    """Stays put; says that actions move the state, and that every support episode earned adds to the reward."""

    def reset(self, groups, seeds):
        self.groups, self.earned = list(groups), {}

    def adapt(self, support):
        self.earned = {group: episodes[0].rewards.mean() for group, episodes in support.items()}

    def act(self, step):
        return np.zeros_like(step.previous_action)

    def predict(self, prefix, actions):
        last = np.stack([episode.observations[-1] for episode in prefix])
        reward = np.array([[self.earned.get(group, 0.0)] for group in self.groups])
        flat = np.broadcast_to(reward, actions.shape[:2]).astype(np.float64)
        return Prediction(
            last[:, None] + np.cumsum(actions, axis=1), flat, np.zeros(flat.shape, bool), None, 0.5 + 0.0 * flat
        )

    def save(self, folder):
        save_state({"nothing": 0}, folder / "state")


class Drifting(Method):
    """Trains nothing."""

    name = "drifting"
    trains = False
    discrete_actions = False
    predicts: ClassVar[bool] = True

    def train(self, data, run):
        return DriftingPolicy()

    def load(self, folder, spaces):
        load_state(folder / "state")
        return DriftingPolicy()


class Silent(Drifting):
    """Says that it predicts; its policies do not."""

    name = "silent"

    def train(self, data, run):
        return SilentPolicy()

    def load(self, folder, spaces):
        load_state(folder / "state")
        return SilentPolicy()


class SilentPolicy(DriftingPolicy):
    """As `DriftingPolicy`, without its model."""

    predicts = False
