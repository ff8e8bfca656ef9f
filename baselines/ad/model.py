"""The network: one token a step, of what led to an observation and of the observation itself."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from metabench import Spaces

from ..common.in_context.network import Contexts, InContextNetwork
from .config import ADConfig


@dataclass(frozen=True)
class Histories(Contexts):
    """Steps of several episodes of a task, in the order of learning, as the simulator gives them.

    Attributes:
        observations: `(B, L, observation_dim)`.
        actions: `(B, L, action_dim)` features of the action before; at an episode's start, of the last one of the
            episode before; zero where there is none.
        rewards: `(B, L)` that it earned.
        timesteps: `(B, L)` int64 since the episode's start.
        numbers: `(B, L)` int64 of the episode in the context, from 0.
    """

    observations: Tensor
    actions: Tensor
    rewards: Tensor
    timesteps: Tensor
    numbers: Tensor


class ADNetwork(InContextNetwork):
    """Predicts each step's action from all that came before in this and the episodes before."""

    def __init__(self, config: ADConfig, spaces: Spaces) -> None:
        """Make the network: all tokens of memory, and in one episode as many that are asked only."""
        super().__init__(config, spaces, (config.episodes + 1) * config.count_slots(spaces.horizon))
        inputs = spaces.observation_dim + spaces.action_dim + 1
        self.embed_step = nn.Linear(inputs, config.width)
        # Timestep 0 says that an episode begins.
        self.embed_timestep = nn.Embedding(spaces.horizon, config.width)
        self.embed_number = nn.Embedding(config.episodes, config.width)

    def embed(self, contexts: Histories) -> Tensor:
        """Tokens `(B, L, W)`."""
        return self.embed_steps(
            contexts.observations,
            contexts.actions,
            contexts.rewards,
            contexts.timesteps,
            contexts.numbers,
        )

    def embed_steps(
        self,
        observations: Tensor,
        actions: Tensor,
        rewards: Tensor,
        timesteps: Tensor,
        numbers: Tensor,
    ) -> Tensor:
        """Tokens `(..., W)` of steps as `Histories` has them."""
        parts = [
            self.scales.scale_observation(observations),
            actions,
            self.scale_reward(rewards),
        ]
        tokens: Tensor = self.embed_step(torch.cat(parts, dim=-1))
        tokens += self.embed_timestep(timesteps)
        tokens += self.embed_number(numbers)
        return tokens
