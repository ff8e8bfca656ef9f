"""How a network's outputs become actions in training: normal noise around a mean, or one of several choices."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor

from metabench.envs import Array


class ActionDistribution(ABC):
    """What PPO needs to know of its actions; `log_deviation` is the network's, which choices do without."""

    @abstractmethod
    def draw(
        self, outputs: Array, log_deviation: Tensor, generator: np.random.Generator
    ) -> tuple[Array, Array]:
        """Actions and their log-probabilities (but for a constant) of `(lanes, action_dim)` outputs."""

    @abstractmethod
    def log_probability(self, outputs: Tensor, log_deviation: Tensor, actions: Tensor) -> Tensor:
        """`(n,)` of actions under `(n, action_dim)` outputs, but for the same constant."""

    @abstractmethod
    def divergence(
        self, before: Tensor, old_log_deviation: Tensor, outputs: Tensor, log_deviation: Tensor
    ) -> float:
        """Mean Kullback-Leibler divergence from the distribution that acted to the present one."""

    @abstractmethod
    def entropy(self, outputs: Tensor, log_deviation: Tensor) -> Tensor:
        """A scalar that grows with the actions' randomness."""


class NormalActions(ActionDistribution):
    """Continuous actions: a mean each, and a deviation that all states share."""

    def draw(
        self, outputs: Array, log_deviation: Tensor, generator: np.random.Generator
    ) -> tuple[Array, Array]:
        """Means plus noise."""
        deviation = log_deviation.detach().exp().numpy()
        actions = outputs + deviation * generator.standard_normal(outputs.shape)
        squares = np.square((actions - outputs) / deviation).sum(axis=-1)
        return actions, -0.5 * squares - np.log(deviation).sum()

    def log_probability(self, outputs: Tensor, log_deviation: Tensor, actions: Tensor) -> Tensor:
        """Of a normal distribution, without the constant of pi."""
        squares = ((actions - outputs) / log_deviation.exp()).square().sum(-1)
        return -0.5 * squares - log_deviation.sum()

    def divergence(
        self, before: Tensor, old_log_deviation: Tensor, outputs: Tensor, log_deviation: Tensor
    ) -> float:
        """Of two normal distributions, from the old to the new."""
        spread = (old_log_deviation.exp().square() + (outputs - before).square()) / (
            2.0 * log_deviation.exp().square()
        )
        return float((log_deviation - old_log_deviation + spread - 0.5).sum(-1).mean())

    def entropy(self, outputs: Tensor, log_deviation: Tensor) -> Tensor:
        """The sum of the logarithms of the deviations."""
        del outputs
        return log_deviation.sum()


class ChosenActions(ActionDistribution):
    """Discrete actions: outputs are logits."""

    def draw(
        self, outputs: Array, log_deviation: Tensor, generator: np.random.Generator
    ) -> tuple[Array, Array]:
        """By Gumbel's trick: the largest logit after noise is drawn with its probability."""
        del log_deviation
        actions = (outputs + generator.gumbel(size=outputs.shape)).argmax(axis=-1)
        shifted = outputs - outputs.max(axis=-1, keepdims=True)
        logarithms = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        return actions, np.take_along_axis(logarithms, actions[..., None], axis=-1)[..., 0]

    def log_probability(self, outputs: Tensor, log_deviation: Tensor, actions: Tensor) -> Tensor:
        """Of the chosen ones."""
        del log_deviation
        return outputs.log_softmax(-1).gather(-1, actions.long()[:, None])[:, 0]

    def divergence(
        self, before: Tensor, old_log_deviation: Tensor, outputs: Tensor, log_deviation: Tensor
    ) -> float:
        """Of two categorical distributions, from the old to the new."""
        del old_log_deviation, log_deviation
        old = before.log_softmax(-1)
        return float((old.exp() * (old - outputs.log_softmax(-1))).sum(-1).mean())

    def entropy(self, outputs: Tensor, log_deviation: Tensor) -> Tensor:
        """The mean entropy of the choices."""
        del log_deviation
        logarithms = torch.log_softmax(outputs, -1)
        return -(logarithms.exp() * logarithms).sum(-1).mean()
