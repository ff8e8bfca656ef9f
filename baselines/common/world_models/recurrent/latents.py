"""Distributions of the stochastic state: Gaussians, and categories with straight-through gradients."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn import functional

from .config import RecurrentConfig


class Latents(ABC):
    """What the numbers that a network says of a stochastic state mean.

    Attributes:
        size: numbers of a stochastic state.
        statistics: numbers that describe its distribution.
    """

    size: int
    statistics: int

    @abstractmethod
    def sample(self, said: Tensor) -> Tensor:
        """States `(..., size)` drawn from `(..., statistics)`; gradients go through the draw."""

    @abstractmethod
    def average(self, said: Tensor) -> Tensor:
        """Means `(..., size)`."""

    @abstractmethod
    def choose(self, said: Tensor) -> Tensor:
        """The most likely states `(..., size)`."""

    @abstractmethod
    def diverge(self, from_said: Tensor, to_said: Tensor) -> Tensor:
        """Kullback-Leibler divergences `(...)` of the first distributions from the second."""


class GaussianLatents(Latents):
    """Independent Gaussians, whose deviations have a floor."""

    def __init__(self, size: int, least_deviation: float) -> None:
        """Make states of `size` coordinates."""
        self.size, self.statistics, self._least = size, 2 * size, least_deviation

    def _split(self, said: Tensor) -> tuple[Tensor, Tensor]:
        mean, spread = said.chunk(2, -1)
        return mean, functional.softplus(spread) + self._least

    def sample(self, said: Tensor) -> Tensor:
        """As `Latents` has it."""
        mean, deviation = self._split(said)
        return mean + deviation * torch.randn_like(mean)

    def average(self, said: Tensor) -> Tensor:
        """As `Latents` has it."""
        return said.chunk(2, -1)[0]

    def choose(self, said: Tensor) -> Tensor:
        """As `Latents` has it."""
        return self.average(said)

    def diverge(self, from_said: Tensor, to_said: Tensor) -> Tensor:
        """As `Latents` has it."""
        (mean, deviation), (other, wide) = self._split(from_said), self._split(to_said)
        ratio = (deviation / wide).square()
        return 0.5 * (ratio + ((mean - other) / wide).square() - 1.0 - ratio.log()).sum(-1)


class CategoricalLatents(Latents):
    """Independent categories as one-hot rows, each mixed with a little of the uniform distribution."""

    def __init__(self, groups: int, classes: int, uniform_mix: float) -> None:
        """Make states of `groups` rows of `classes`."""
        self.size = self.statistics = groups * classes
        self._shape, self._mix = (groups, classes), uniform_mix

    def _group(self, said: Tensor) -> Tensor:
        return said.view(*said.shape[:-1], *self._shape)

    def _find_chances(self, said: Tensor) -> Tensor:
        """`(..., groups, classes)` probabilities."""
        chances = self._group(said).softmax(-1)
        return (1.0 - self._mix) * chances + self._mix / self._shape[1]

    def sample(self, said: Tensor) -> Tensor:
        """As `Latents` has it."""
        chances = self._find_chances(said)
        # The smallest of exponential variables over their rates: as torch's multinomial does, without its checks.
        race = torch.empty_like(chances).exponential_()
        drawn = (chances.detach() / race).argmax(-1)
        rows = functional.one_hot(drawn, self._shape[1]).to(chances.dtype)
        return (rows + chances - chances.detach()).flatten(-2)

    def average(self, said: Tensor) -> Tensor:
        """As `Latents` has it."""
        return self._find_chances(said).flatten(-2)

    def choose(self, said: Tensor) -> Tensor:
        """As `Latents` has it."""
        chosen = self._group(said).argmax(-1)
        return functional.one_hot(chosen, self._shape[1]).to(said.dtype).flatten(-2)

    def diverge(self, from_said: Tensor, to_said: Tensor) -> Tensor:
        """As `Latents` has it."""
        chances, others = self._find_chances(from_said), self._find_chances(to_said)
        least = torch.finfo(chances.dtype).tiny  # without a uniform mix a probability may be 0
        logs = chances.clamp(min=least).log() - others.clamp(min=least).log()
        return (chances * logs).sum((-1, -2))


def make_latents(config: RecurrentConfig) -> Latents:
    """Those of the configuration."""
    if config.latent == "gaussian":
        return GaussianLatents(config.latent_dim, config.least_deviation)
    return CategoricalLatents(config.groups, config.classes, config.uniform_mix)


def balance_divergence(
    latents: Latents, posterior: Tensor, prior: Tensor, config: RecurrentConfig
) -> tuple[Tensor, Tensor]:
    """The two weighed halves of the divergence of posterior from prior, and the plain divergence; both `(...)`.

    One half moves the prior alone, the other the posterior alone; below the free nats neither moves.
    """
    moved = latents.diverge(posterior.detach(), prior)
    held = latents.diverge(posterior, prior.detach())
    loss = config.prior_weight * moved.clamp(min=config.free_nats)
    return loss + config.posterior_weight * held.clamp(min=config.free_nats), moved.detach()
