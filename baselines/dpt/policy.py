"""Acting: every state is asked for, given support and running episode."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from metabench import Array, Episode, Spaces, Step

from ..common.in_context.policy import InContextPolicy
from .config import DPTConfig
from .contexts import list_kept
from .model import DPTNetwork


class DPTPolicy(InContextPolicy):
    """Does what the transformer takes for best, given the transitions in the context."""

    def __init__(self, network: DPTNetwork, spaces: Spaces, config: DPTConfig) -> None:
        """Wrap a trained network."""
        super().__init__(network, spaces, config)
        self._own_transitions = config.own_transitions
        self._embed, self._ask = network.embed_transitions, network.embed_queries

    def reset(self, groups: Sequence[int], seeds: Sequence[int]) -> None:
        """Begin with an empty context in every lane."""
        super().reset(groups, seeds)
        shape = (len(groups), self._spaces.observation_dim)
        self._previous = torch.zeros(shape, device=self._device)

    def _embed_support(self, episodes: Sequence[Sequence[Episode]]) -> tuple[Tensor, Tensor]:
        shape = (len(episodes), self._config.episodes - 1, self._slots)
        spaces = self._spaces
        before = np.zeros((*shape, spaces.observation_dim), np.float32)
        after = np.zeros_like(before)
        actions = np.zeros((*shape, spaces.action_dim), np.float32)
        rewards, there = np.zeros(shape, np.float32), np.zeros(shape, bool)
        for lane, own in enumerate(episodes):
            for number, episode in enumerate(own):
                times = list_kept(self._slots, self._stride, np.array([len(episode)]))
                kept, times = times >= 0, times[times >= 0]
                before[lane, number, kept] = episode.observations[times]
                after[lane, number, kept] = episode.observations[times + 1]
                actions[lane, number, kept] = spaces.action_features(episode.actions[times])
                rewards[lane, number, kept] = episode.rewards[times]
                there[lane, number] = kept
        columns: Sequence[Array] = (before, actions, rewards, after)
        tokens = self._embed(*(self._place(column) for column in columns))
        return tokens.flatten(1, 2), self._place(there).flatten(1, 2)

    def _embed_step(self, step: Step) -> tuple[Tensor, Tensor, bool]:
        observation = self._place(step.observation)
        tokens = [self._ask(observation)]
        seen = [torch.zeros(len(observation), dtype=torch.bool, device=self._device)]
        if self._own_transitions and self._time > 0 and self._time % self._stride == 0:
            actions = self._place(self._spaces.action_features(step.previous_action))
            rewards = self._place(step.previous_reward)
            tokens.insert(0, self._embed(self._previous, actions, rewards, observation))
            seen.insert(0, self._place(step.active))
        self._previous = observation
        return torch.stack(tokens, 1), torch.stack(seen, 1), False
