"""Mixtures, and the LSTM that says them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from metabench import Spaces

from ..scales import ModelScales
from .config import MdnRnnConfig


@dataclass(frozen=True)
class Mixture:
    """D outcomes, each a mixture of K Gaussians of its own.

    Attributes:
        log_weights: `(..., D, K)`, normalised.
        means: the same.
        log_deviations: the same.
    """

    log_weights: Tensor
    means: Tensor
    log_deviations: Tensor

    def measure_density(self, outcome: Tensor) -> Tensor:
        """`(..., D)` logarithms of the density of as many outcomes."""
        apart = (outcome[..., None] - self.means) * (-self.log_deviations).exp()
        each = -0.5 * apart.square() - self.log_deviations - 0.5 * math.log(2 * math.pi)
        found: Tensor = (self.log_weights + each).logsumexp(-1)
        return found

    def find_mean(self) -> Tensor:
        """`(..., D)`."""
        return (self.log_weights.exp() * self.means).sum(-1)

    def find_variance(self) -> Tensor:
        """`(..., D)`: within the Gaussians, and between them."""
        weights, middle = self.log_weights.exp(), self.find_mean()[..., None]
        spread = (2 * self.log_deviations).exp() + (self.means - middle).square()
        return (weights * spread).sum(-1)

    def draw(self, temperature: float, choosing: Tensor, noise: Tensor) -> Tensor:
        """An outcome `(..., D)` of each mixture.

        Args:
            temperature: the logarithms of weights are divided by it, variances multiplied.
            choosing: `(..., D, K)` Gumbel numbers by which Gaussians are chosen.
            noise: `(..., D)` normal numbers.
        """
        chosen = (self.log_weights / temperature + choosing).argmax(-1, keepdim=True)
        mean = self.means.gather(-1, chosen).squeeze(-1)
        deviation = self.log_deviations.gather(-1, chosen).squeeze(-1).exp()
        return mean + math.sqrt(temperature) * deviation * noise


@dataclass(frozen=True)
class Recurrent:
    """Where sequences are, `(...)` of them.

    Attributes:
        hidden: `(..., width)` what the LSTM says.
        cell: `(..., width)` what it keeps.
        reward: `(..., 1)` the last one, scaled; 0 before any.
        fresh: `(..., 1)` floats: 1 where the next step is not one that follows the last.
    """

    hidden: Tensor
    cell: Tensor
    reward: Tensor
    fresh: Tensor


class MdnRnn(nn.Module):
    """All that is trained and saved."""

    def __init__(self, spaces: Spaces, config: MdnRnnConfig) -> None:
        """Make the networks."""
        super().__init__()
        self.spaces, self.config = spaces, config
        self.scales = ModelScales(spaces)
        self.outcomes = spaces.observation_dim + 1
        inputs = spaces.observation_dim + spaces.action_dim + 2
        self.lstm = nn.LSTM(inputs, config.width)
        self.head = nn.Linear(config.width, 3 * self.outcomes * config.mixtures + 1)

    def begin(self, *shape: int) -> Recurrent:
        """Sequences of which nothing was read."""
        device = self.head.weight.device
        nothing = torch.zeros(*shape, self.config.width, device=device)
        return Recurrent(
            nothing,
            nothing,
            torch.zeros(*shape, 1, device=device),
            torch.ones(*shape, 1, device=device),
        )

    def scale_reward(self, rewards: Tensor) -> Tensor:
        """`(..., 1)` of `(...)` rewards, as the LSTM reads them."""
        scales = self.scales
        scaled = (rewards[..., None] - scales.get_buffer("reward_mean")) / scales.get_buffer(
            "reward"
        )
        return scaled.nan_to_num(nan=0.0).clamp(-10.0, 10.0)

    def read(
        self,
        observations: Tensor,
        actions: Tensor,
        rewards: Tensor,
        fresh: Tensor,
        state: Recurrent | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Read T steps of B sequences.

        Args:
            observations: `(T, B, S)` before each step.
            actions: `(T, B, A)` features.
            rewards: `(T, B, 1)` scaled, of the step before.
            fresh: `(T, B, 1)`.
            state: where `(B, ...)` sequences are; None at their beginning.

        Returns:
            What the LSTM says after each step, `(T, B, width)`, and what it keeps after the last, `(B, width)`.
        """
        inputs = torch.cat([self.scales.scale(observations), actions, rewards, fresh], -1)
        kept = None if state is None else (state.hidden[None], state.cell[None])
        hidden, (_, cell) = self.lstm(inputs, kept)
        return hidden, cell[0]

    def step(self, state: Recurrent, observations: Tensor, actions: Tensor) -> Recurrent:
        """Read one step of `(..., S)` and `(..., A)`; its reward is still that of the step before."""
        shape, width = state.hidden.shape[:-1], self.config.width
        flat = Recurrent(*(each.reshape(-1, each.shape[-1]) for each in vars(state).values()))
        hidden, cell = self.read(
            observations.reshape(1, -1, observations.shape[-1]),
            actions.reshape(1, -1, actions.shape[-1]),
            flat.reward[None],
            flat.fresh[None],
            flat,
        )
        return Recurrent(
            hidden[0].view(*shape, width),
            cell.view(*shape, width),
            state.reward,
            torch.zeros_like(state.fresh),
        )

    def say(self, hidden: Tensor) -> tuple[Mixture, Tensor]:
        """Mixtures of `(..., D)` scaled outcomes, and `(...)` logits of ends, of `(..., width)` hidden states."""
        said = self.head(hidden)
        parts = said[..., :-1].unflatten(-1, (3, self.outcomes, self.config.mixtures))
        weights, means, spread = parts.unbind(-3)
        least = math.log(self.config.least_deviation)
        return (
            Mixture(weights.log_softmax(-1), means, least + functional.softplus(spread - least)),
            said[..., -1],
        )
