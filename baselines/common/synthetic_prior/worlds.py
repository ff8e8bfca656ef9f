"""The dynamics of synthetic environments: many at once, each with its own physics, and each many times over."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .draws import PriorRandomness

HIDDEN = 24
"""Width of the random networks."""

GRID, DISCRETE, WALLED, NOISY = 0.06, 0.3, 0.4, 0.3
"""Shares of environments: on a grid, with discrete actions, with walls, with observation noise."""


class Worlds:
    """The dynamics of E environments on `(E, P, L)` hidden states: L = S, pairs of position and velocity first."""

    def __init__(self, prior: PriorRandomness, count: int) -> None:
        """Draw `count` environments."""
        slots, action_slots = prior.slots
        index = torch.arange(slots, device=prior.device)
        # Few dimensions are as likely as many: the worlds of interest have 2 to 20.
        total = prior.log_uniform(count, low=1.0, high=slots + 0.99).long().clamp(1, slots)
        pairs = prior.number(count, low=0, high=total // 2)
        self.grid = prior.chance(count, of=GRID)
        pairs = torch.where(self.grid, 0, pairs)
        paired = index < 2 * pairs[:, None]
        self.position, self.velocity = paired & (index % 2 == 0), paired & (index % 2 == 1)
        present = index < total[:, None]
        self.present, self.first = present, present & ~paired
        # Position and velocity of a pair lie side by side, so that `roll` finds a slot's partner.
        # An angle is shown as two numbers, as long as there are slots for them.
        self.angle = self.position & prior.chance(count, slots, of=0.4)
        self.angle &= (total[:, None] + self.angle.cumsum(1)) <= slots
        self._choose_slots(prior, present)
        self.discrete = prior.chance(count, of=DISCRETE) | self.grid
        choices = prior.number(count, low=1, high=action_slots)
        choices = torch.where(self.discrete, choices.clamp(min=2), choices)
        self.action_used = torch.arange(action_slots, device=prior.device) < choices[:, None]
        self._draw_forces(prior, count)

    def _choose_slots(self, prior: PriorRandomness, present: Tensor) -> None:
        """What is observed: every dimension (angles as cosines) and the sines of angles, in a random order."""
        count, slots = present.shape
        shown = torch.cat([present, self.angle], 1)
        self._order = (shown.float() + prior.uniform(count, 2 * slots)).argsort(1, descending=True)[
            :, :slots
        ]
        self.state_used = shown.gather(1, self._order)
        self._amplitude = prior.log_uniform(count, slots, low=0.1, high=10.0) * self.state_used
        self._offset = prior.normal(count, slots) * self._amplitude * prior.chance(count, 1, of=0.5)
        self._noise = (
            self._amplitude
            * prior.chance(count, 1, of=NOISY)
            * prior.log_uniform(count, 1, low=1e-3, high=0.05)
        )
        self._prior = prior

    def _draw_forces(self, prior: PriorRandomness, count: int) -> None:
        slots, action_slots = prior.slots
        moved = self.velocity | self.first
        controlled = moved & prior.chance(count, slots, of=0.7)
        # The action always does something: where chance left nothing controlled, all that moves is.
        controlled |= moved & ~controlled.any(1, keepdim=True)
        directions = prior.normal(count, slots, action_slots) * prior.chance(
            count, slots, action_slots, of=0.6
        )
        directions = directions / directions.norm(dim=2, keepdim=True).clamp(min=1e-6)
        gain = prior.log_uniform(count, slots, 1, low=0.5, high=5.0)
        self._force = directions * gain * controlled[:, :, None] * self.action_used[:, None]
        # On a grid each axis is moved by one of the actions, by one field.
        moves = torch.where(
            directions.abs() == directions.abs().amax(1, keepdim=True), directions.sign(), 0.0
        )
        self._force = torch.where(
            self.grid[:, None, None], moves * self.first[:, :, None], self._force
        )
        # Divided by the root of what it reads, so that the network is as strong in worlds of many dimensions.
        fan = (self.position | moved).sum(1).float()[:, None, None]
        self._inward = prior.normal(count, slots, HIDDEN) * 1.5 / fan.sqrt()
        self._action_inward = prior.normal(count, action_slots, HIDDEN) * 0.5
        self._bias = prior.normal(count, 1, HIDDEN)
        outward = prior.normal(count, HIDDEN, slots) / math.sqrt(HIDDEN)
        still = prior.chance(count, slots, of=0.3) | self.grid[:, None]
        strength = prior.log_uniform(count, slots, low=0.1, high=3.0) * moved * ~still
        self._outward = outward * strength[:, None]
        self._spring = prior.log_uniform(count, slots, low=0.1, high=10.0) * prior.chance(
            count, slots, of=0.3
        )
        self._gravity = prior.log_uniform(count, slots, low=0.5, high=15.0) * prior.chance(
            count, slots, of=0.7
        )
        sign = torch.where(prior.chance(count, slots, of=0.5), 1.0, -1.0)
        self._gravity = self._gravity * sign
        self._damping = prior.log_uniform(count, slots, low=0.02, high=3.0) * prior.chance(
            count, slots, of=0.6
        )
        second = prior.log_uniform(count, 1, low=0.015, high=0.4)
        self._seconds = torch.where(self.grid[:, None], 1.0, second)[:, None]
        self._walled = prior.chance(count, of=WALLED)[:, None, None] | self.grid[:, None, None]
        self._limit = prior.log_uniform(count, 1, slots, low=0.5, high=4.0)
        self._limit = torch.where(
            self.grid[:, None, None], (2 * self._limit).round().clamp(min=2.0), self._limit
        )
        self._bounce = prior.uniform(count, 1, slots) * prior.chance(count, 1, 1, of=0.5)
        self._mean = prior.normal(count, 1, slots) * prior.chance(count, 1, 1, of=0.5)
        self._spread = prior.log_uniform(count, 1, slots, low=0.02, high=2.0)

    def start(self, episodes: int) -> Tensor:
        """`(E, P, L)` first states."""
        count, slots = self.state_used.shape
        state = self._mean + self._spread * self._prior.normal(count, episodes, slots)
        state = torch.where(self.angle[:, None] & (self._spread > 1.0), state * math.pi, state)
        state = torch.where(self.grid[:, None, None], state.round(), state)
        return (
            self._clamp_to_walls(state)[0] * (self.position | self.velocity | self.first)[:, None]
        )

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        """`(E, P, L)` states after `(E, P, A)` actions."""
        position, velocity = self.position[:, None], self.velocity[:, None]  # (E, 1, L)
        inward = torch.where(self.angle[:, None], state.sin(), state.clamp(-5, 5))
        hidden = torch.tanh(inward @ self._inward + action @ self._action_inward + self._bias)
        rate = hidden @ self._outward + action @ self._force.transpose(1, 2)
        partner = state.roll(1, 2)  # of a velocity: its position
        pull = torch.where(
            self.angle.roll(1, 1)[:, None], self._gravity[:, None] * partner.sin(), 0.0
        )
        pull = torch.where(velocity, pull - self._spring[:, None] * partner, 0.0)
        rate = (
            rate + pull - self._damping[:, None] * torch.where(self.grid[:, None, None], 0.0, state)
        )
        moved = torch.where(position, state, (state + self._seconds * rate).clamp(-8, 8))
        # Velocities first, then positions with the new ones.
        moved = torch.where(position, state + self._seconds * moved.roll(-1, 2), moved)
        moved = torch.where(self.grid[:, None, None], moved.round(), moved)
        moved, hit = self._clamp_to_walls(moved)
        # What hits a wall comes back with a share of its speed; `roll` carries the hit from position to velocity.
        bounced = torch.where(hit.roll(1, 2) & velocity, -self._bounce * moved, moved)
        return bounced * (self.position | self.velocity | self.first)[:, None]

    def observe(self, state: Tensor) -> Tensor:
        """`(E, P, S)`."""
        angle = self.angle[:, None]
        shown = torch.cat(
            [torch.where(angle, state.cos(), state), torch.where(angle, state.sin(), 0.0)], 2
        )
        order = self._order[:, None].expand(-1, shown.shape[1], -1)
        noise = self._noise[:, None] * self._prior.normal(*order.shape)
        return (
            shown.gather(2, order) * self._amplitude[:, None] + self._offset[:, None] + noise
        ) * self.state_used[:, None]

    def _clamp_to_walls(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """States within the walls, and where they have been hit; only positions and first-order dimensions have any."""
        bounded = self._walled & ((self.position & ~self.angle) | self.first)[:, None]
        inside = torch.where(bounded, state.clamp(-self._limit, self._limit), state)
        return inside, inside != state
