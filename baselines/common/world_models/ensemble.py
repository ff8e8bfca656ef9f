"""The ensemble: probabilistic networks of what a step leads to, told a code of the task where they have an encoder."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from metabench import Episode, Spaces

from ..planning.rows import Transitions
from .config import ContextEnsembleConfig, EnsembleConfig
from .contract import Outcome, Seen, TellingModel
from .networks import MemberNetworks, Said, WindowEncoder, average_codes
from .scales import ModelScales

FIRST_CODES = 0.5
"""Deviation of the learned codes before training."""


class Ensemble(nn.Module):
    """All that is trained and saved: scales, members, the encoder, and who the elites are."""

    def __init__(self, spaces: Spaces, config: EnsembleConfig) -> None:
        """Make the networks."""
        super().__init__()
        self.spaces, self.config = spaces, config
        size, actions = spaces.observation_dim, spaces.action_dim
        context = config if isinstance(config, ContextEnsembleConfig) else None
        self.code_dim = 0 if context is None else context.code_dim
        self.scales = ModelScales(spaces)
        self.members = MemberNetworks(size, self.code_dim, actions, size + 1, config)
        self.encoder: WindowEncoder | None = None
        self.backward_members: MemberNetworks | None = None
        if context is not None:
            features = 2 * size + actions + 1
            self.encoder = WindowEncoder(
                features, context.window, context.encoder_widths, context.code_dim
            )
            if context.backward_weight:
                self.backward_members = MemberNetworks(size, self.code_dim, actions, size, config)
        self.register_buffer("elites", torch.arange(config.elites))
        self.register_buffer("missed", torch.zeros(size + 1))
        self.task_codes = nn.Parameter(torch.zeros(1, self.code_dim))

    def set_tasks(self, tasks: int) -> None:
        """Draw codes of so many training tasks, to begin with: of codes that are all alike nothing would be learned."""
        codes = torch.randn(tasks, self.code_dim) * FIRST_CODES
        self.task_codes = nn.Parameter(codes.to(self.task_codes.device))

    def describe_steps(self, seen: Seen | Transitions) -> Tensor:
        """`(..., features)` of steps, as the encoder reads them."""
        before, actions, after, rewards = (
            torch.as_tensor(each)
            for each in (seen.observations, seen.actions, seen.next_observations, seen.rewards)
        )
        outcome = self.scales.scale_outcome(before, after, rewards)
        return torch.cat([self.scales.scale(before), actions, outcome], -1)

    def encode(self, steps: Tensor, there: Tensor) -> Tensor:
        """Codes `(B, code_dim)` of `(B, n, window, features)` steps; windows weigh by their `(B, n, window)` steps."""
        assert self.encoder is not None
        return average_codes(self.encoder(steps, there), there.to(steps.dtype).mean(-1))

    def ask(
        self, members: MemberNetworks, observations: Tensor, actions: Tensor, codes: Tensor
    ) -> Said:
        """What members say of `(members, B, ...)`, codes `(members, B, code_dim)`."""
        said: Said = members(self.scales.scale(observations), codes, actions)
        return said

    def parameter_count(self) -> int:
        """Of the elites and the encoder: what acting uses."""
        shared = self.members.least.numel() * 2
        own = sum(each.numel() for each in self.members.parameters()) - shared
        elites = own * self.config.elites // self.config.members + shared
        encoder = [] if self.encoder is None else self.encoder.parameters()
        return elites + sum(each.numel() for each in encoder)


@dataclass(frozen=True)
class ContextMemory:
    """What is known of L lanes.

    Attributes:
        total: `(L, code_dim)` sum of codes of whole windows, by their weights.
        weight: `(L, 1)` sum of their weights.
        steps: `(L, window, features)` the window that is not full yet; the last step is at the end.
        there: `(L, window)` bool.
    """

    total: Tensor
    weight: Tensor
    steps: Tensor
    there: Tensor


@dataclass(frozen=True)
class Branches:
    """Where M branches of G lanes are, by each of E elites.

    Attributes:
        observations: `(G, M, E, S)`: each elite follows its own way.
        variance: `(G, M, E, S)` noise that they found on it so far.
        codes: `(G, M, code_dim)`.
    """

    observations: Tensor
    variance: Tensor
    codes: Tensor


class EnsembleModel(TellingModel):
    """Elites that each follow their own means: what they are apart is what is not known.

    How the code of a lane's task is found is for those that it is a part of to say.
    """

    def __init__(self, ensemble: Ensemble) -> None:
        """Ask a trained ensemble."""
        self.ensemble = ensemble.eval().requires_grad_(False)
        self.scales = ensemble.scales
        self._elites = ensemble.members.take_members(ensemble.get_buffer("elites"), ensemble.config)
        config = ensemble.config
        self._window = config.window if isinstance(config, ContextEnsembleConfig) else 0

    def _sum_codes(self, episodes: Sequence[Episode]) -> tuple[Tensor, Tensor]:
        """The sum `(code_dim,)` of codes of all windows by their weights, and the sum `(1,)` of these."""
        windows = [self._cut_windows(episode) for episode in episodes if len(episode)]
        steps, there = (torch.cat(column) for column in zip(*windows, strict=True))
        assert self.ensemble.encoder is not None
        weights = there.to(steps.dtype).mean(-1, keepdim=True)
        return (self.ensemble.encoder(steps, there) * weights).sum(0), weights.sum(0)

    def encode_episodes(self, episodes: Sequence[Episode]) -> Tensor:
        """`(1, code_dim)` what the encoder makes of episodes of one task, which have a step or more together."""
        code, whole = self._sum_codes(episodes)
        return (code / whole)[None]

    def _cut_windows(self, episode: Episode) -> tuple[Tensor, Tensor]:
        """`(n, window, features)` steps and `(n, window)` flags; the first window is filled up in front."""
        rows = Transitions.from_episodes([episode], self.ensemble.spaces)
        steps = self.ensemble.describe_steps(rows)
        missing = -len(steps) % self._window
        flags = torch.arange(missing + len(steps)) >= missing
        steps = torch.cat([steps.new_zeros(missing, steps.shape[1]), steps])
        return steps.view(-1, self._window, steps.shape[1]), flags.view(-1, self._window)

    @abstractmethod
    def find_codes(self, memory: Any, draws: Tensor | None = None) -> Tensor:
        """`(L, code_dim)` codes of what is known; `draws` as `imagine_from` has them."""

    def imagine_from(
        self, memory: Any, observations: Tensor, draws: Tensor | None = None
    ) -> Branches:
        """All elites begin where the lanes are."""
        count = self.ensemble.config.elites
        everywhere = observations[None, :, None].expand(-1, -1, count, -1)
        nothing, codes = torch.zeros_like(everywhere), self.find_codes(memory, draws)
        return Branches(everywhere, nothing, codes[None])

    @torch.no_grad()
    def __call__(self, state: Branches, actions: Tensor) -> Outcome:
        """Every elite takes a step on its own way."""
        groups, branches, elites, size = state.observations.shape
        units = self.scales.units
        before = state.observations.flatten(0, 1).transpose(0, 1)  # (E, B, S)
        said = self.ensemble.ask(
            self._elites,
            before,
            actions.flatten(0, 1).expand(elites, -1, -1),
            state.codes.flatten(0, 1).expand(elites, -1, -1),
        )
        after, rewards = self.scales.reach_outcome(before, said.mean)
        noise = said.log_variance.exp() * units.square()  # (E, B, S + 1)
        shape = (groups, branches, elites)
        after = after.transpose(0, 1).reshape(*shape, size)
        variance = state.variance + noise[..., :size].transpose(0, 1).reshape(*shape, size)
        # Written out: torch's own variance over so few is ten times slower.
        middle, earned = after.mean(2), rewards.mean(0)
        spread = (after - middle[:, :, None]).square().mean(2)
        ends = said.end.sigmoid().mean(0) * self.scales.get_buffer("ends")
        reward_variance = noise[..., size].mean(0) + (rewards - earned).square().mean(0)
        return Outcome(
            next_observations=middle,
            deviations=(variance.mean(2) + spread).sqrt(),
            rewards=earned.view(groups, branches),
            reward_deviations=reward_variance.sqrt().view(groups, branches),
            ends=ends.view(groups, branches),
            state=Branches(after, variance, state.codes),
            disagreement=(spread / units[:size].square()).mean(-1).sqrt(),
        )

    def parameter_count(self) -> int:
        """Of elites and encoder."""
        return self.ensemble.parameter_count()


class EncodingModel(EnsembleModel):
    """Codes are means over windows of steps of the support and of the lane's own episode, as the encoder reads them.

    Without an encoder there is nothing to read.
    """

    def begin(self, lanes: int) -> ContextMemory:
        """Without a step the code is zero."""
        size, actions = self.ensemble.spaces.observation_dim, self.ensemble.spaces.action_dim
        return ContextMemory(
            torch.zeros(lanes, self.ensemble.code_dim),
            torch.zeros(lanes, 1),
            torch.zeros(lanes, self._window, 2 * size + actions + 1),
            torch.zeros(lanes, self._window, dtype=torch.bool),
        )

    @torch.no_grad()
    def read_support(
        self, memory: ContextMemory, lanes: Tensor, episodes: Sequence[Episode]
    ) -> ContextMemory:
        """Add the codes of all windows of the episodes, cut one after another."""
        if not self._window or not sum(map(len, episodes)):
            return memory
        code, whole = self._sum_codes(episodes)
        total, weight = memory.total.clone(), memory.weight.clone()
        total[lanes] += code
        weight[lanes] += whole
        return replace(memory, total=total, weight=weight)

    @torch.no_grad()
    def take_in(self, memory: ContextMemory, seen: Seen) -> ContextMemory:
        """Put the step into the open window; a full one becomes a code of its own."""
        if not self._window:
            return memory
        assert self.ensemble.encoder is not None
        full = memory.there.all(1, keepdim=True)
        codes = self.ensemble.encoder(memory.steps, memory.there)
        closing = full & seen.there[:, None]
        total = memory.total + torch.where(closing, codes, 0.0)
        weight = memory.weight + closing
        kept_steps = torch.where(closing[..., None], 0.0, memory.steps)
        kept_there = memory.there & ~closing
        fresh = self.ensemble.describe_steps(seen)[:, None]
        steps = torch.cat([kept_steps[:, 1:], fresh], 1)
        there = torch.cat([kept_there[:, 1:], seen.there[:, None]], 1)
        mine = seen.there[:, None]
        return ContextMemory(
            total,
            weight,
            torch.where(mine[..., None], steps, memory.steps),
            torch.where(mine, there, memory.there),
        )

    @torch.no_grad()
    def find_codes(self, memory: ContextMemory, draws: Tensor | None = None) -> Tensor:
        """Means of the codes of windows; nothing is drawn, as one code is all there is."""
        del draws
        if not self._window:
            return memory.total
        assert self.ensemble.encoder is not None
        weight = memory.there.to(memory.steps.dtype).mean(1, keepdim=True)
        total = memory.total + self.ensemble.encoder(memory.steps, memory.there) * weight
        codes: Tensor = total / (memory.weight + weight).clamp(min=1e-6)
        return codes
