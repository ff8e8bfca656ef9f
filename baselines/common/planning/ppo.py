"""Proximal policy optimisation (Schulman et al. 2017) of many small policies at once, nothing shared between them.

Every tensor begins with the group: G policies are stepped and improved by batched matrix products, each on its own
data, with its own advantages, its own gradient norm and its own randomness.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from metabench import Spaces

from .config import ImaginationConfig

HEAD_GAINS = {"actor": 0.01, "critic": 1.0}
"""Scale of the last layers at first, as published: the first actions hardly depend on the observation."""


class GroupedActorCritics(nn.Module):
    """For each of G groups an actor and a critic, two hidden layers of hyperbolic tangents each.

    Actions are features: coordinates of a normal distribution, whose deviation does not depend on the observation, or
    scores of a categorical one.
    """

    def __init__(
        self, spaces: Spaces, config: ImaginationConfig, generators: Sequence[torch.Generator]
    ) -> None:
        """Draw weights, each group's from its own generator."""
        super().__init__()
        self.discrete, groups, width = spaces.discrete, len(generators), config.width
        inputs, outputs = spaces.observation_dim, spaces.action_dim

        def draw_weights(rows: int, columns: int, copies: int, gain: float) -> nn.Parameter:
            weights = torch.empty(groups, copies, rows, columns)
            for part, generator in zip(weights, generators, strict=True):
                for each in part:
                    nn.init.orthogonal_(each, gain, generator)
            return nn.Parameter(weights)

        def make_zeros(copies: int, columns: int) -> nn.Parameter:
            return nn.Parameter(torch.zeros(groups, copies, 1, columns))

        self.first, self.first_bias = (
            draw_weights(inputs, width, 2, math.sqrt(2.0)),
            make_zeros(2, width),
        )
        self.second, self.second_bias = (
            draw_weights(width, width, 2, math.sqrt(2.0)),
            make_zeros(2, width),
        )
        self.actor, self.actor_bias = (
            draw_weights(width, outputs, 1, HEAD_GAINS["actor"]),
            make_zeros(1, outputs),
        )
        self.critic, self.critic_bias = (
            draw_weights(width, 1, 1, HEAD_GAINS["critic"]),
            make_zeros(1, 1),
        )
        deviation = torch.full(
            (groups, 1, 0 if self.discrete else outputs), math.log(config.deviation)
        )
        self.log_deviation = nn.Parameter(deviation)

    def forward(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        """Means or scores `(G, M, A)` and values `(G, M)` of `(G, M, S)` normalised observations."""
        hidden = torch.tanh(observations[:, None] @ self.first + self.first_bias)
        hidden = torch.tanh(hidden @ self.second + self.second_bias)
        means = hidden[:, :1] @ self.actor + self.actor_bias
        values = hidden[:, 1:] @ self.critic + self.critic_bias
        return means[:, 0], values[:, 0, :, 0]

    def choose(self, means: Tensor, uniform: Tensor) -> Tensor:
        """Choices `(G, M, A)` from as many uniform numbers; for discrete actions they are one-hot."""
        if self.discrete:
            gumbel = -torch.log(-torch.log(uniform))
            return functional.one_hot((means + gumbel).argmax(-1), means.shape[-1]).to(means.dtype)
        return torch.as_tensor(means + self.log_deviation.exp() * torch.special.ndtri(uniform))

    def log_probabilities(self, means: Tensor, choices: Tensor) -> Tensor:
        """`(G, M)`."""
        if self.discrete:
            return (means.log_softmax(-1) * choices).sum(-1)
        away = (choices - means) / self.log_deviation.exp()
        return -(0.5 * away.square() + self.log_deviation + 0.5 * math.log(2 * math.pi)).sum(-1)

    def copy_groups(self, index: Tensor) -> GroupedActorCritics:
        """The policies of some groups, `(L,)` indices, as many as asked for."""
        chosen = GroupedActorCritics.__new__(GroupedActorCritics)
        nn.Module.__init__(chosen)
        chosen.discrete = self.discrete
        for name, parameter in self.named_parameters():
            chosen.register_parameter(
                name, nn.Parameter(parameter.detach()[index], requires_grad=False)
            )
        return chosen


@dataclass(frozen=True)
class GroupedRollout:
    """T steps of K lanes in each of G groups.

    Attributes:
        observations: `(G, T, K, S)`, normalised.
        choices: `(G, T, K, A)` as drawn, not clipped.
        log_probabilities: `(G, T, K)` of the choices when they were drawn.
        rewards: `(G, T, K)`.
        next_observations: `(G, T, K, S)`, normalised; before a new episode begins.
        ends: `(G, T, K)` bool: nothing follows.
        cuts: `(G, T, K)` bool: another episode follows, whether this one ended or not.
    """

    observations: Tensor
    choices: Tensor
    log_probabilities: Tensor
    rewards: Tensor
    next_observations: Tensor
    ends: Tensor
    cuts: Tensor


def estimate_advantages(
    rollout: GroupedRollout, values: Tensor, next_values: Tensor, discount: float, trace: float
) -> Tensor:
    """`(G, T, K)` generalised advantage estimates (Schulman et al. 2016); what is cut short is worth its value."""
    surprise = rollout.rewards + discount * next_values * ~rollout.ends - values
    estimates, following = torch.zeros_like(surprise), torch.zeros_like(surprise[:, 0])
    for step in reversed(range(surprise.shape[1])):
        following = surprise[:, step] + discount * trace * following * ~rollout.cuts[:, step]
        estimates[:, step] = following
    return estimates


def ppo_loss(
    networks: GroupedActorCritics,
    config: ImaginationConfig,
    observations: Tensor,
    choices: Tensor,
    before: Tensor,
    gains: Tensor,
    targets: Tensor,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The clipped surrogate and the critic's squared error on a minibatch of each group, summed over groups.

    No term holds two groups, so that the sum's gradient is each group's own.

    Args:
        networks: the policies.
        config: how far ratios count, and what the critic weighs.
        observations: `(G, M, S)`, normalised.
        choices: `(G, M, A)`.
        before: `(G, M)` their log-probabilities when they were drawn.
        gains: `(G, M)` advantages.
        targets: `(G, M)` what the critic learns.
    """
    means, values = networks(observations)
    ratio = (networks.log_probabilities(means, choices) - before).exp()
    if gains.shape[1] > 1:  # one number has no deviation
        gains = (gains - gains.mean(1, keepdim=True)) / (gains.std(1, keepdim=True) + 1e-8)
    clipped = ratio.clamp(1.0 - config.clip, 1.0 + config.clip)
    policy_loss = -torch.minimum(ratio * gains, clipped * gains).mean(1)  # (G,)
    value_loss = (values - targets).square().mean(1)  # (G,)
    loss = (policy_loss + config.value_weight * value_loss).sum()
    return loss, {"policy": policy_loss, "value": value_loss}


class Improver:
    """Improves all groups' policies on their own rollouts."""

    def __init__(self, networks: GroupedActorCritics, config: ImaginationConfig) -> None:
        """Keep the networks, which are changed in place."""
        self._networks, self._config = networks, config
        self._parameters = list(networks.parameters())
        self._optimizer = torch.optim.Adam(
            self._parameters, config.learning_rate, eps=1e-5, fused=True
        )

    def improve(self, rollout: GroupedRollout, generators: Sequence[torch.Generator]) -> None:
        """Several epochs of minibatches, each group's in an order of its own."""
        config = self._config
        with torch.no_grad():
            values = self._estimate_values(rollout.observations)
            gains = estimate_advantages(
                rollout,
                values,
                self._estimate_values(rollout.next_observations),
                config.discount,
                config.trace,
            )
        columns = [
            rollout.observations,
            rollout.choices,
            rollout.log_probabilities,
            gains,
            gains + values,
        ]
        flat = [column.flatten(1, 2) for column in columns]
        groups, rows = flat[2].shape
        which = torch.arange(groups)[:, None]
        for _ in range(config.epochs):
            order = torch.stack(
                [torch.randperm(rows, generator=generator) for generator in generators]
            )
            for first in range(0, rows, config.minibatch):
                index = order[:, first : first + config.minibatch]
                loss, _ = ppo_loss(
                    self._networks, config, *(column[which, index] for column in flat)
                )
                self._optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                self._clip_gradients()
                self._optimizer.step()

    def _clip_gradients(self) -> None:
        """Scale each group's gradient to the largest norm, if it is longer."""
        gradients = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        norm = (
            torch.stack([gradient.flatten(1).square().sum(1) for gradient in gradients])
            .sum(0)
            .sqrt()
        )
        scale = (self._config.gradient_clip / (norm + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(scale.view(-1, *[1] * (gradient.dim() - 1)))

    def _estimate_values(self, observations: Tensor) -> Tensor:
        """`(G, T, K)`."""
        values = self._networks(observations.flatten(1, 2))[1]
        return torch.as_tensor(values.unflatten(1, observations.shape[1:3]))
