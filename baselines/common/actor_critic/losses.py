"""The losses, one function each: they return the loss and what to log, and change nothing."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from .config import ActorCriticConfig
from .networks import ActorCritic

Info = dict[str, Tensor]

PENALTY_WEIGHT = 1e-3
"""brac: of the penalty on mean and deviation of the actor's Gaussian, as SAC's first code had it."""


@dataclass(frozen=True)
class Transitions:
    """A batch for temporal differences.

    Attributes:
        state: `(B, state_dim)` features before the action.
        action: `(B, action_dim)` features of the logged action (one-hot if discrete).
        reward: `(B,)`, scaled.
        next_state: `(B, state_dim)` features after it.
        continues: `(B,)` floats, 0 where the task ended the episode; 1 at a time limit, after which there is a value.
    """

    state: Tensor
    action: Tensor
    reward: Tensor
    next_state: Tensor
    continues: Tensor


def compare_actions(acted: Tensor, logged: Tensor, *, discrete: bool) -> Tensor:
    """How far action features are from logged ones, `(B,)`: squared error of coordinates, or cross-entropy."""
    if discrete:
        return functional.cross_entropy(acted, logged, reduction="none")
    return (acted - logged).square().mean(-1)


def imitation_loss(networks: ActorCritic, batch: Transitions) -> tuple[Tensor, Info]:
    """Behaviour cloning."""
    actor = networks.actor
    loss = compare_actions(actor(batch.state), batch.action, discrete=actor.discrete).mean()
    return loss, {"actor_loss": loss.detach()}


def implicit_value_loss(
    networks: ActorCritic, batch: Transitions, config: ActorCriticConfig
) -> tuple[Tensor, Tensor, Info]:
    """Values as an expectile of the logged actions' (IQL, eq. 5).

    Returns:
        The loss, the advantages `(B,)` of the logged actions, what to log.
    """
    with torch.no_grad():
        critic_value = networks.target_critic(batch.state, batch.action).amin(0)  # (B,)
    value = networks.value(batch.state).squeeze(-1)
    advantage = critic_value - value
    weight = torch.where(advantage > 0, config.expectile, 1 - config.expectile)
    loss = (weight * advantage.square()).mean()
    return loss, advantage.detach(), {"value_loss": loss.detach(), "value": value.detach().mean()}


def implicit_critic_loss(
    networks: ActorCritic, batch: Transitions, config: ActorCriticConfig
) -> tuple[Tensor, Info]:
    """One-step targets from the values: no action outside the data is ever asked for (IQL, eq. 6)."""
    with torch.no_grad():
        next_value = networks.value(batch.next_state).squeeze(-1)
        target = batch.reward + config.discount * batch.continues * next_value
    loss = (networks.critic(batch.state, batch.action) - target).square().mean(-1).sum()
    return loss, {"critic_loss": loss.detach()}


def weighted_imitation_loss(
    networks: ActorCritic, batch: Transitions, advantage: Tensor, config: ActorCriticConfig
) -> tuple[Tensor, Info]:
    """Logged actions, the better the more (IQL, eq. 7)."""
    weight = (config.temperature * advantage).exp().clamp(max=config.largest_weight)
    actor = networks.actor
    error = compare_actions(actor(batch.state), batch.action, discrete=actor.discrete)
    loss = (weight * error).mean()
    return loss, {"actor_loss": loss.detach(), "weight": weight.mean()}


def delayed_critic_loss(
    networks: ActorCritic, batch: Transitions, config: ActorCriticConfig
) -> tuple[Tensor, Info]:
    """TD3's critics: the target actor's action, with clipped noise, by the lower target."""
    with torch.no_grad():
        noise = torch.randn_like(batch.action) * config.target_noise
        noise = noise.clamp(-config.largest_noise, config.largest_noise)
        action = (networks.target_actor(batch.next_state) + noise).clamp(-1, 1)
        next_value = networks.target_critic(batch.next_state, action).amin(0)
        target = batch.reward + config.discount * batch.continues * next_value
    values = networks.critic(batch.state, batch.action)
    loss = (values - target).square().mean(-1).sum()
    return loss, {"critic_loss": loss.detach(), "value": values.detach().mean()}


def anchored_actor_loss(
    networks: ActorCritic, batch: Transitions, config: ActorCriticConfig
) -> tuple[Tensor, Info]:
    """TD3+BC's actor: a value of scale 1, and the distance from the logged action."""
    acted = networks.actor(batch.state)
    value = networks.critic(batch.state, acted)[0]
    error = compare_actions(acted, batch.action, discrete=False).mean()
    loss = error - config.imitation * value.mean() / value.detach().abs().mean()
    return loss, {"actor_loss": loss.detach(), "imitation_error": error.detach()}


def divergence_loss(networks: ActorCritic, batch: Transitions) -> tuple[Tensor, Info]:
    """Minus the dual form of the divergence between actor and data, which its critic makes as large as it can."""
    with torch.no_grad():
        acted, _, _ = networks.actor.sample(batch.state)
    divergence = measure_divergence(networks, batch, acted)
    return -divergence, {"divergence": divergence.detach()}


def measure_divergence(networks: ActorCritic, batch: Transitions, acted: Tensor) -> Tensor:
    """E[log softplus c(s, acted)] - E[softplus c(s, logged)] + 1, a lower bound of the KL divergence."""
    ours = functional.softplus(networks.divergence(torch.cat([batch.state, acted], -1)))
    logged = functional.softplus(networks.divergence(torch.cat([batch.state, batch.action], -1)))
    return (ours + 1e-6).log().mean() - logged.mean() + 1


def regularised_critic_loss(
    networks: ActorCritic, batch: Transitions, config: ActorCriticConfig
) -> tuple[Tensor, Info]:
    """BRAC's critics and values in FOCAL's form: targets by the target values, values by the actor's own actions."""
    with torch.no_grad():
        next_value = networks.target_value(batch.next_state).squeeze(-1)
        target = batch.reward + config.discount * batch.continues * next_value
        acted, density, _ = networks.actor.sample(batch.state)
        value_target = networks.critic(batch.state, acted).amin(0) - config.entropy_weight * density
    critic_loss = (networks.critic(batch.state, batch.action) - target).square().mean(-1).sum()
    value = networks.value(batch.state).squeeze(-1)
    value_loss = (value - value_target).square().mean()
    info = {
        "critic_loss": critic_loss.detach(),
        "value_loss": value_loss.detach(),
        "value": value.detach().mean(),
    }
    return critic_loss + value_loss, info


def regularised_actor_loss(
    networks: ActorCritic, batch: Transitions, config: ActorCriticConfig
) -> tuple[Tensor, Info]:
    """The actor's value and entropy, less the weighted divergence from the data."""
    acted, density, penalty = networks.actor.sample(batch.state)
    value = networks.critic(batch.state, acted).amin(0)
    divergence = measure_divergence(networks, batch, acted)
    loss = (config.entropy_weight * density - value + PENALTY_WEIGHT * penalty).mean()
    loss = loss + networks.get_buffer("divergence_weight") * divergence
    return loss, {"actor_loss": loss.detach(), "divergence": divergence.detach()}
