"""What distinguishes the methods: the loss that the encoder learns by."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from .encoder import Context, ContextEncoder, average

SAME_TASK_FLOOR, OTHER_TASK_FLOOR = 1e-3, 0.1


class EncoderObjective(nn.Module, ABC):
    """A loss for the encoder, with the networks of its own that it trains beside it."""

    @abstractmethod
    def compute_loss(
        self, encoder: ContextEncoder, context: Context
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch of contexts, all of them whole; and what to log."""


def metric_loss(codes: Tensor, tasks: Tensor) -> Tensor:
    """FOCAL's distance metric learning: codes of one task near each other, of different tasks far (FOCAL, eq. 13).

    Args:
        codes: `(B, code_dim)`.
        tasks: `(B,)`, the task of each.

    Returns:
        The mean over pairs of one task of the distance, plus the mean over pairs of different tasks of one over the
        squared distance; distances are root mean squares over the code's dimensions.
    """
    first, second = torch.triu_indices(len(codes), len(codes), offset=1, device=codes.device)
    squared = (codes[first] - codes[second]).square().mean(-1)  # (pairs,)
    same = (tasks[first] == tasks[second]).to(squared.dtype)
    near = (same * (squared + SAME_TASK_FLOOR).sqrt()).sum() / (same.sum() + 1e-3)
    other = 1 - same
    far = (other / (squared + OTHER_TASK_FLOOR)).sum() / (other.sum() + 1e-3)
    return near + far


def embed_whole(encoder: ContextEncoder, context: Context) -> tuple[Tensor, Tensor]:
    """Embeddings `(B, N, code_dim)` and codes `(B, code_dim)` of all transitions, whatever their weights."""
    embeddings = encoder.embed(context)
    return embeddings, average(embeddings, torch.ones_like(context.weights))
