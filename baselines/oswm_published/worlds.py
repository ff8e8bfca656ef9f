"""What moves in the published prior: random networks, and pairs of position and velocity."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

WIDTH = 16
"""Units of a random network's layers."""

TIMESTEP, FASTEST = 0.01, 7.0
"""Seconds of a step; the largest speed."""

FIRST_SPEED = 3.0
"""Episodes begin with speeds up to this."""

SIN, COS, LEFT_RIGHT, UP_DOWN, RADIANS = range(5)
"""Kinds of pairs: three angles, two places."""


class PublishedRandomness:
    """Shaped random numbers of one generator."""

    def __init__(self, generator: torch.Generator) -> None:
        """Draw from `generator`."""
        self._generator = generator

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Numbers from `low` to `high`."""
        return low + (high - low) * torch.rand(*shape, generator=self._generator)

    def number(self, low: int, high: Tensor | int, *shape: int) -> Tensor:
        """Whole numbers from `low` to `high`, both included; `high` may differ from one to the next."""
        most = torch.as_tensor(high) - low
        drawn = (self.uniform(*shape) * (most + 1)).long()
        return low + torch.minimum(drawn, most)  # the product may have been rounded up

    def flag(self, *shape: int) -> Tensor:
        """True or false, equally often."""
        return self.uniform(*shape) < 0.5


class RandomNetworks:
    """As many networks in each of E environments as there are outputs: one hidden layer of 16 units, no biases.

    A linear path leads past the sines and hyperbolic tangents, so that outputs are not bounded.
    """

    def __init__(self, draws: PublishedRandomness, slots: int, used: Tensor, outputs: int) -> None:
        """Draw weights as PyTorch initialises linear layers.

        Args:
            draws: the randomness.
            slots: input slots.
            used: `(E,)` how many of them the environment uses; the others must be 0.
            outputs: networks in each environment.
        """
        count, inner = len(used), 1.0 / math.sqrt(WIDTH)
        self._outputs = outputs
        reach = used.rsqrt()[:, None, None]
        self._inward = reach * draws.uniform(count, slots, outputs * WIDTH, low=-1.0)
        self._hidden = draws.uniform(count, outputs, WIDTH, WIDTH, low=-inner, high=inner)
        self._outward = draws.uniform(count, 1, outputs, WIDTH, low=-inner, high=inner)
        self._first, self._second = draws.flag(2, count, 1, outputs, 1)

    def __call__(self, values: Tensor) -> Tensor:
        """`(E, N, outputs)` of `(E, N, slots)`."""
        linear = (values @ self._inward).view(*values.shape[:2], self._outputs, WIDTH)
        hidden = torch.where(self._first, linear.sin(), linear.tanh()) + linear
        mixed = functional.layer_norm(
            torch.einsum("enoi,eoij->enoj", hidden, self._hidden), (WIDTH,)
        )
        hidden = torch.where(self._second, mixed.sin(), mixed.tanh()) + linear
        return (hidden * self._outward).sum(3)


class MomentumPairs:
    """Pairs of position and velocity, each driven by one action; how many of them count is the caller's to say.

    Two errors of the released code are its defects: an observed velocity is the negative of the true one or always 0,
    where it was to be the negative or the true one; and an angle "in radians" is shown as its cosine, where it was to
    be the angle itself; both shifted by 0 or pi.
    """

    def __init__(
        self, draws: PublishedRandomness, pairs: int, controls: Tensor, defects: bool
    ) -> None:
        """Draw `pairs` pairs in each environment; `controls`, `(E,)`, says how many of the forces are used."""
        shape = (len(controls), 1, pairs)
        self._draws, self._shape, self._defects = draws, shape, defects
        self._kind = draws.number(0, RADIANS, *shape)
        self._control = draws.number(0, controls[:, None, None] - 1, *shape)
        self._inverted = draws.flag(*shape)
        self._swinging = (self._kind != LEFT_RIGHT) & (self._kind != UP_DOWN)
        self._pulled = draws.flag(*shape) & self._swinging
        self._gravity = draws.uniform(*shape, low=5.0, high=10.0)
        self._kept = draws.uniform(*shape, low=0.9, high=1.0)
        stopped = draws.flag(*shape) & (self._kind == LEFT_RIGHT)
        self._bounce = draws.uniform(*shape, low=0.3, high=1.0).masked_fill(stopped, 0.0)
        self._shift = math.pi * draws.flag(*shape)

    def start(self, episodes: int) -> tuple[Tensor, Tensor]:
        """Positions and velocities, `(E, episodes, pairs)` each."""
        environments, _, pairs = self._shape
        drawn = self._draws.uniform(environments, episodes, pairs)
        position = torch.where(self._kind == LEFT_RIGHT, 2.0 * drawn - 1.0, drawn)
        position = torch.where(self._swinging, 2.0 * math.pi * drawn, position)
        return position, self._draws.uniform(
            environments, episodes, pairs, low=-FIRST_SPEED, high=FIRST_SPEED
        )

    def step(self, position: Tensor, velocity: Tensor, force: Tensor) -> tuple[Tensor, Tensor]:
        """Velocities first, then positions, which are clamped and bounced off where they are bounded."""
        velocity = velocity + TIMESTEP * force.gather(
            2, self._control.expand(-1, force.shape[1], -1)
        )
        swung = (velocity - 5.0 * self._gravity * position.cos() * TIMESTEP) * self._kept
        sprung = velocity - self._gravity * position * TIMESTEP
        velocity = torch.where(self._pulled, swung, velocity)
        velocity = torch.where(self._kind == UP_DOWN, sprung, velocity).clamp(-FASTEST, FASTEST)
        position = position + TIMESTEP * velocity
        lowest = torch.where(self._kind == LEFT_RIGHT, -1.0, 0.0)
        bounded = torch.where(self._swinging, position, position.maximum(lowest).clamp(max=1.0))
        return bounded, torch.where(bounded != position, -self._bounce * velocity, velocity)

    def observe(self, position: Tensor, velocity: Tensor) -> tuple[Tensor, Tensor]:
        """What is seen of positions and velocities, each of their shape."""
        shown = torch.where(self._kind == SIN, position.sin(), position)
        shown = torch.where(self._kind == COS, position.cos(), shown)
        angle = position.cos() if self._defects else position
        shown = torch.where(self._kind == RADIANS, angle + self._shift, shown)
        other = torch.zeros_like(velocity) if self._defects else velocity
        return shown, torch.where(self._inverted, -velocity, other)
