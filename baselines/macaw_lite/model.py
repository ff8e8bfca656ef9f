"""The network, and the part of it that a support changes: FiLM of each hidden layer, and the last layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from metabench import Spaces

from ..common.task_inference.encoder import Scales

Fast = dict[str, Tensor]
"""What a support changes, by name, for G groups: the first axis of each is G."""


class FilmNetwork(nn.Module):
    """An MLP over observation and time whose hidden layers are scaled and shifted.

    `slow` is shared by all tasks; the tensors of `initial` are where the steps on a support begin.
    """

    def __init__(self, spaces: Spaces, width: int, depth: int) -> None:
        """Make the layers; scales are 1 and shifts 0 at first."""
        super().__init__()
        self.discrete = spaces.discrete
        self.scales = Scales(spaces)
        sizes = [spaces.observation_dim + 1, *[width] * depth]
        self.slow = nn.ModuleList(nn.Linear(before, width) for before in sizes[:-1])
        last = nn.Linear(width, spaces.action_dim)
        self.initial = nn.ParameterDict(
            {
                **{f"scale_{layer}": torch.ones(1, width) for layer in range(depth)},
                **{f"shift_{layer}": torch.zeros(1, width) for layer in range(depth)},
                "weight": last.weight.detach().T.contiguous(),  # fused Adam asks for plain strides
                "bias": last.bias.detach().unsqueeze(0).clone(),
            }
        )

    def start(self, groups: int) -> Fast:
        """What is adapted, before any step, for so many groups."""
        return {
            name: value.unsqueeze(0).expand(groups, -1, -1) for name, value in self.initial.items()
        }

    def find_features(self, observations: Tensor, timesteps: Tensor, fast: Fast) -> Tensor:
        """The last hidden layer, `(G, N, width)`.

        Args:
            observations: `(G, N, observation_dim)`, as the simulator gives them.
            timesteps: `(G, N)` int64.
            fast: of G groups.
        """
        nothing = observations.new_zeros((*observations.shape[:-1], 0))
        hidden = self.scales.describe_state(observations, timesteps, nothing)
        for number, layer in enumerate(self.slow):
            moved = layer(hidden) * fast[f"scale_{number}"] + fast[f"shift_{number}"]
            hidden = functional.relu(moved)
        return hidden

    def forward(self, observations: Tensor, timesteps: Tensor, fast: Fast) -> Tensor:
        """Action features `(G, N, action_dim)`: coordinates in [-1, 1], or logits; arguments as `find_features`."""
        hidden = self.find_features(observations, timesteps, fast)
        features = torch.baddbmm(fast["bias"], hidden, fast["weight"])
        return features if self.discrete else torch.tanh(features)
