"""The losses of soft actor-critic (Haarnoja et al. 2018), also for discrete actions, whose expectations are exact."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .config import ActorCriticConfig
from .losses import Info, Transitions
from .networks import ActorCritic

DISCRETE_ENTROPY = 0.2
"""Of discrete actions the aimed entropy is this share of the largest; of continuous ones minus their number."""


def soft_critic_loss(
    networks: ActorCritic, batch: Transitions, config: ActorCriticConfig
) -> tuple[Tensor, Info]:
    """One-step targets from the lower target critic under the actor's own actions, and their entropy."""
    with torch.no_grad():
        value, entropy = _value_actions(networks, networks.target_critic, batch.next_state)
        value = value + networks.log_temperature.exp() * entropy
        target = batch.reward + config.discount * batch.continues * value
    values = networks.critic(batch.state, batch.action)
    loss = (values - target).square().mean(-1).sum()
    return loss, {"critic_loss": loss.detach(), "value": values.detach().mean()}


def soft_actor_loss(networks: ActorCritic, batch: Transitions) -> tuple[Tensor, Tensor, Info]:
    """Minus values and weighed entropy.

    Returns:
        The loss, the entropy of the actor's actions `(B,)`, what to log.
    """
    value, entropy = _value_actions(networks, networks.critic, batch.state)
    loss = -(value + networks.log_temperature.detach().exp() * entropy).mean()
    found = entropy.detach()
    return loss, found, {"actor_loss": loss.detach(), "entropy": found.mean()}


def temperature_loss(networks: ActorCritic, entropy: Tensor) -> tuple[Tensor, Info]:
    """Raises the temperature where the entropy is below its aim."""
    discrete, outputs = networks.actor.discrete, networks.actor.outputs
    aim = DISCRETE_ENTROPY * math.log(outputs) if discrete else -outputs / 2  # half are deviations
    temperature: Tensor = networks.log_temperature.exp()
    return temperature * (entropy.mean() - aim), {"temperature": temperature.detach()}


def _value_actions(
    networks: ActorCritic, critic: nn.Module, state: Tensor
) -> tuple[Tensor, Tensor]:
    """The lower value `(B,)` of what the actor does in `(B, state_dim)` states, and its entropy `(B,)`."""
    actor = networks.actor
    if not actor.discrete:
        action, density, _ = actor.sample(state)
        values: Tensor = critic(state, action)
        return values.amin(0), -density
    logarithms = actor(state).log_softmax(-1)  # (B, A)
    chances, count = logarithms.exp(), logarithms.shape[1]
    rows = state.repeat_interleave(count, 0)
    every = torch.eye(count, device=state.device).repeat(len(state), 1)
    values = critic(rows, every)
    lower = values.amin(0).view(-1, count)
    return (chances * lower).sum(-1), -(chances * logarithms).sum(-1)
