"""The published prior: dimensions driven by random networks, and pairs of position and velocity ("momentum").

Written from facts of the paper (Ferreira et al. 2024, arXiv 2409.14084) and its released code. All environments and all
their episodes are stepped at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .worlds import MomentumPairs, PublishedRandomness, RandomNetworks

EPISODE = 51
"""Steps of an episode."""

FEWEST_STATES = 3
"""An environment has this many observation dimensions to as many as there are slots."""

LARGEST_FORCE, SMALLEST_BOX, LARGEST_BOX = 3.0, 0.5, 3.0
"""Discrete actions stand for forces up to the first; continuous ones lie in a box of a size between the others."""

STATE_SCALE, STATE_OFFSET = 18.147661409701062, 3.2802608490289904
"""How widely the first states of network dimensions spread, and how far they are shifted."""

UNUSED, NETWORK, POSITION, VELOCITY = range(4)
"""Kinds of state slots."""


@dataclass(frozen=True)
class PublishedData:
    """Transitions of E environments as the published model reads them, N rows in a random order that all share.

    Attributes:
        inputs: `(E, N, S + A)`: state slots, then action slots, each in an order of the environment's own; a discrete
            action is its index, in one slot; unused slots are 0.
        outputs: `(E, N, S + A)`: next-state slots in the same order, zeros, and last the reward.
        kinds: `(E, S)` what each state slot is: `UNUSED`, `NETWORK`, `POSITION` or `VELOCITY`.
    """

    inputs: Tensor
    outputs: Tensor
    kinds: Tensor

    def to(self, device: str) -> PublishedData:
        """The same on another device."""
        return PublishedData(self.inputs.to(device), self.outputs.to(device), self.kinds.to(device))


@dataclass(frozen=True)
class _Actions:
    """Uniformly random actions of P episodes of T steps.

    Attributes:
        tokens: `(E, P, T, A)` what the model reads.
        forces: `(E, P, T, A)` what drives the dynamics.
        dims: `(E,)` how many of the slots are used.
    """

    tokens: Tensor
    forces: Tensor
    dims: Tensor


class PublishedPrior:
    """Draws environments; everything comes from the generator that is passed in."""

    def __init__(
        self,
        generator: torch.Generator,
        state_slots: int = 11,
        action_slots: int = 3,
        defects: bool = True,
        momentum: bool = True,
    ) -> None:
        """Describe the environments.

        Args:
            generator: the only randomness, on the CPU.
            state_slots: S, the most observation dimensions, at least 3.
            action_slots: A, the most action dimensions.
            defects: keep two errors of the released code (`MomentumPairs`).
            momentum: false leaves the networks only, and other actions: the prior of the paper's ablation.
        """
        self._draws = PublishedRandomness(generator)
        self._states, self._slots = state_slots, action_slots
        self._defects, self._momentum = defects, momentum

    def draw(self, environments: int, rows: int) -> PublishedData:
        """`rows` transitions of each of `environments` new environments, acted in uniformly at random."""
        draws, index = self._draws, torch.arange(self._states)
        episodes = -(-rows // EPISODE)
        dims = draws.number(FEWEST_STATES, self._states, environments)
        pairs = (
            draws.number(0, dims // 2, environments) if self._momentum else torch.zeros_like(dims)
        )
        networks = (dims - 2 * pairs)[:, None]
        kinds = torch.where((index - networks) % 2 == 0, POSITION, VELOCITY)
        kinds = torch.where(index < networks, NETWORK, kinds).masked_fill(
            index >= dims[:, None], UNUSED
        )
        actions = self._draw_actions(environments, episodes)
        states = self._simulate_episodes(actions, kinds, networks, dims)
        before, after = states[:, :, :-1].flatten(1, 2), states[:, :, 1:].flatten(1, 2)
        reward = RandomNetworks(draws, 2 * self._states + self._slots, 2 * dims + actions.dims, 1)
        earned = reward(torch.cat([before, after, actions.forces.flatten(1, 2)], 2))[..., 0]
        earned = torch.where(draws.flag(environments, 1), 1.0, earned)
        return self._shuffle(before, actions.tokens.flatten(1, 2), after, earned, kinds, rows)

    def _simulate_episodes(
        self, actions: _Actions, kinds: Tensor, networks: Tensor, dims: Tensor
    ) -> Tensor:
        """Observed states, `(E, P, T + 1, S)`, network slots first; they are also what the networks read."""
        environments, episodes = actions.forces.shape[:2]
        network, used = (kinds == NETWORK)[:, None], (kinds != UNUSED)[:, None]
        # slot `networks + 2 i` is the position of pair i, the one after it its velocity
        place = (torch.arange(self._states) - networks).clamp(0, 2 * (self._states // 2) - 1)
        place = place[:, None].expand(-1, episodes, -1)
        world = MomentumPairs(self._draws, self._states // 2, actions.dims, self._defects)
        transition = RandomNetworks(
            self._draws, self._states + self._slots, dims + actions.dims, self._states
        )
        state = self._draw_first_states(environments, episodes)
        position, velocity = world.start(episodes)
        observed: list[Tensor] = []
        for timestep in range(EPISODE + 1):
            if timestep:
                force = actions.forces[:, :, timestep - 1]
                state = transition(torch.cat([observed[-1], force], 2))
                position, velocity = world.step(position, velocity, force)
            pairs = torch.stack(world.observe(position, velocity), 3).flatten(2)
            observed.append(torch.where(network, state, pairs.gather(2, place)) * used)
        return torch.stack(observed, 2)

    def _draw_first_states(self, environments: int, episodes: int) -> Tensor:
        draws = self._draws
        scale = STATE_SCALE * draws.uniform(environments, 1, self._states)
        offset = STATE_OFFSET * (draws.uniform(environments, 1, 1) - 0.5)
        return (draws.uniform(environments, episodes, self._states) - offset) * scale

    def _draw_actions(self, environments: int, episodes: int) -> _Actions:
        """One discrete action, or a symmetric box, each in half of the environments."""
        draws, index = self._draws, torch.arange(self._slots)
        shape = (environments, episodes, EPISODE)
        discrete = draws.flag(environments)
        choices = draws.number(2, 4, environments)[:, None, None]
        chosen = draws.number(0, choices - 1, *shape)
        dims = draws.number(1, self._slots, environments).masked_fill(discrete, 1)
        if self._momentum:
            values = draws.uniform(environments, 4, low=-LARGEST_FORCE, high=LARGEST_FORCE)
            force = values.gather(1, chosen.flatten(1)).view(shape)
            half = draws.uniform(environments, low=SMALLEST_BOX, high=LARGEST_BOX)
        else:
            shift = 0.5 * draws.number(0, 2, environments)[:, None, None]
            force = (chosen - shift) * draws.number(1, 4, environments)[:, None, None]
            half = draws.number(1, 4, environments).float()
        boxed = draws.uniform(*shape, self._slots, low=-1.0, high=1.0) * half[:, None, None, None]
        boxed = boxed * (index < dims[:, None, None, None])
        one, which = (index == 0).float(), discrete[:, None, None, None]
        tokens = torch.where(which, chosen[..., None] * one, boxed)
        return _Actions(tokens, torch.where(which, force[..., None] * one, boxed), dims)

    def _shuffle(
        self,
        before: Tensor,
        actions: Tensor,
        after: Tensor,
        rewards: Tensor,
        kinds: Tensor,
        rows: int,
    ) -> PublishedData:
        """The first `rows` rows in one order for all; slots in another order in each environment."""
        draws, environments = self._draws, len(before)
        order = draws.uniform(rows).argsort()
        slots = draws.uniform(environments, self._states).argsort(1)
        columns = draws.uniform(environments, self._slots).argsort(1)

        def take(values: Tensor, by: Tensor) -> Tensor:
            return values[:, order].gather(2, by[:, None].expand(-1, rows, -1))

        empty = torch.zeros(environments, rows, self._slots - 1)
        return PublishedData(
            torch.cat([take(before, slots), take(actions, columns)], 2),
            torch.cat([take(after, slots), empty, rewards[:, order, None]], 2),
            kinds.gather(1, slots),
        )
