"""The decoders: what an action leads to, given the code of the task."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from metabench import Spaces

from ..common.actor_critic.networks import make_layers

SMALLEST_LOG_VARIANCE, LARGEST_LOG_VARIANCE = -10.0, 0.5


class OutcomeDecoder(nn.Module):
    """Change of the observation and reward as Gaussians, whose bounds of the variance are learned as well."""

    def __init__(self, spaces: Spaces, code_dim: int, width: int) -> None:
        """Make the layers of both; the two share nothing."""
        super().__init__()
        inputs = spaces.observation_dim + spaces.action_dim + code_dim
        self.sizes = (spaces.observation_dim, 1)
        self.networks = nn.ModuleList(
            nn.Sequential(*make_layers(inputs, width, 2, 2 * size)) for size in self.sizes
        )
        self.lowest = nn.ParameterList(
            torch.full((size,), SMALLEST_LOG_VARIANCE) for size in self.sizes
        )
        self.highest = nn.ParameterList(
            torch.full((size,), LARGEST_LOG_VARIANCE) for size in self.sizes
        )

    def forward(self, inputs: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Mean and log-variance of the change `(..., observation_dim)` and of the reward `(..., 1)`.

        Args:
            inputs: `(..., observation_dim + action_dim + code_dim)`.
        """
        outputs = []
        for network, lowest, highest in zip(self.networks, self.lowest, self.highest, strict=True):
            mean, log_variance = network(inputs).chunk(2, dim=-1)
            log_variance = highest - functional.softplus(highest - log_variance)
            outputs.append((mean, lowest + functional.softplus(log_variance - lowest)))
        return outputs

    def measure_slack(self) -> Tensor:
        """How far the bounds of the variance are apart: the loss keeps it small."""
        pairs = zip(self.highest, self.lowest, strict=True)
        return torch.stack([(high - low).sum() for high, low in pairs]).sum()
