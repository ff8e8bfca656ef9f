"""Statistics of the training data, which all that the networks read and say is scaled by."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from metabench import Spaces, TrainingData

LEAST = 1e-6
"""What varies less is constant: it is divided by 1."""

FURTHEST = 10.0
"""Scaled inputs are clipped to plus or minus this."""


class ModelScales(nn.Module):
    """Means and deviations of observations, one-step changes and rewards, and how far imagination may go."""

    def __init__(self, spaces: Spaces) -> None:
        """Scales of 1, until `fit`."""
        super().__init__()
        size = spaces.observation_dim
        for name, length in (("mean", size), ("change_mean", size), ("reward_mean", 1)):
            self.register_buffer(name, torch.zeros(length))
        for name, length in (("spread", size), ("change", size), ("reward", 1)):
            self.register_buffer(name, torch.ones(length))
        for name, sign in (("least", -1.0), ("most", 1.0)):
            self.register_buffer(name, torch.full((size + 1,), sign * torch.inf))
        self.register_buffer("ends", torch.tensor(1.0))

    def fit(self, data: TrainingData, reach: float) -> None:
        """Measure `data`; imagined states and rewards stay within `reach` half ranges of the middle of their ranges."""
        columns = data.columns
        before = np.arange(data.num_transitions) + data.transition_episodes
        seen, rewards = np.asarray(columns.observations), np.asarray(columns.rewards)[:, None]
        measured = {
            ("mean", "spread"): seen,
            ("change_mean", "change"): seen[before + 1] - seen[before],
            ("reward_mean", "reward"): rewards,
        }
        for (mean, spread), values in measured.items():
            self.get_buffer(mean).copy_(torch.as_tensor(values.mean(0, dtype=np.float64)))
            deviation = torch.as_tensor(values.std(0, dtype=np.float64))
            self.get_buffer(spread).copy_(torch.where(deviation > LEAST, deviation, 1.0))
        least = np.concatenate([seen.min(0), rewards.min(0)])
        most = np.concatenate([seen.max(0), rewards.max(0)])
        middle, half = (least + most) / 2, reach * (most - least) / 2
        self.get_buffer("least").copy_(torch.as_tensor(middle - half))
        self.get_buffer("most").copy_(torch.as_tensor(middle + half))
        self.get_buffer("ends").fill_(float(data.terminated.any()))

    def scale(self, observations: Tensor) -> Tensor:
        """As the networks read observations; what is no number is read as the mean."""
        scaled = (observations - self.get_buffer("mean")) / self.get_buffer("spread")
        return scaled.nan_to_num(nan=0.0).clamp(-FURTHEST, FURTHEST)

    def scale_outcome(self, before: Tensor, after: Tensor, rewards: Tensor) -> Tensor:
        """`(..., S + 1)`: change and reward, of mean 0 and deviation 1."""
        return torch.cat(
            [
                (after - before - self.get_buffer("change_mean")) / self.get_buffer("change"),
                (rewards[..., None] - self.get_buffer("reward_mean")) / self.get_buffer("reward"),
            ],
            -1,
        )

    def reach_outcome(self, before: Tensor, said: Tensor) -> tuple[Tensor, Tensor]:
        """The states `(..., S)` and rewards `(...)` that `(..., S + 1)` scaled outcomes lead to, kept within bounds."""
        size = before.shape[-1]
        change = said[..., :size] * self.get_buffer("change") + self.get_buffer("change_mean")
        reward = said[..., size:] * self.get_buffer("reward") + self.get_buffer("reward_mean")
        return self._keep_within(torch.cat([before + change, reward], -1))

    def place(self, scaled: Tensor, rewards: Tensor) -> tuple[Tensor, Tensor]:
        """The states `(..., S)` and rewards `(...)` that are meant by scaled ones, kept within bounds."""
        states = scaled * self.get_buffer("spread") + self.get_buffer("mean")
        earned = rewards[..., None] * self.get_buffer("reward") + self.get_buffer("reward_mean")
        return self._keep_within(torch.cat([states, earned], -1))

    def scale_changes(self, changes: Tensor) -> Tensor:
        """Of mean 0 and deviation 1; what is no number is read as the mean."""
        scaled = (changes - self.get_buffer("change_mean")) / self.get_buffer("change")
        return scaled.nan_to_num(nan=0.0).clamp(-FURTHEST, FURTHEST)

    def scale_rewards(self, rewards: Tensor) -> Tensor:
        """Of mean 0 and deviation 1; what is no number is read as the mean."""
        scaled = (rewards - self.get_buffer("reward_mean")) / self.get_buffer("reward")
        return scaled.nan_to_num(nan=0.0).clamp(-FURTHEST, FURTHEST)

    def _keep_within(self, both: Tensor) -> tuple[Tensor, Tensor]:
        # Numbers that overflow end up at a bound; what is no number at all, in the middle.
        least, most = self.get_buffer("least"), self.get_buffer("most")
        both = torch.where(both.isnan(), (least + most) / 2, both).maximum(least).minimum(most)
        return both[..., :-1], both[..., -1]

    @property
    def units(self) -> Tensor:
        """`(S + 1,)` of a scaled outcome, in those of observations and rewards."""
        return torch.cat([self.get_buffer("change"), self.get_buffer("reward")])
