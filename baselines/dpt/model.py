"""The network: tokens of transitions, and of states that an action is asked for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from metabench import Spaces

from ..common.in_context.network import Contexts, InContextNetwork
from .config import DPTConfig


@dataclass(frozen=True)
class Queries(Contexts):
    """N transitions of a task and R states of it, as the simulator gives them.

    Attributes:
        observations: `(B, N, observation_dim)`.
        actions: `(B, N, action_dim)` features.
        rewards: `(B, N)`.
        next_observations: `(B, N, observation_dim)`.
        asked: `(B, R, observation_dim)`.
        order: `(N + R,)` int64 places of the sequence's tokens in transitions, followed by states.
    """

    observations: Tensor
    actions: Tensor
    rewards: Tensor
    next_observations: Tensor
    asked: Tensor
    order: Tensor


class DPTNetwork(InContextNetwork):
    """Predicts what is best in a state from transitions of the task.

    Tokens have no positions: what a transition tells of a task does not depend on when it was seen.
    """

    def __init__(self, config: DPTConfig, spaces: Spaces) -> None:
        """Make the network."""
        transitions = config.episodes * config.count_slots(spaces.horizon)
        super().__init__(config, spaces, transitions + config.queries)
        size = spaces.observation_dim
        self.transition = nn.Linear(2 * size + spaces.action_dim + 1, config.width)
        self.query = nn.Linear(size, config.width)

    def embed(self, contexts: Queries) -> Tensor:
        """Tokens `(B, N + R, W)`."""
        transitions = self.embed_transitions(
            contexts.observations, contexts.actions, contexts.rewards, contexts.next_observations
        )
        return torch.cat([transitions, self.embed_queries(contexts.asked)], dim=1)[
            :, contexts.order
        ]

    def embed_transitions(
        self, observations: Tensor, actions: Tensor, rewards: Tensor, next_observations: Tensor
    ) -> Tensor:
        """Tokens `(..., W)` of transitions as `Queries` has them."""
        scales = self.scales
        parts = [
            scales.scale_observation(observations),
            actions,
            self.scale_reward(rewards),
            scales.scale_change(observations, next_observations),
        ]
        tokens: Tensor = self.transition(torch.cat(parts, dim=-1))
        return tokens

    def embed_queries(self, observations: Tensor) -> Tensor:
        """Tokens `(..., W)` of states that are asked for."""
        tokens: Tensor = self.query(self.scales.scale_observation(observations))
        return tokens
