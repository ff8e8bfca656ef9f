"""Imagined episodes, and policies learned in them: nothing is asked of any environment, not even a reset."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from metabench import Array, Episode, Spaces, Step

from .config import ImaginationConfig, PlannerConfig
from .policy import PlanningPolicy
from .ppo import GroupedActorCritics, GroupedRollout, Improver
from .rows import Reader, Transitions, batch_transitions
from .world import World

REMEMBERED = 100
"""Imagined episodes that the return is averaged over."""


class Imagination:
    """K imagined episodes at once in each of G groups, one after another in every lane."""

    def __init__(
        self,
        world: World,
        config: ImaginationConfig,
        spaces: Spaces,
        generators: Sequence[torch.Generator],
    ) -> None:
        """Begin episodes; each group's randomness is its own generator's."""
        self._world, self._config, self._spaces, self._generators = (
            world,
            config,
            spaces,
            generators,
        )
        self._horizon = config.branch or spaces.horizon
        shape = (len(generators), config.lanes)
        self._state = self._begin_episodes(self._draw_uniform(1)[:, 0, :, 0])
        self._age = torch.zeros(shape, dtype=torch.int64)
        self._total = torch.zeros(shape)
        self._returns: list[list[float]] = [[] for _ in generators]

    @torch.no_grad()
    def act(self, networks: GroupedActorCritics, steps: int) -> GroupedRollout:
        """Some steps of all lanes; where an episode is over, another one begins."""
        config, world = self._config, self._world
        columns: list[tuple[Tensor, ...]] = []
        for uniform in self._draw_uniform(steps).unbind(1):
            before = world.normalise(self._state)
            means, _ = networks(before)
            choices = networks.choose(means, uniform[..., 2:])
            seen = world(self._state, choices.clamp(-1.0, 1.0))
            self._age += 1
            self._total += seen.rewards
            # Beyond the horizon the critic is asked for what would have followed, unless time-outs count as ends;
            # beyond a branch always.
            ends, late = uniform[..., 0] < seen.ends, self._age >= self._horizon
            cuts = ends | late
            rewards = seen.rewards - config.penalty * world.reward * world.doubt(seen)
            if config.scale_rewards:  # a usual reward, earned for ever, is then worth 1
                rewards = rewards * (1.0 - config.discount) / world.reward
            columns.append(
                (
                    before,
                    choices,
                    networks.log_probabilities(means, choices),
                    rewards,
                    world.normalise(seen.next_observations),
                    cuts if config.final_time_outs and not config.branch else ends,
                    cuts,
                )
            )
            self._state = torch.where(
                cuts[..., None], self._begin_episodes(uniform[..., 1]), seen.next_observations
            )
            self._remember(cuts)
        return GroupedRollout(*(torch.stack(column, 1) for column in zip(*columns, strict=True)))

    def mean_returns(self) -> list[float]:
        """Mean return of each group's last imagined episodes, rewards as the model has them; NaN before the first."""
        return [math.fsum(each) / len(each) if each else math.nan for each in self._returns]

    def _draw_uniform(self, steps: int) -> Tensor:
        """`(G, T, K, 2 + A)` numbers in (0, 1): for an end, a new beginning, and the action."""
        shape = (steps, self._config.lanes, 2 + self._spaces.action_dim)
        draws = torch.stack(
            [torch.rand(shape, generator=generator) for generator in self._generators]
        )
        return draws.clamp(min=1e-7)  # 0 has no normal or Gumbel number

    def _begin_episodes(self, uniform: Tensor) -> Tensor:
        """`(G, K, S)` beginnings, from `(G, K)` uniform numbers."""
        drawn = zip(self._world.starts, uniform, strict=True)
        return torch.stack([starts[(each * len(starts)).long()] for starts, each in drawn])

    def _remember(self, cuts: Tensor) -> None:
        """Note the returns of episodes that are over."""
        for group, lane in cuts.nonzero().tolist():
            self._returns[group] = [
                *self._returns[group][1 - REMEMBERED :],
                float(self._total[group, lane]),
            ]
        self._total[cuts], self._age[cuts] = 0.0, 0


@dataclass(frozen=True)
class LearnedPolicies:
    """Policies learned in imagination.

    Attributes:
        networks: as they were in the end.
        imagined_returns: one a group: the mean of its last imagined episodes; NaN where none was finished.
    """

    networks: GroupedActorCritics
    imagined_returns: list[float]


def learn_policies(
    world: World,
    config: ImaginationConfig,
    spaces: Spaces,
    generators: Sequence[torch.Generator],
    watch: Callable[[GroupedActorCritics], None] | None = None,
) -> LearnedPolicies:
    """Learn a policy for each of G groups.

    Args:
        world: what they imagine in.
        config: how to learn.
        spaces: of the tasks.
        generators: one a group, its only randomness.
        watch: called with the networks after every rollout, to look at them.

    Returns:
        The last policies; nothing is selected.
    """
    groups = torch.arange(len(generators))
    if len(generators) == 1:
        world, generators = world.add_idle_group(), [*generators, torch.Generator().manual_seed(0)]
    networks = GroupedActorCritics(spaces, config, generators)
    improver, imagination = (
        Improver(networks, config),
        Imagination(world, config, spaces, generators),
    )
    for _ in range(math.ceil(config.steps / (config.lanes * config.rollout))):
        improver.improve(imagination.act(networks, config.rollout), generators)
        if watch is not None:
            watch(networks.copy_groups(groups))
    return LearnedPolicies(networks.copy_groups(groups), imagination.mean_returns()[: len(groups)])


class ImaginationPolicy(PlanningPolicy):
    """With support, learns a policy in a model that has read it, and acts by its last state; without, it plans.

    All groups learn at once, each on its own. What a group learns depends on its support alone, which is the seed, too;
    lanes act by the mean, or the likeliest action.
    """

    def __init__(
        self,
        reader: Reader,
        config: PlannerConfig,
        spaces: Spaces,
        imagination: ImaginationConfig | None,
    ) -> None:
        """Act in tasks of these spaces; without `imagination` it always plans."""
        super().__init__(reader, config, spaces)
        self._imagination = imagination

    @property
    def predicts(self) -> bool:
        """Not where it learns in imagination: the model is that of the planner, which is asked in its own name."""
        return self._imagination is None

    def reset(self, groups: Sequence[int], seeds: Sequence[int]) -> None:
        """Forget everything."""
        super().reset(groups, seeds)
        self._learned: _LaneActors | None = None

    def adapt(self, support: Mapping[int, Sequence[Episode]]) -> None:
        """Read each group's support, and learn in imagination."""
        if self._imagination is None:
            super().adapt(support)
            return
        groups = sorted(set(self._groups))
        contexts = [Transitions.from_episodes(support[group], self._spaces) for group in groups]
        starts = [
            np.stack([episode.observations[0] for episode in support[group]]) for group in groups
        ]
        with torch.no_grad():
            read = [context.thin(self._config.largest_context) for context in contexts]
            models = [self.reader.read(batch_transitions([each])) for each in read]
        world = World.from_contexts(models, contexts, starts, self._imagination)
        generators = [torch.Generator().manual_seed(_derive_seed(context)) for context in contexts]
        learned = learn_policies(world, self._imagination, self._spaces, generators)
        lanes = torch.tensor([groups.index(group) for group in self._groups])
        self._learned = _LaneActors(
            learned.networks.copy_groups(lanes), world.mean[lanes], world.spread[lanes]
        )

    def act(self, step: Step) -> Array:
        """What was learned; without support, the plan."""
        if self._learned is None:
            return super().act(step)
        return self._spaces.actions_from_features(self._learned(step.observation))


@dataclass(frozen=True)
class _LaneActors:
    """For each lane the networks and scales of its group."""

    networks: GroupedActorCritics
    mean: Tensor
    spread: Tensor

    @torch.no_grad()
    def __call__(self, observation: Array) -> Array:
        """`(lanes, A)` means or scores of `(lanes, S)` observations."""
        now = torch.from_numpy(np.ascontiguousarray(observation))[:, None]
        means, _ = self.networks((now - self.mean) / self.spread)
        return np.asarray(means[:, 0].numpy())


def _derive_seed(context: Transitions) -> int:
    """From every number of a context."""
    digest = hashlib.sha256()
    for name in ("observations", "actions", "next_observations", "rewards", "ends"):
        digest.update(np.ascontiguousarray(getattr(context, name)).tobytes())
    return int.from_bytes(digest.digest()[:8], "big") >> 1
