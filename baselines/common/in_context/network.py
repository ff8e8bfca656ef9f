"""The network: a causal transformer over a context, read at the tokens that an action is asked of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from metabench import Array, Spaces, TrainingData

from ..decision_transformer.model import CausalTransformer
from ..task_inference.encoder import Scales
from .config import InContextConfig


@dataclass(frozen=True)
class Contexts:
    """B contexts of L tokens, R of which are asked for an action.

    Attributes:
        memory: `(B, L)` bool: the tokens that later ones see. One that is no memory sees those before it, and itself.
        places: `(R,)` int64 of the tokens that are asked; None for all.
        labels: `(B, R, action_dim)` action features that they should predict.
        counted: `(B, R)` bool: false where there is nothing to predict.
        known: `(R,)` int64: how many episodes of context a token has before its own.
    """

    memory: Tensor
    places: Tensor | None
    labels: Tensor
    counted: Tensor
    known: Array


class InContextNetwork(nn.Module, ABC):
    """Scales, transformer and the layer that reads actions; how contexts become tokens is each method's own."""

    deviation: Tensor

    def __init__(self, config: InContextConfig, spaces: Spaces, tokens: int) -> None:
        """Make the network for at most `tokens` tokens."""
        super().__init__()
        self.spaces = spaces
        self.scales = Scales(spaces)
        self.transformer = CausalTransformer(config, tokens)
        self.add_heads(config)
        # Of actions around their prediction, in training data: what draws of continuous actions scatter by.
        self.register_buffer("deviation", torch.zeros(spaces.action_dim))

    def add_heads(self, config: InContextConfig) -> None:
        """Make what reads outputs: one linear layer, from which actions follow."""
        self.action_head = nn.Linear(config.width, self.spaces.action_dim)

    def fit_scales(self, data: TrainingData) -> None:
        """Take the scales of `data`, before training."""
        self.scales.fit(data)

    @abstractmethod
    def embed(self, contexts: Any) -> Tensor:
        """Tokens `(B, L, W)` of the method's own kind of `Contexts`."""

    def read(self, hidden: Tensor) -> Tensor:
        """Action features of outputs `(..., W)`: within (-1, 1), or one logit a discrete action."""
        output: Tensor = self.action_head(hidden)
        return output if self.spaces.discrete else torch.tanh(output)

    def forward(self, contexts: Contexts) -> Tensor:
        """`(B, R, action_dim)` predictions at the tokens that are asked."""
        hidden = self.transformer(self.embed(contexts), contexts.memory, contexts.places)
        return self.read(hidden)

    def compute_loss(self, contexts: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """What training lowers, and what to log beside it: here how far predictions are from labels, and nothing."""
        errors = compute_errors(self.spaces, self(contexts), contexts.labels)
        return errors[contexts.counted].mean(), {}

    def finish_update(self) -> None:
        """Do what is left after an update: nothing, where there are no target networks."""

    def scale_reward(self, reward: Tensor) -> Tensor:
        """To deviation 1, with a last axis of 1."""
        return (reward.to(torch.float32) / self.scales.get_buffer("reward")).unsqueeze(-1)


def compute_errors(spaces: Spaces, predicted: Tensor, labels: Tensor) -> Tensor:
    """`(B, R)` squared errors of action features, averaged over coordinates, or cross-entropies of discrete actions."""
    if spaces.discrete:
        return -(labels * functional.log_softmax(predicted, dim=-1)).sum(-1)
    return (predicted - labels).square().mean(-1)
