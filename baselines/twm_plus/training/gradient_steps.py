"""One update of each kind: of the world model, of the policy on logged sequences, of the policy in imagination."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...common.optimisation import descend
from ..actor_critic import LAST_REWARDS, ActorCritic
from ..config import TWMConfig
from ..model.world_model import WorldModel
from .batches import WindowBatch
from .imagined_rollouts import WindowContext, begin_at, choose_starts, imagine, read_context
from .losses import PolicyTrajectories, actor_loss, cloning_loss, critic_loss, estimate_values


def make_adam(config: TWMConfig, module: nn.Module, learning_rate: float) -> torch.optim.Adam:
    """Adam as all parts use it: L2 penalty, epsilon 1e-5."""
    return torch.optim.Adam(
        module.parameters(), lr=learning_rate, eps=1e-5, weight_decay=config.weight_decay
    )


@dataclass(frozen=True)
class PolicyOptimizers:
    """The optimisers of actor and critic, which learn at different speeds."""

    actor: torch.optim.Adam
    critic: torch.optim.Adam

    @staticmethod
    def make(config: TWMConfig, policy: ActorCritic, rate: float | None = None) -> PolicyOptimizers:
        """For the networks of `policy`; `rate` replaces the configured learning rates."""
        return PolicyOptimizers(
            make_adam(config, policy.actor, rate or config.actor_learning_rate),
            make_adam(config, policy.critic, rate or config.critic_learning_rate),
        )


def update_world_model(
    model: WorldModel,
    batch: WindowBatch,
    dynamics: torch.optim.Optimizer,
    observation: torch.optim.Optimizer | None,
) -> dict[str, Tensor]:
    """Update the dynamics and, if its optimiser is given, the observation model; returns what is logged."""
    windows = model.encode(batch.windows, sample=True)
    segments = None if batch.support is None else model.encode(batch.support.segments, sample=True)
    loss, info, prediction = model.dynamics_loss(windows, batch.support, segments, batch.reward_map)
    descend(dynamics, loss, clip=model.config.model_clip)
    if observation is not None:
        loss, more = model.joint_observation_loss(batch.windows, prediction)
        descend(observation, loss, clip=model.config.model_clip)
        info |= more
    return info


def update_on_logged(
    config: TWMConfig,
    model: WorldModel,
    policy: ActorCritic,
    optimizers: PolicyOptimizers,
    batch: WindowBatch,
) -> dict[str, Tensor]:
    """On logged sequences the critic regresses GAE returns, and the actor clones; returns what is logged."""
    context = read_context(model, batch.windows, batch.support, sample=True)
    steps = make_logged_trajectories(policy, context)

    values, advantages = estimate_values(config, policy, steps)
    value_loss, critic_info = critic_loss(policy, steps, values, advantages)
    descend(optimizers.critic, value_loss, clip=config.policy_clip)

    loss, actor_info = cloning_loss(config, policy, steps, advantages)
    descend(optimizers.actor, loss, clip=config.policy_clip)
    return critic_info | actor_info


def update_in_imagination(
    config: TWMConfig,
    model: WorldModel,
    policy: ActorCritic,
    optimizers: PolicyOptimizers,
    batch: WindowBatch,
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """In imagination from steps of `batch`; the actor stays near the data if configured. Returns what is logged."""
    context = read_context(model, batch.windows, batch.support, sample=True)
    groups = 1 if context.pinned is None else context.pinned.groups
    rows, timesteps = choose_starts(batch.startable, config.starts, groups, generator)
    start = begin_at(model, context, rows, timesteps, config.horizon)
    rollouts = imagine(config, model, policy, start, config.horizon, generator)
    imagined, logged = rollouts.steps, make_logged_trajectories(policy, context)

    # Both advantages are of the critic before its step, so that the actor learns from one and the same critic.
    values, advantages = estimate_values(config, policy, imagined)
    value_loss, info = critic_loss(policy, imagined, values, advantages)
    logged_values, logged_advantages = estimate_values(config, policy, logged)
    logged_value_loss, _ = critic_loss(policy, logged, logged_values, logged_advantages)
    both = value_loss + logged_value_loss if config.critic_on_logged else value_loss
    descend(optimizers.critic, both, clip=config.policy_clip)

    loss, actor_info = actor_loss(config, policy, imagined, advantages)
    if config.anchor_weight and policy.behaviour is None:
        anchor, anchor_info = cloning_loss(config, policy, logged, logged_advantages)
        loss = loss + config.anchor_weight * anchor
        actor_info |= anchor_info
    descend(optimizers.actor, loss, clip=config.policy_clip)

    return (
        actor_info
        | info
        | {"imagined_reward": rollouts.rewards.mean(), "disagreement": rollouts.disagreement.mean()}
    )


@torch.no_grad()
def follow_actor(average: nn.Module, actor: nn.Module, kept: float) -> None:
    """Move a running average of the actor's weights, which keeps the share `kept` of itself, towards the actor."""
    for slow, now in zip(average.parameters(), actor.parameters(), strict=True):
        slow.lerp_(now.detach(), 1.0 - kept)


def make_logged_trajectories(policy: ActorCritic, context: WindowContext) -> PolicyTrajectories:
    """Real windows as trajectories; padding has no weight.

    An episode that the horizon cut goes on for ever with the mean of its last rewards: the critic never learns of what
    comes after the horizon, and must not be asked for it.
    """
    encoded = context.encoded
    steps = encoded.steps
    real = (steps.episodes >= 0).float()  # (B, T)
    rewards = encoded.rewards * real
    counted = real[:, -LAST_REWARDS:].sum(dim=1, keepdim=True).clamp(min=1.0)  # (B, 1)
    last = rewards[:, -LAST_REWARDS:].sum(dim=1, keepdim=True) / counted
    after = last * (
        policy.discount / (1.0 - policy.discount)
    )  # the geometric series from the next step on
    cut = steps.ended & ~steps.terminated
    return PolicyTrajectories(
        features=policy.make_features(encoded.latents, context.hidden).transpose(0, 1),
        actions=policy.to_raw_actions(steps.actions).transpose(0, 1),
        rewards=torch.where(cut, rewards + after, rewards).T,
        discounts=(policy.discount * (~steps.ended)).T,
        cut=steps.ended.T,
        weights=real.T,
    )
