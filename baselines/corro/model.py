"""What an action might lead to in some task: a conditional variational autoencoder over all training tasks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from metabench import Spaces

from ..common.actor_critic.networks import make_layers
from .config import CorroConfig


class OutcomeGenerator(nn.Module):
    """p(change, reward | state, action), of any task: a mixture, which one Gaussian cannot be."""

    def __init__(self, spaces: Spaces, config: CorroConfig) -> None:
        """Make encoder and decoder, of one hidden layer each."""
        super().__init__()
        asked = spaces.observation_dim + spaces.action_dim
        outcome = spaces.observation_dim + 1
        self.code_dim = config.generator_code
        self.encoder = nn.Sequential(
            *make_layers(asked + outcome, config.generator_width, 1, 2 * self.code_dim)
        )
        self.decoder = nn.Sequential(
            *make_layers(asked + self.code_dim, config.generator_width, 1, outcome)
        )

    def measure_loss(self, asked: Tensor, outcome: Tensor, divergence_weight: float) -> Tensor:
        """Squared error of outcomes, and the weighted divergence of their codes from a standard Gaussian.

        Args:
            asked: `(B, observation_dim + action_dim)`.
            outcome: `(B, observation_dim + 1)` change and reward.
            divergence_weight: of the divergence.
        """
        mean, log_variance = self.encoder(torch.cat([asked, outcome], -1)).chunk(2, dim=-1)
        code = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        error = (self.decoder(torch.cat([asked, code], -1)) - outcome).square()
        divergence = (mean.square() + log_variance.exp() - log_variance - 1).sum(-1) / 2
        change_error, reward_error = error[:, :-1].mean(), error[:, -1].mean()
        loss: Tensor = change_error + reward_error + divergence_weight * divergence.mean()
        return loss

    @torch.no_grad()
    def draw(self, asked: Tensor) -> Tensor:
        """`(..., observation_dim + 1)` outcomes in tasks that nobody names."""
        code = torch.randn(*asked.shape[:-1], self.code_dim, device=asked.device)
        outcome: Tensor = self.decoder(torch.cat([asked, code], -1))
        return outcome
