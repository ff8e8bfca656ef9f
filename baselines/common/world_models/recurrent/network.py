"""The networks: what reads, what carries, what foresees and what tells."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from metabench import Spaces

from ...actor_critic.networks import TwinLinear
from ..scales import ModelScales
from .config import RecurrentConfig
from .latents import make_latents
from .symlog import average_bins, make_bins, symexp, symlog

AHEAD = 15
"""Imagined steps of which it is measured how far off they are; later ones are taken to be as far off as the last."""


@dataclass(frozen=True)
class Tokens:
    """What is seen at a step, of any leading shape: the observation, and what led to it.

    Attributes:
        observations: `(..., S)`.
        changes: `(..., S)` since the observation before; 0 at an episode's start.
        actions: `(..., A)` features of the action before; 0 at an episode's start.
        rewards: `(...)` of the action before; 0 at an episode's start.
        first: `(...)` bool: an episode begins.
        ends: `(...)` floats: 1 where the task ended the episode here. Known in training alone.
    """

    observations: Tensor
    changes: Tensor
    actions: Tensor
    rewards: Tensor
    first: Tensor
    ends: Tensor


@dataclass(frozen=True)
class Carried:
    """The model's state.

    Attributes:
        state: `(..., state_dim)` deterministic.
        latent: `(..., latent size)` stochastic.
    """

    state: Tensor
    latent: Tensor


@dataclass(frozen=True)
class Told:
    """What the decoder says.

    Attributes:
        observations: `(..., S)` scaled, of symmetric logarithms if so configured.
        rewards: `(..., 1)` scaled, or `(..., bins)` logits.
        ends: `(...)` logits.
    """

    observations: Tensor
    rewards: Tensor
    ends: Tensor


class RecurrentStateSpace(nn.Module):
    """A GRU that carries the task, and a stochastic state that is inferred from each step and foreseen by K heads."""

    def __init__(self, spaces: Spaces, config: RecurrentConfig) -> None:
        """Make the networks."""
        super().__init__()
        self.spaces, self.config, self.latents = spaces, config, make_latents(config)
        size, actions = spaces.observation_dim, spaces.action_dim
        latent, width, heads = self.latents.size, config.width, config.prior_heads
        self.scales = ModelScales(spaces)
        seen = 2 * size + actions + 2 + (size + 1) * actions
        state = config.state_dim
        self.encoder = nn.Sequential(ProductBlock(seen, width), *make_block(width, width))
        self.inputs = ProductBlock(state + latent + actions + 1, width)
        self.cell = nn.GRUCell(width, config.state_dim)
        keep_at_first(self.cell.bias_ih, self.cell.bias_hh, config.longest_kept)
        self.posterior = nn.Sequential(
            *make_block(state + width, width), nn.Linear(width, self.latents.statistics)
        )
        self.prior_first = TwinLinear(heads, state, config.head_width)
        self.prior_last = TwinLinear(heads, config.head_width, self.latents.statistics)
        told = size + 1 + (config.bins if config.two_hot else 1)
        self.decoder = nn.Sequential(*make_block(state + latent, width), nn.Linear(width, told))
        self.register_buffer("bins", make_bins(config.bins))
        self.register_buffer("missed", torch.zeros(AHEAD, size + 1))

    def begin(self, shape: tuple[int, ...]) -> Carried:
        """Nothing is known."""
        like = self.scales.get_buffer("mean")
        state = like.new_zeros(*shape, self.config.state_dim)
        return Carried(state, like.new_zeros(*shape, self.latents.size))

    def embed(self, tokens: Tokens) -> Tensor:
        """`(..., width)` of what is seen; rewards and what is no number are read as scaled, and clipped."""
        seen = self.scale(tokens.observations)
        first = tokens.first.to(seen.dtype)
        outcome = torch.cat(
            [
                self.scales.scale_changes(tokens.changes),
                self.scale_rewards(tokens.rewards)[..., None],
            ],
            -1,
        )
        # Which way an action turns is a product of it and of what it led to; networks are slow to find products.
        turned = (outcome[..., None] * tokens.actions[..., None, :]).flatten(-2)
        led = torch.cat([outcome, tokens.actions, turned], -1) * (1.0 - first)[..., None]
        embedded: Tensor = self.encoder(torch.cat([seen, led, first[..., None]], -1))
        return embedded

    def scale(self, observations: Tensor) -> Tensor:
        """As networks read and tell observations."""
        scaled = self.scales.scale(observations)
        return symlog(scaled) if self.config.symlog else scaled

    def scale_rewards(self, rewards: Tensor) -> Tensor:
        """Of mean 0 and deviation 1 in the data."""
        return self.scales.scale_rewards(rewards)

    def carry(self, before: Carried, actions: Tensor, first: Tensor) -> Tensor:
        """The deterministic state after an action, `(B, state_dim)`; `(B,)` first: an episode has begun instead."""
        flags = first.to(actions.dtype)[:, None]
        shown = actions * (1.0 - flags)
        hidden = self.inputs(torch.cat([before.state, before.latent, shown, flags], 1))
        carried: Tensor = self.cell(hidden, before.state)
        return carried

    def infer(self, state: Tensor, embedded: Tensor) -> Tensor:
        """What is said of the stochastic state by one who sees, `(..., statistics)`."""
        said: Tensor = self.posterior(torch.cat([state, embedded], -1))
        return said

    def foresee(self, states: Tensor) -> Tensor:
        """What each head says of it, `(heads, B, statistics)`, of `(B, state_dim)`."""
        hidden = functional.silu(self.prior_first(states.expand(self.config.prior_heads, -1, -1)))
        said: Tensor = self.prior_last(hidden)
        return said

    def tell(self, state: Tensor, latent: Tensor) -> Told:
        """What a state looks like."""
        size = self.spaces.observation_dim
        told = self.decoder(torch.cat([state, latent], -1))
        return Told(told[..., :size], told[..., size + 1 :], told[..., size])

    def read_rewards(self, told: Told) -> Tensor:
        """Scaled rewards `(...)` that are told."""
        if self.config.two_hot:
            return average_bins(told.rewards, self.get_buffer("bins"))
        return told.rewards[..., 0]

    def measure_told(self, told: Told) -> tuple[Tensor, Tensor]:
        """Observations `(..., S)` and rewards `(...)` in their own units, kept within bounds."""
        scaled = symexp(told.observations) if self.config.symlog else told.observations
        return self.scales.place(scaled, self.read_rewards(told))

    def parameter_count(self) -> int:
        """Trained parameters."""
        return sum(each.numel() for each in self.parameters())


@torch.no_grad()
def keep_at_first(inputs: Tensor, recurrent: Tensor, longest: float) -> None:
    """Set biases of a GRU's gates: each unit keeps what it holds for 1 to `longest` steps (Tallec and Ollivier 2018).

    Else nothing is kept for longer than a few steps, and what decides the task is seen seldom.
    """
    units = len(inputs) // 3
    kept = torch.empty(units).uniform_(1.0, max(2.0, longest - 1.0))
    inputs[units : 2 * units] = kept.log()
    recurrent[units : 2 * units] = 0.0


class ProductBlock(nn.Module):
    """A layer of products: which way an action turns is a product of the action and what it led to before."""

    def __init__(self, inputs: int, outputs: int) -> None:
        """Make it."""
        super().__init__()
        self.both = nn.Linear(inputs, 2 * outputs)
        self.norm = nn.LayerNorm(outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """`(..., outputs)` of `(..., inputs)`."""
        hidden, gate = self.both(inputs).chunk(2, -1)
        product: Tensor = functional.silu(self.norm(hidden)) * gate
        return product


def make_block(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    """A layer as DreamerV3 has them."""
    return nn.Linear(inputs, outputs), nn.LayerNorm(outputs), nn.SiLU()
