"""The MDN-RNN as a world model: its hidden state has read the support, and then the lane's own steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from metabench import Episode

from ...planning.rows import Transitions
from ..contract import Outcome, Seen, WorldModel
from .networks import MdnRnn, Mixture, Recurrent


@dataclass(frozen=True)
class DreamState:
    """Where M branches of G lanes are.

    Attributes:
        observations: `(G, M, S)`.
        recurrent: `(G, M, ...)`.
        variance: `(G, M, S)` of the steps so far.
    """

    observations: Tensor
    recurrent: Recurrent
    variance: Tensor


class MdnRnnModel(WorldModel):
    """Follows the means of the mixtures; `draw_step` draws from them."""

    def __init__(self, network: MdnRnn) -> None:
        """Ask a trained network."""
        self.network = network.eval().requires_grad_(False)
        self.scales = network.scales

    def begin(self, lanes: int) -> Recurrent:
        """Nothing was read."""
        return self.network.begin(lanes)

    def read_support(
        self, memory: Recurrent, lanes: Tensor, episodes: Sequence[Episode]
    ) -> Recurrent:
        """Read parts of the episodes one after another, as in training, whatever the lanes have read before."""
        parts = self._cut_support(episodes)
        if not parts:
            return memory
        read = self.network.begin(1)
        for part in parts:
            read = self._read_part(read, part)
        fields = {name: value.clone() for name, value in vars(memory).items()}
        for name, value in vars(read).items():
            fields[name][lanes] = value
        return Recurrent(**fields)

    def _cut_support(self, episodes: Sequence[Episode]) -> list[Transitions]:
        """All episodes where they are not too long; else segments, spread evenly over them."""
        config, spaces = self.network.config, self.network.spaces
        episodes = [episode for episode in episodes if len(episode)]
        rows = [Transitions.from_episodes([episode], spaces) for episode in episodes]
        if sum(map(len, rows)) <= config.support_steps:
            return rows
        size = config.segment
        segments = [
            part.select(np.arange(first, min(first + size, len(part))))
            for part in rows
            for first in range(0, len(part), size)
        ]
        count = config.support_steps // size
        if not count:
            return []
        places = np.linspace(0, len(segments) - 1, min(count, len(segments))).round()
        return [segments[place] for place in np.unique(places.astype(np.int64))]

    @torch.no_grad()
    def _read_part(self, state: Recurrent, part: Transitions) -> Recurrent:
        """Steps that follow each other, read by one sequence."""
        network = self.network
        rewards = network.scale_reward(torch.as_tensor(part.rewards))[:, None]
        fresh = torch.zeros_like(rewards)
        fresh[0] = 1.0
        hidden, cell = network.read(
            torch.as_tensor(part.observations)[:, None],
            torch.as_tensor(part.actions)[:, None],
            torch.cat([state.reward[None], rewards[:-1]]),
            fresh,
            state,
        )
        return Recurrent(hidden[-1], cell, rewards[-1], torch.ones_like(state.fresh))

    @torch.no_grad()
    def take_in(self, memory: Recurrent, seen: Seen) -> Recurrent:
        """Read one step."""
        read = self.network.step(memory, seen.observations, seen.actions)
        read = replace(read, reward=self.network.scale_reward(seen.rewards))
        there = seen.there[:, None]
        return Recurrent(
            **{
                name: torch.where(there, value, getattr(memory, name))
                for name, value in vars(read).items()
            }
        )

    def imagine_from(
        self, memory: Recurrent, observations: Tensor, draws: Tensor | None = None
    ) -> DreamState:
        """Dreams begin where the lanes are; nothing is drawn, as there is one memory."""
        del draws
        recurrent = Recurrent(*(each[None] for each in vars(memory).values()))
        return DreamState(observations[None], recurrent, torch.zeros_like(observations)[None])

    @torch.no_grad()
    def __call__(self, state: DreamState, actions: Tensor) -> Outcome:
        """One step to the means of the mixtures; deviations are those of the whole mixtures."""
        read, mixture, ends = self._ask(state, actions)
        size = state.observations.shape[-1]
        after, rewards = self.scales.reach_outcome(state.observations, mixture.find_mean())
        variance = mixture.find_variance() * self.scales.units.square()
        total = state.variance + variance[..., :size]
        read = replace(read, reward=self.network.scale_reward(rewards))
        return Outcome(
            next_observations=after,
            deviations=total.sqrt(),
            rewards=rewards,
            reward_deviations=variance[..., size].sqrt(),
            ends=ends,
            state=DreamState(after, read, total),
            disagreement=torch.zeros_like(rewards),
        )

    @torch.no_grad()
    def draw_step(
        self, state: DreamState, actions: Tensor, temperature: float
    ) -> tuple[DreamState, Tensor, Tensor]:
        """A step that is drawn by torch's own generator, the same numbers in every one of the G rows.

        Returns:
            Where it leads, the rewards `(G, M)`, and the chance `(G, M)` that it ends the episode.
        """
        read, mixture, ends = self._ask(state, actions)
        shape = mixture.means.shape[1:]
        choosing = -torch.empty(shape, device=actions.device).exponential_().log()
        noise = torch.randn(shape[:-1], device=actions.device)
        drawn = mixture.draw(temperature, choosing, noise)
        after, rewards = self.scales.reach_outcome(state.observations, drawn)
        read = replace(read, reward=self.network.scale_reward(rewards))
        return DreamState(after, read, state.variance), rewards, ends

    def _ask(self, state: DreamState, actions: Tensor) -> tuple[Recurrent, Mixture, Tensor]:
        read = self.network.step(state.recurrent, state.observations, actions)
        mixture, ends = self.network.say(read.hidden)
        return read, mixture, ends.sigmoid() * self.scales.get_buffer("ends")

    def parameter_count(self) -> int:
        """Of the LSTM and its head."""
        return sum(each.numel() for each in self.network.parameters())
