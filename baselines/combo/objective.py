"""The loss that holds values of actions down in imagined states, and up where they were logged."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..common.actor_critic.losses import Info, Transitions
from ..common.actor_critic.networks import ActorCritic
from ..common.world_models.dyna.train import join_transitions
from .config import ConservativeConfig


def conservative_loss(
    networks: ActorCritic, logged: Transitions, imagined: Transitions, config: ConservativeConfig
) -> tuple[Tensor, Info]:
    """What the best actions are taken to be worth in imagined states, less what logged ones are (COMBO, eq. 2).

    Args:
        networks: with a critic of several members and a stochastic actor, or one of discrete actions.
        logged: transitions of the data.
        imagined: transitions of the model, or of which the actor chose the actions.
        config: of the weight, and of how it is estimated.

    Returns:
        The weighed loss, summed over the critics, and what to log.
    """
    held = imagined
    if config.conservative_states == "mixed":
        held = join_transitions(logged, imagined)
    best = (
        sum_discrete_values(networks, held.state)
        if networks.actor.discrete
        else sum_continuous_values(networks, held.state, held.next_state, config.action_samples)
    )
    known = networks.critic(logged.state, logged.action)
    gap = best.mean(1) - known.mean(1)  # (members,)
    return config.conservatism * gap.sum(), {"conservative_gap": gap.detach().mean()}


def sum_discrete_values(networks: ActorCritic, states: Tensor) -> Tensor:
    """`(members, B)`: the logarithm of the sum of the exponentials of all actions' values."""
    count = networks.actor.outputs
    every = torch.eye(count, device=states.device).repeat(len(states), 1)
    values: Tensor = networks.critic(states.repeat_interleave(count, 0), every)
    return values.view(-1, len(states), count).logsumexp(2)


def sum_continuous_values(
    networks: ActorCritic, states: Tensor, next_states: Tensor, samples: int
) -> Tensor:
    """`(members, B)`: the same as an integral over all actions, estimated from actions of known density.

    A third of them are the actor's, a third its in the next states, a third uniform (CQL, appendix F).
    """
    rows = states.repeat_interleave(samples, 0)
    with torch.no_grad():
        own, density, _ = networks.actor.sample(rows)
        later, later_density, _ = networks.actor.sample(next_states.repeat_interleave(samples, 0))
        anywhere = 2 * torch.rand_like(own) - 1
        uniform = torch.full_like(density, -own.shape[1] * math.log(2))
    actions = torch.cat([own, later, anywhere])
    densities = torch.cat([density, later_density, uniform])
    values: Tensor = networks.critic(rows.repeat(3, 1), actions) - densities
    parts = values.view(-1, 3, len(states), samples)
    return parts.logsumexp((1, 3)) - math.log(3 * samples)
