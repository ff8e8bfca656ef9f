"""What actor, critic and behaviour policy learn from: trajectories, their advantages, and the losses.

Every loss returns itself and what is logged of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from metabench import Windows

from ..actor_critic import ActorCritic
from ..config import TWMConfig
from ..model.world_model import WorldModel

LARGEST_EXPONENT = 3.0
"""Bounds the weight of a single cloned action."""


@dataclass(frozen=True)
class PolicyTrajectories:
    """H steps of N trajectories, real or imagined; time comes first.

    Attributes:
        features: `(H + 1, N, inputs)`.
        actions: `(H, N, action_dim)` as `ActorCritic.likelihood` takes them.
        rewards: `(H, N)`.
        discounts: `(H, N)`; they contain gamma.
        cut: `(H, N)` bool: what follows the step is another trajectory.
        weights: `(H, N)` weight of each step in the losses.
    """

    features: Tensor
    actions: Tensor
    rewards: Tensor
    discounts: Tensor
    cut: Tensor
    weights: Tensor


def generalised_advantages(
    rewards: Tensor, discounts: Tensor, values: Tensor, gae_lambda: float
) -> Tensor:
    """GAE with a discount of its own at every step.

    Args:
        rewards: `(H, N)`.
        discounts: `(H, N)`, zero where a trajectory ends.
        values: `(H + 1, N)`.
        gae_lambda: lambda.
    """
    errors = rewards + discounts * values[1:] - values[:-1]  # (H, N)
    advantage, advantages = torch.zeros_like(errors[0]), []
    for error, discount in zip(errors.flip(0), discounts.flip(0), strict=True):
        advantage = error + discount * gae_lambda * advantage
        advantages.append(advantage)
    return torch.stack(advantages[::-1])


def estimate_values(
    config: TWMConfig, policy: ActorCritic, steps: PolicyTrajectories
) -> tuple[Tensor, Tensor]:
    """Values `(H + 1, N)`, whose gradient reaches the critic, and advantages `(H, N)` without gradient."""
    values = policy.values(steps.features)
    # Nothing follows a cut: the next row is another trajectory's, whose value must not be bootstrapped from.
    discounts = steps.discounts * (~steps.cut)
    return values, generalised_advantages(
        steps.rewards, discounts, values.detach(), config.gae_lambda
    )


def critic_loss(
    policy: ActorCritic, steps: PolicyTrajectories, values: Tensor, advantages: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """Weighted mean of half the squared error of the values against the GAE returns, in the critic's units.

    That is a unit-variance Gaussian's negative log-likelihood without its constant.
    """
    returns = advantages + values.detach()[:-1]  # (H, N)
    errors = (values[:-1] - returns) / policy.get_buffer("value_scale")
    loss = (steps.weights * 0.5 * errors.square()).mean()
    return loss, {"critic": loss}


def actor_loss(
    config: TWMConfig, policy: ActorCritic, steps: PolicyTrajectories, advantages: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """REINFORCE with the thresholded entropy bonus and, if configured, the anchor to the behaviour policy."""
    features = steps.features[:-1]
    output = policy.actor(
        features
    )  # (H, N, action_dim or twice that); one pass serves all three terms
    likelihood, entropy = policy.likelihood_under(output, steps.actions)
    if config.normalise_advantages:
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-6)
    gain = -(steps.weights * likelihood * advantages).mean()
    # The bonus is a hinge: an actor that is random enough is not pushed to be more so.
    if policy.discrete:
        missing = config.actor_entropy_threshold - (steps.weights * entropy).mean()
    else:
        missing = config.actor_entropy_target - entropy.mean()
    loss = gain + config.actor_entropy_weight * missing.clamp(min=0.0)
    info = {"actor": gain, "actor_entropy": entropy.mean()}
    if config.anchor_weight and policy.behaviour is not None:
        info["anchor"] = mean_divergence(policy, steps, policy.divergence_of(output, features))
        loss = loss + config.anchor_weight * info["anchor"]
    return loss, info


def mean_divergence(policy: ActorCritic, steps: PolicyTrajectories, divergence: Tensor) -> Tensor:
    """Weighted mean of divergences `(H, N)` from the behaviour policy, a coordinate."""
    return (divergence * steps.weights).sum() / steps.weights.sum() / policy.coordinates


def cloning_loss(
    config: TWMConfig, policy: ActorCritic, steps: PolicyTrajectories, advantages: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """What keeps the actor near logged steps, or first brings it there.

    Where there is a behaviour policy the actor takes after that, whatever the history says. Else it clones the logged
    actions: mean negative log-likelihood, a coordinate, weighted by how good they turned out if configured.
    """
    if policy.behaviour is not None:
        loss = mean_divergence(policy, steps, policy.divergence(steps.features[:-1]))
        return loss, {"anchor": loss}
    likelihood, _ = policy.likelihood(steps.features[:-1], steps.actions)
    weights = steps.weights
    if config.anchor_selectivity:
        real = weights > 0  # padding must not move the mean that advantages are compared with
        deviation = advantages[real].std() + 1e-6
        exponent = config.anchor_selectivity * (advantages - advantages[real].mean()) / deviation
        weights = weights * exponent.clamp(max=LARGEST_EXPONENT).exp()
    loss = -(likelihood * weights).sum() / weights.sum() / policy.coordinates
    return loss, {"anchor": loss}


def behaviour_loss(
    model: WorldModel, policy: ActorCritic, batch: Windows
) -> tuple[Tensor, dict[str, Tensor]]:
    """Mean negative log-likelihood of logged actions under the behaviour policy, which sees sampled latents alone."""
    with torch.no_grad():
        logits = model.observation.encode(model.observation.scale(batch.observations))
        latents = model.latents.sample(logits)
    loss = -policy.behaviour_likelihood(latents, policy.to_raw_actions(batch.actions)).mean()
    return loss, {"behaviour": loss}
