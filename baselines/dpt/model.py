"""The network: tokens of transitions, and of states that an action is asked for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from metabench import Spaces

from ..common.in_context.network import Contexts
from ..common.in_context.transitions import TransitionNetwork
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


class DPTNetwork(TransitionNetwork):
    """Predicts what is best in a state from transitions of the task."""

    def __init__(self, config: DPTConfig, spaces: Spaces) -> None:
        """Make the network."""
        super().__init__(config, spaces, config.queries)

    def embed(self, contexts: Queries) -> Tensor:
        """Tokens `(B, N + R, W)`."""
        features = self.describe_transitions(
            contexts.observations, contexts.actions, contexts.rewards, contexts.next_observations
        )
        tokens = [self.embed_seen(features), self.embed_queries(contexts.asked)]
        return torch.cat(tokens, dim=1)[:, contexts.order]
