"""Acting by a context of transitions: every state is asked for, given support and running episode."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from metabench import Array, Episode, Spaces, Step

from .policy import InContextPolicy
from .transitions import TransitionContextConfig, TransitionNetwork, list_kept


class TransitionPolicy(InContextPolicy):
    """Does what the transformer takes for best, given the transitions in the context."""

    def __init__(
        self, network: TransitionNetwork, spaces: Spaces, config: TransitionContextConfig
    ) -> None:
        """Wrap a trained network."""
        super().__init__(network, spaces, config)
        self._reader = network
        self._own_transitions = config.own_transitions

    def reset(self, groups: Sequence[int], seeds: Sequence[int]) -> None:
        """Begin with an empty context in every lane."""
        super().reset(groups, seeds)
        self._previous: Tensor | None = None

    def _describe_episode(self, episode: Episode, times: Array) -> Tensor:
        """Features `(n, F)` of an episode's transitions at `(n,)` steps."""
        return self._reader.describe_transitions(
            self._place(episode.observations[times]),
            self._place(self._spaces.action_features(episode.actions[times])),
            self._place(episode.rewards[times]),
            self._place(episode.observations[times + 1]),
        )

    def _describe_step(self, step: Step) -> Tensor | None:
        """Features `(lanes, F)` of the transition that led to `step`; None at an episode's start."""
        now = self._place(step.observation)
        before, self._previous = self._previous, now
        if before is None:
            return None
        actions = self._place(self._spaces.action_features(step.previous_action))
        rewards = self._place(step.previous_reward)
        return self._reader.describe_transitions(before, actions, rewards, now)

    def _embed_support(self, episodes: Sequence[Sequence[Episode]]) -> tuple[Tensor, Tensor]:
        shape = (len(episodes), self._config.episodes - 1, self._slots)
        features = torch.zeros(*shape, self._reader.transition.in_features, device=self._device)
        there = np.zeros(shape, bool)
        described: dict[int, tuple[Array, Tensor]] = {}  # lanes of a group share their episodes
        for lane, own in enumerate(episodes):
            for number, episode in enumerate(own):
                if id(episode) not in described:
                    times = list_kept(self._slots, self._stride, np.array([len(episode)]))
                    rows = self._describe_episode(episode, times[times >= 0])
                    described[id(episode)] = (times >= 0, rows)
                kept, rows = described[id(episode)]
                features[lane, number, self._place(kept)] = rows
                there[lane, number] = kept
        return self._reader.embed_seen(features).flatten(1, 2), self._place(there).flatten(1, 2)

    def _embed_step(self, step: Step) -> tuple[Tensor, Tensor, bool]:
        tokens = [self._reader.embed_queries(self._place(step.observation))]
        seen = [torch.zeros(len(step.active), dtype=torch.bool, device=self._device)]
        features = self._describe_step(step)
        if self._own_transitions and features is not None and self._time % self._stride == 0:
            tokens.insert(0, self._reader.embed_seen(features))
            seen.insert(0, self._place(step.active))
        return torch.stack(tokens, 1), torch.stack(seen, 1), False
