"""Acting: own episodes are the history that the transformer continues."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from metabench import Episode, Spaces, Step

from ..common.in_context.policy import InContextPolicy
from .config import ADConfig
from .model import ADNetwork


class ADPolicy(InContextPolicy):
    """Continues the learning history of support and running episode."""

    def __init__(self, network: ADNetwork, spaces: Spaces, config: ADConfig) -> None:
        """Wrap a trained network."""
        super().__init__(network, spaces, config)
        self._embed = network.embed_steps

    def reset(self, groups: Sequence[int], seeds: Sequence[int]) -> None:
        """Begin with an empty history in every lane."""
        super().reset(groups, seeds)
        lanes = len(groups)
        self._numbers = torch.zeros(lanes, dtype=torch.int64, device=self._device)
        # What the last episode of the support ended with is a part of the running one's first token.
        self._last_actions = torch.zeros(lanes, self._spaces.action_dim, device=self._device)
        self._last_rewards = torch.zeros(lanes, device=self._device)

    def _embed_support(self, episodes: Sequence[Sequence[Episode]]) -> tuple[Tensor, Tensor]:
        shape = (len(episodes), self._config.episodes - 1, self._slots)
        spaces = self._spaces
        observations = np.zeros((*shape, spaces.observation_dim), np.float32)
        actions = np.zeros((*shape, spaces.action_dim), np.float32)
        rewards, there = np.zeros(shape, np.float32), np.zeros(shape, bool)
        for lane, own in enumerate(episodes):
            last_action, last_reward = np.zeros(spaces.action_dim, np.float32), 0.0
            for number, episode in enumerate(own):
                features = spaces.action_features(episode.actions)
                kept = slice(None, len(episode), self._stride)
                count = len(episode.rewards[kept])
                observations[lane, number, :count] = episode.observations[kept]
                actions[lane, number, :count] = np.vstack([last_action, features[:-1]])[kept]
                rewards[lane, number, :count] = np.append(last_reward, episode.rewards[:-1])[kept]
                there[lane, number, :count] = True
                last_action, last_reward = features[-1], float(episode.rewards[-1])
            self._last_actions[lane] = self._place(last_action)
            self._last_rewards[lane] = last_reward
            self._numbers[lane] = len(own)
        timesteps = np.broadcast_to(np.arange(self._slots) * self._stride, shape)
        numbers = np.broadcast_to(np.arange(shape[1])[:, None], shape)
        columns = (observations, actions, rewards, timesteps.copy(), numbers.copy())
        tokens = self._embed(*(self._place(column) for column in columns))
        return tokens.flatten(1, 2), self._place(there).flatten(1, 2)

    def _embed_step(self, step: Step) -> tuple[Tensor, Tensor, bool]:
        actions, rewards = self._last_actions, self._last_rewards
        if self._time > 0:
            actions = self._place(self._spaces.action_features(step.previous_action))
            rewards = self._place(step.previous_reward)
        timesteps = torch.full_like(self._numbers, min(self._time, self._spaces.horizon - 1))
        observations = self._place(step.observation)
        tokens = self._embed(observations, actions, rewards, timesteps, self._numbers)
        kept = self._time % self._stride == 0
        return (
            tokens.unsqueeze(1),
            torch.full_like(self._numbers, kept, dtype=torch.bool)[:, None],
            kept,
        )
