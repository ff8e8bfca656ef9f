"""The improved prior: synthetic environments in which states are slow, actions matter, and what ends an episode shows.

Drawn per environment: first-order dimensions and pairs of position and velocity, driven by a random network, springs,
damping, gravity and the action; walls; angles shown as cosine and sine; grids. What is observed is scaled, shifted,
shuffled and perhaps noisy. Rewards and ends are functions of what is observed, with goals and limits that were visited,
so that they matter in the data. Behaviour changes from episode to episode: the context and the queries of one
environment are acted in different ways, as they are when a planner uses the model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .draws import PriorRandomness
from .rewards_and_ends import SyntheticSteps, draw_outcomes
from .worlds import Worlds


@dataclass(frozen=True)
class SyntheticData:
    """Transitions of E environments in S state slots and A action slots: P episodes of T steps each, R = P T rows.

    Attributes:
        observations: `(E, R, S)`; unused slots are 0, used ones come first.
        actions: `(E, R, A)`: coordinates in [-1, 1], or one-hot.
        next_observations: `(E, R, S)`.
        rewards: `(E, R)`.
        ends: `(E, R)` bool: the step ended the episode. (Rows after it are there all the same.)
        episodes: `(R,)` the episode of each row.
        state_used: `(E, S)` bool.
        action_used: `(E, A)` bool.
    """

    observations: Tensor
    actions: Tensor
    next_observations: Tensor
    rewards: Tensor
    ends: Tensor
    episodes: Tensor
    state_used: Tensor
    action_used: Tensor


class Prior(PriorRandomness):
    """Draws environments and acts in them, many at once."""

    def draw(self, environments: int, episodes: int, steps: int) -> SyntheticData:
        """Transitions of new environments."""
        world = Worlds(self, environments)
        behaviour = _Behaviour(self, world, episodes, steps)
        state = world.start(episodes)
        states, seen, acted = [state], [world.observe(state)], []
        for timestep in range(steps):
            action = behaviour.act(seen[-1], timestep)
            state = world.step(state, action)
            acted.append(action)
            states.append(state)
            seen.append(world.observe(state))
        before, after = _split_before_and_after(seen)
        taken = SyntheticSteps(
            before, torch.stack(acted, 2).flatten(1, 2), after, *_split_before_and_after(states)
        )
        rewards, ends = draw_outcomes(self, world, taken)
        return SyntheticData(
            observations=before,
            actions=taken.actions,
            next_observations=after,
            rewards=rewards,
            ends=ends,
            episodes=torch.arange(episodes, device=self._device).repeat_interleave(steps),
            state_used=world.state_used,
            action_used=world.action_used,
        )


class _Behaviour:
    """What acts: each episode uniformly at random, holding actions, wandering, or by random feedback."""

    def __init__(self, prior: PriorRandomness, world: Worlds, episodes: int, steps: int) -> None:
        count, (slots, action_slots) = len(world.discrete), prior.slots
        self._world, self._prior = world, prior
        kind = prior.number(count, episodes, low=0, high=3)
        kind = torch.where(
            prior.chance(count, 1, of=0.3), 0, kind
        )  # some environments are acted in at random only
        drawn = prior.uniform(count, episodes, steps, action_slots, low=-1.0, high=1.0)
        hold = prior.number(count, episodes, low=2, high=16)
        at = torch.arange(steps, device=prior.device)
        held = (at // hold[..., None] * hold[..., None])[..., None].expand(-1, -1, -1, action_slots)
        wandering = prior.normal(count, episodes, steps, action_slots)
        for timestep in range(1, steps):  # 0.85^2 + 0.5^2 is nearly 1: the noise keeps its size
            wandering[:, :, timestep] = (
                0.85 * wandering[:, :, timestep - 1] + 0.5 * wandering[:, :, timestep]
            )
        chosen = torch.where((kind == 1)[..., None, None], drawn.gather(2, held), drawn)
        self._open = torch.where((kind == 2)[..., None, None], wandering, chosen)
        self._feedback = (kind == 3)[..., None]
        self._gains = prior.normal(count, episodes, slots, action_slots)
        self._level = prior.normal(count, episodes, action_slots) * 0.5
        self._noise = prior.log_uniform(count, episodes, 1, low=0.02, high=1.0)

    def act(self, observation: Tensor, timestep: int) -> Tensor:
        """`(E, P, A)` for `(E, P, S)`."""
        world, open_loop = self._world, self._open[:, :, timestep]
        # Feedback reads states without their random scale and offset: gains mean the same in every world.
        scaled = (observation - world._offset[:, None]) / world._amplitude.clamp(min=1e-6)[:, None]
        reaction = (
            torch.einsum("eps,epsa->epa", scaled * world.state_used[:, None], self._gains)
            + self._level
        )
        wanted = torch.where(
            self._feedback, reaction + self._noise * self._prior.normal(*reaction.shape), open_loop
        )
        used = world.action_used[:, None]
        best = wanted.masked_fill(~used, -math.inf).argmax(2)
        one_hot = torch.nn.functional.one_hot(best, wanted.shape[2]).to(wanted.dtype)
        return torch.where(world.discrete[:, None, None], one_hot, wanted.clamp(-1.0, 1.0) * used)


def _split_before_and_after(seen: list[Tensor]) -> tuple[Tensor, Tensor]:
    """`(E, R, D)` each: what was there before and after every step, of `(E, P, D)` at T + 1 times."""
    over_time = torch.stack(seen, 2)
    return over_time[:, :, :-1].flatten(1, 2), over_time[:, :, 1:].flatten(1, 2)
