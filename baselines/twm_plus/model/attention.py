"""One block of attention, and the arithmetic of relative positions."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class AttentionBlock(nn.Module):
    """Attention and two feed-forward layers, each followed by a layer norm of the sum (post-norm)."""

    def __init__(
        self, width: int, heads: int, feedforward: int, dropout: float, scale: float
    ) -> None:
        """Make the layers; scores are multiplied by `scale`."""
        super().__init__()
        self.heads, self.scale = heads, scale
        self.project = nn.Linear(width, 3 * width, bias=False)
        self.project_positions = nn.Linear(width, width, bias=False)
        self.combine = nn.Linear(width, width, bias=False)
        self.widen = nn.Linear(width, feedforward)
        self.narrow = nn.Linear(feedforward, width)
        self.attention_norm = nn.LayerNorm(width)
        self.feedforward_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def split_heads(self, vectors: Tensor) -> Tensor:
        """`(B, n, width)` to `(B, heads, n, width / heads)`."""
        return torch.unflatten(vectors, -1, (self.heads, -1)).transpose(1, 2)

    def project_queries(self, tokens: Tensor) -> Tensor:
        """Scaled queries."""
        width = tokens.shape[-1]
        return self.split_heads(
            nn.functional.linear(tokens, self.project.weight[:width]) * self.scale
        )

    def project_keys_values(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values."""
        keys, values = nn.functional.linear(tokens, self.project.weight[tokens.shape[-1] :]).chunk(
            2, dim=-1
        )
        return self.split_heads(keys), self.split_heads(values)

    def finish(self, tokens: Tensor, attended: Tensor) -> Tensor:
        """The block's output from its input and the attended values `(B, heads, n, width / heads)`."""
        tokens = self.attention_norm(
            tokens + self.dropout(self.combine(attended.transpose(1, 2).flatten(2)))
        )
        inner = self.dropout(nn.functional.silu(self.widen(tokens)))
        output: Tensor = self.feedforward_norm(tokens + self.dropout(self.narrow(inner)))
        return output


def sinusoids(distances: Tensor, width: int) -> Tensor:
    """`(R, width)` encodings of `(R,)` distances."""
    places = torch.arange(0, width, 2, device=distances.device)
    angles = distances[:, None] * torch.exp(places * (-math.log(10_000.0) / width))
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


def mask_scores(hidden: Tensor, like: Tensor) -> Tensor:
    """What is added to scores: minus infinity where `hidden` is true, else zero."""
    return torch.zeros(hidden.shape, dtype=like.dtype, device=like.device).masked_fill_(
        hidden, -math.inf
    )


def relative_shift(scores: Tensor, stride: int = 1) -> Tensor:
    """From scores by distance to scores by token.

    Args:
        scores: `(..., n, m)`: row i holds the scores of a token for the distances m-1, ..., 0.
        stride: token i is at place `m - 1 - stride * (n - 1 - i)` of m places.

    Returns:
        `(..., n, m)`: row i holds the scores of token i for the tokens at places 0, ..., m-1; those of later tokens
        mean nothing.
    """
    rows, columns = scores.shape[-2:]
    # Padded by `stride` columns and read with rows of the old length from here on, row i starts at its own column
    # stride * (n - 1 - i): that is what turns distances into places, without a loop over rows.
    flat = nn.functional.pad(scores, (0, stride)).flatten(-2)
    shifted = flat[..., stride * (rows - 1) : stride * (rows - 1) + rows * columns]
    return torch.unflatten(shifted, -1, (rows, columns))
