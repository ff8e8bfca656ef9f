"""The decoders: what an action leads to, given the code of the task."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from metabench import Spaces

from ..common.actor_critic.networks import make_layers

LOG_VARIANCES = (-4.0, 0.5)
"""Bounds of what a decoder may be sure of, on outcomes of deviation 1. Where nothing is random the likelihood would
grow without end, and the gradient of what is easy to predict would drown that of what tells tasks apart."""


class OutcomeDecoder(nn.Module):
    """Change of the observation and reward as Gaussians; their networks share nothing."""

    def __init__(self, spaces: Spaces, code_dim: int, width: int) -> None:
        """Make the layers of both."""
        super().__init__()
        inputs = spaces.observation_dim + spaces.action_dim + code_dim
        self.networks = nn.ModuleList(
            nn.Sequential(*make_layers(inputs, width, 2, 2 * size))
            for size in (spaces.observation_dim, 1)
        )

    def forward(self, inputs: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Mean and log-variance of the change `(..., observation_dim)` and of the reward `(..., 1)`.

        Args:
            inputs: `(..., observation_dim + action_dim + code_dim)`.
        """
        outputs = []
        lowest, highest = LOG_VARIANCES
        for network in self.networks:
            mean, log_variance = network(inputs).chunk(2, dim=-1)
            log_variance = highest - functional.softplus(highest - log_variance)
            outputs.append((mean, lowest + functional.softplus(log_variance - lowest)))
        return outputs
