"""Rewards and ends of the synthetic environments: functions of states that were visited, so that they matter."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .draws import PriorRandomness
from .worlds import HIDDEN, Worlds

ENDING, BONUS = 0.5, 0.5
"""Shares: of environments with states that end an episode, and of those, with a reward for it, good or bad."""

CONDITIONS = 3
"""Most conditions that end an episode."""


@dataclass(frozen=True)
class SyntheticSteps:
    """All steps of E environments, R rows each.

    Attributes:
        before: `(E, R, S)` observations.
        actions: `(E, R, A)` features.
        after: `(E, R, S)` next observations.
        hidden_before: `(E, R, L)` states.
        hidden_after: `(E, R, L)` next states.
    """

    before: Tensor
    actions: Tensor
    after: Tensor
    hidden_before: Tensor
    hidden_after: Tensor


def draw_outcomes(
    prior: PriorRandomness, world: Worlds, steps: SyntheticSteps
) -> tuple[Tensor, Tensor]:
    """`(E, R)` rewards and `(E, R)` bool ends."""
    rewards = _draw_rewards(prior, world, steps)
    met, bonuses = _draw_end_conditions(prior, world, steps.after)
    rewards = rewards + (met.float() * bonuses).sum(2)
    cost = prior.log_uniform(len(rewards), 1, low=1e-3, high=1.0) * prior.chance(
        len(rewards), 1, of=0.4
    )
    rewards = rewards - cost * (steps.actions.square().sum(2) * ~world.discrete[:, None])
    offset = prior.normal(len(rewards), 1) * prior.chance(len(rewards), 1, of=0.3)
    return (rewards + offset) * prior.log_uniform(len(rewards), 1, low=0.1, high=10.0), met.any(2)


def _draw_rewards(prior: PriorRandomness, world: Worlds, steps: SyntheticSteps) -> Tensor:
    """Distance to a goal, its square, nearness, speed, a wanted speed, 1, or a random network; 1 in size."""
    count, rows, slots = steps.after.shape
    away = _draw_goal_distance(prior, world, steps)
    near = away.gather(
        1, (prior.uniform(count, 1) * 0.2 * rows).long().clamp(max=rows - 1)
    )  # of a row, not the best
    used = world.state_used.float()[:, None]
    spread = steps.after.std(1, keepdim=True).clamp(min=1e-6)
    chosen = used * prior.chance(count, 1, slots, of=0.5)
    weights = prior.normal(count, slots, 1) * chosen.transpose(1, 2)
    speed = ((steps.after / spread) @ weights)[..., 0]
    wanted = speed.gather(1, prior.number(count, 1, low=0, high=rows - 1))
    inward = torch.cat([steps.before / spread, steps.after / spread, steps.actions], 2) * 0.5
    hidden = torch.tanh(inward @ (prior.normal(count, inward.shape[2], HIDDEN) / 2))
    network = (hidden @ prior.normal(count, HIDDEN, 1))[..., 0]
    kinds = torch.stack(
        [
            -away.sqrt(),
            -away,
            (away < near).float(),
            speed,
            -(speed - wanted).abs(),
            torch.zeros_like(speed),
            network,
        ]
    )
    kind = prior.number(count, low=0, high=len(kinds) - 1)
    reward = kinds[kind, torch.arange(count, device=prior.device)]
    constant = (kind == 5)[:, None]
    # A reward of 1 a step has no deviation to divide by: it is what surviving earns.
    return torch.where(constant, 1.0, reward / reward.std(1, keepdim=True).clamp(min=1e-3))


def _draw_goal_distance(prior: PriorRandomness, world: Worlds, steps: SyntheticSteps) -> Tensor:
    """`(E, R)` squared, in what is seen or in the states behind it (angles wrapped), before or after the step."""
    count, rows, slots = steps.after.shape
    at = torch.arange(count, device=prior.device)
    early = prior.chance(count, 1, 1, of=0.5)
    row = prior.number(count, low=0, high=rows - 1)
    origin = prior.chance(count, 1, 1, of=0.3)  # upright, at rest, in the middle
    distances = []
    for before, after, there, angles in (
        (steps.before, steps.after, world.state_used, None),
        (steps.hidden_before, steps.hidden_after, world.present, world.angle),
    ):
        states = torch.where(early, before, after)
        goal = after[at, row][:, None]
        if angles is not None:
            goal = torch.where(origin, 0.0, goal)
        apart = states - goal
        spread = after.std(1, keepdim=True).clamp(min=1e-6)
        if angles is not None:
            apart = torch.where(
                angles[:, None], (apart + math.pi).remainder(2 * math.pi) - math.pi, apart
            )
        weights = prior.log_uniform(count, slots, low=0.03, high=1.0) * prior.chance(
            count, slots, of=0.5
        )
        first = (prior.uniform(count, slots) * there).argmax(
            1
        )  # one slot always counts, or the goal would be anywhere
        weights = (weights.scatter(1, first[:, None], 1.0) * there)[:, None]
        distances.append(((apart / spread).square() * weights).sum(2))
    return torch.where(prior.chance(count, 1, of=0.5), distances[0], distances[1])


def _draw_end_conditions(
    prior: PriorRandomness, world: Worlds, after: Tensor
) -> tuple[Tensor, Tensor]:
    """`(E, R, C)` bool, and their `(E, 1, C)` rewards: beyond a limit of a dimension, or far from its mean."""
    count, rows, slots = after.shape
    shape = (count, 1, CONDITIONS)
    dimensions = (prior.uniform(count, CONDITIONS, slots) * world.state_used[:, None]).argmax(2)
    values = after.gather(2, dimensions[:, None].expand(-1, rows, -1))
    side = prior.number(*shape, low=0, high=2)
    values = torch.where(side == 1, -values, values)
    values = torch.where(side == 2, (values - values.mean(1, keepdim=True)).abs(), values)
    share = prior.log_uniform(count, 1, CONDITIONS, low=0.003, high=0.15)
    # The limit is a quantile of what was visited, so that it is crossed in the data.
    limit = values.sort(1).values.gather(1, ((1.0 - share) * (rows - 1)).long())
    # On a grid many rows lie on the limit itself: those at the edge end, elsewhere those beyond.
    met = torch.where(
        world.grid[:, None, None], values >= values.amax(1, keepdim=True), values > limit
    )
    ending = prior.chance(count, 1, 1, of=ENDING)
    # 1 to all of the conditions count; each draws its numbers all the same.
    many = torch.arange(CONDITIONS, device=prior.device) <= prior.number(
        count, 1, 1, low=0, high=CONDITIONS - 1
    )
    bonus = prior.normal(*shape) * prior.log_uniform(*shape, low=0.5, high=10.0)
    return met & ending & many, bonus * prior.chance(count, 1, 1, of=BONUS)
