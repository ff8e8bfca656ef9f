"""The network: observation and timestep in, one action out."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from metabench import Array, Spaces


class BCNetwork(nn.Module):
    """An MLP over the normalised observation and the fraction of the horizon that has passed."""

    def __init__(self, spaces: Spaces, width: int, depth: int) -> None:
        """Make the layers; the observations' statistics are set by `normalise_by`."""
        super().__init__()
        self.horizon = spaces.horizon
        self.discrete = spaces.discrete
        self.register_buffer("mean", torch.zeros(spaces.observation_dim))
        self.register_buffer("deviation", torch.ones(spaces.observation_dim))
        self.layers = nn.Sequential(
            *_make_layers(spaces.observation_dim + 1, width, depth, spaces.action_dim)
        )

    def normalise_by(self, mean: Array, deviation: Array) -> None:
        """Take the mean and standard deviation of observations, each `(observation_dim,)`."""
        self.get_buffer("mean").copy_(torch.as_tensor(mean))
        self.get_buffer("deviation").copy_(torch.as_tensor(deviation))

    def forward(self, observation: Tensor, timestep: Tensor) -> Tensor:
        """Action features.

        Args:
            observation: `(B, observation_dim)` float32.
            timestep: `(B,)` int64.

        Returns:
            `(B, action_dim)`: coordinates scaled to [-1, 1], or one logit an action.
        """
        normalised = (observation - self.get_buffer("mean")) / self.get_buffer("deviation")
        elapsed = timestep.to(normalised.dtype).unsqueeze(-1) / self.horizon  # (B, 1)
        features: Tensor = self.layers(torch.cat([normalised, elapsed], dim=-1))
        return features


def _make_layers(inputs: int, width: int, depth: int, outputs: int) -> Iterator[nn.Module]:
    for _ in range(depth):
        yield nn.Linear(inputs, width)
        yield nn.ReLU()
        inputs = width
    yield nn.Linear(inputs, outputs)
