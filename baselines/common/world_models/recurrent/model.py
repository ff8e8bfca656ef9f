"""The model as planners, learners and the judge of predictions ask it: a memory a lane, branches that do not touch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from metabench import Episode

from ...planning.rows import Transitions
from ..contract import Outcome, Seen, WorldModel
from .losses import follow
from .network import AHEAD, Carried, RecurrentStateSpace, Tokens


@dataclass(frozen=True)
class LaneMemory:
    """What is known of L lanes.

    Attributes:
        state: `(L, state_dim)` deterministic.
        latent: `(L, latent size)` stochastic.
        open: `(L,)` bool: the first observation of the lane's own episode has been read.
    """

    state: Tensor
    latent: Tensor
    open: Tensor


@dataclass(frozen=True)
class Imagined:
    """Where M branches of G lanes are.

    Attributes:
        state: `(G, M, state_dim)`.
        latent: `(G, M, latent size)`.
        steps: `(G, M)` int64, since imagination began.
    """

    state: Tensor
    latent: Tensor
    steps: Tensor


class RecurrentModel(WorldModel):
    """Support, then the lane's own steps, are read in one order.

    Imagination follows the mean of the heads' means, or draws from one head a step and branch, as learners do.
    """

    def __init__(self, network: RecurrentStateSpace, *, draws: bool = False) -> None:
        """Ask a trained network; with `draws` by torch's own generator, which must be seeded."""
        self.network = network.eval().requires_grad_(False)
        self.scales, self._draws = network.scales, draws

    def begin(self, lanes: int) -> LaneMemory:
        """Zeros, as before any stream in training."""
        nothing = self.network.begin((lanes,))
        closed = torch.zeros(lanes, dtype=torch.bool, device=nothing.state.device)
        return LaneMemory(nothing.state, nothing.latent, closed)

    @torch.no_grad()
    def read_support(
        self, memory: LaneMemory, lanes: Tensor, episodes: Sequence[Episode]
    ) -> LaneMemory:
        """Read the episodes one after another, once for all of the lanes: they know nothing else yet."""
        if not sum(map(len, episodes)) or not len(lanes):
            return memory
        carried = Carried(memory.state[lanes[:1]], memory.latent[lanes[:1]])
        for episode in episodes:
            if len(episode):
                carried = self._read(carried, self._tokenise(episode))
        state, latent, opened = memory.state.clone(), memory.latent.clone(), memory.open.clone()
        state[lanes], latent[lanes], opened[lanes] = carried.state, carried.latent, False
        return LaneMemory(state, latent, opened)

    def _tokenise(self, episode: Episode) -> Tokens:
        """`(1, T + 1)` of an episode of T steps."""
        rows = Transitions.from_episodes([episode], self.network.spaces)
        actions, rewards = torch.from_numpy(rows.actions), torch.from_numpy(rows.rewards)
        count = len(episode) + 1
        first = torch.arange(count) == 0
        observations = torch.as_tensor(episode.observations)
        return Tokens(
            observations[None],
            torch.cat([torch.zeros_like(observations[:1]), observations.diff(dim=0)])[None],
            torch.cat([torch.zeros_like(actions[:1]), actions])[None],
            torch.cat([torch.zeros_like(rewards[:1]), rewards])[None],
            first[None],
            torch.zeros(1, count),
        )

    def _read(self, carried: Carried, tokens: Tokens) -> Carried:
        """Take in `(B, T)` tokens."""
        return follow(self.network, tokens, carried, draw=False).last

    def _open(self, memory: LaneMemory, observations: Tensor, where: Tensor) -> LaneMemory:
        """Read the first observations `(L, S)` of lanes' own episodes, where `(L,)` is true."""
        if not where.any():
            return memory
        lanes = len(observations)
        tokens = Tokens(
            observations[:, None],
            torch.zeros_like(observations)[:, None],
            observations.new_zeros(lanes, 1, self.network.spaces.action_dim),
            observations.new_zeros(lanes, 1),
            torch.ones(lanes, 1, dtype=torch.bool),
            observations.new_zeros(lanes, 1),
        )
        read = self._read(Carried(memory.state, memory.latent), tokens)
        return LaneMemory(
            torch.where(where[:, None], read.state, memory.state),
            torch.where(where[:, None], read.latent, memory.latent),
            memory.open | where,
        )

    @torch.no_grad()
    def take_in(self, memory: LaneMemory, seen: Seen) -> LaneMemory:
        """Read where the step led to; before a lane's first step, where it began."""
        memory = self._open(memory, seen.observations, seen.there & ~memory.open)
        tokens = Tokens(
            seen.next_observations[:, None],
            (seen.next_observations - seen.observations)[:, None],
            seen.actions[:, None],
            seen.rewards[:, None],
            torch.zeros(len(seen.rewards), 1, dtype=torch.bool),
            seen.rewards.new_zeros(len(seen.rewards), 1),
        )
        read = self._read(Carried(memory.state, memory.latent), tokens)
        there = seen.there[:, None]
        return LaneMemory(
            torch.where(there, read.state, memory.state),
            torch.where(there, read.latent, memory.latent),
            memory.open,
        )

    @torch.no_grad()
    def imagine_from(
        self, memory: LaneMemory, observations: Tensor, draws: Tensor | None = None
    ) -> Imagined:
        """Begin in the lanes' states; one that has made no step reads where it is. One state is all that there is."""
        del draws
        memory = self._open(memory, observations, ~memory.open)
        steps = torch.zeros(1, len(observations), dtype=torch.int64)
        return Imagined(memory.state[None], memory.latent[None], steps)

    @torch.no_grad()
    def __call__(self, state: Imagined, actions: Tensor) -> Outcome:
        """What is told of each head's mean state, averaged, or of the state that is drawn.

        For the disagreement the reward is one more coordinate, in deviations of rewards.
        """
        network, shape, latents = self.network, state.steps.shape, self.network.latents
        outcomes_shape = (*shape, network.spaces.observation_dim + 1)
        before = Carried(state.state.flatten(0, 1), state.latent.flatten(0, 1))
        going = torch.zeros(len(before.state), dtype=torch.bool, device=before.state.device)
        carried = network.carry(before, actions.flatten(0, 1), going)
        said = network.foresee(carried)  # (heads, B, statistics)
        foreseen = latents.average(said)
        told = network.tell(carried.expand(len(foreseen), -1, -1), foreseen)
        outcomes = _join(*network.measure_told(told))  # (heads, B, S + 1)
        middle = outcomes.mean(0)
        spread = (outcomes - middle).square().mean(0)
        chance, latent = told.ends.sigmoid().mean(0), foreseen.mean(0)
        if self._draws:
            who = torch.randint(len(said), (len(carried),), device=said.device)
            latent = latents.sample(said[who, torch.arange(len(carried), device=said.device)])
            drawn = network.tell(carried, latent)
            middle = _join(*network.measure_told(drawn))
            chance = drawn.ends.sigmoid()
        units = self.scales.units.square()
        missed = network.get_buffer("missed")[state.steps.flatten().clamp(max=AHEAD - 1)]
        deviations = (spread + missed * units).sqrt().view(outcomes_shape)
        outcome = middle.view(outcomes_shape)
        return Outcome(
            next_observations=outcome[..., :-1],
            deviations=deviations[..., :-1],
            rewards=outcome[..., -1],
            reward_deviations=deviations[..., -1],
            ends=(chance * self.scales.get_buffer("ends")).view(shape),
            state=Imagined(
                carried.view(state.state.shape), latent.view(state.latent.shape), state.steps + 1
            ),
            disagreement=(spread / units).mean(-1).sqrt().view(shape),
        )

    def parameter_count(self) -> int:
        """All."""
        return self.network.parameter_count()


def _join(observations: Tensor, rewards: Tensor) -> Tensor:
    return torch.cat([observations, rewards[..., None]], -1)
