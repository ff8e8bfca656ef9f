"""The controller: a linear function of what is observed and what the model keeps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from metabench import Spaces


@dataclass(frozen=True)
class Controllers:
    """P controllers.

    Attributes:
        weights: `(P, F, A)`.
        biases: `(P, 1, A)`.
        discrete: whether features of actions are one-hot.
    """

    weights: Tensor
    biases: Tensor
    discrete: bool

    @staticmethod
    def from_numbers(numbers: Tensor, inputs: int, spaces: Spaces) -> Controllers:
        """Of `(P, count_numbers)`."""
        weights, biases = numbers[:, : -spaces.action_dim], numbers[:, -spaces.action_dim :]
        shaped = weights.view(len(numbers), inputs, spaces.action_dim)
        return Controllers(shaped, biases[:, None], spaces.discrete)

    def score(self, seen: Tensor) -> Tensor:
        """`(P, R, A)` of `(P, R, F)`: coordinates of actions within [-1, 1], or a score of each action."""
        scores = torch.baddbmm(self.biases, seen, self.weights)
        return scores if self.discrete else scores.clamp(-1.0, 1.0)

    def act(self, seen: Tensor) -> Tensor:
        """`(P, R, A)` action features; of discrete actions the one with the largest score."""
        scores = self.score(seen)
        if not self.discrete:
            return scores
        return torch.nn.functional.one_hot(scores.argmax(-1), scores.shape[-1]).to(scores.dtype)


def count_numbers(inputs: int, spaces: Spaces) -> int:
    """Of one controller."""
    return (inputs + 1) * spaces.action_dim
