"""What attention keeps of tokens that went by: a sliding memory, and pinned support."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass
class Memory:
    """Keys and values of the tokens so far, preallocated; the first `length` of `capacity` columns are in use.

    Attributes:
        keys, values: one `(B, heads, capacity, width / heads)` tensor a layer.
        episodes: `(B, capacity)` int64: the episode that each token belongs to; -1 for padding.
        length: columns in use; the first of them begins a step.
    """

    keys: list[Tensor]
    values: list[Tensor]
    episodes: Tensor
    length: int = 0

    @property
    def capacity(self) -> int:
        """Tokens that fit."""
        return self.episodes.shape[1]

    def select(self, rows: Tensor, columns: Tensor, seen: Tensor, capacity: int) -> Memory:
        """Memories that begin with chosen tokens of this one.

        Args:
            rows: `(N,)` sequence of each new memory.
            columns: `(N, C)` its tokens.
            seen: `(N, C)` bool, false where there is no such token; its column is then any valid number.
            capacity: at least C.
        """
        used = columns.shape[1]
        places = nn.functional.pad(columns, (0, capacity - used))
        episodes = self.episodes[rows[:, None], places].masked_fill_(
            nn.functional.pad(~seen, (0, capacity - used), value=True), -1
        )
        heads = self.keys[0].shape[1]
        # Keys are viewed as rows of (sequence, head, column), so that one index serves every layer's keys and values.
        sequence_heads = rows[:, None] * heads + torch.arange(heads, device=rows.device)
        index = (
            sequence_heads[:, :, None] * self.capacity + places[:, None]
        )  # (N, heads, capacity), into flat rows

        def take(each: Tensor) -> Tensor:
            return torch.unflatten(
                each.flatten(0, 2).index_select(0, index.flatten()), 0, index.shape
            )

        return Memory([take(k) for k in self.keys], [take(v) for v in self.values], episodes, used)


@dataclass
class Pinned:
    """Support that all tokens see at the same distance, however far the window slides.

    B sequences share the support of G groups: the first B / G that of the first group, and so on.

    Attributes:
        keys: one `(G, heads, S, width / heads)` tensor a layer, positions added in.
        values: the same shape.
        bias: one `(G, heads, 1, S)` tensor a layer, added to the scores; minus infinity at padding.
        unseen: `(B, 1, 1, S)`: minus infinity where a sequence does not see a token of its group's support, else zero.
    """

    keys: list[Tensor]
    values: list[Tensor]
    bias: list[Tensor]
    unseen: Tensor

    @property
    def groups(self) -> int:
        """G."""
        return len(self.keys[0])

    def select(self, lanes: Tensor) -> Pinned:
        """The support of some sequences, `(N,)` places; each has a group of its own."""

        def take(parts: list[Tensor]) -> list[Tensor]:
            return [part[lanes] for part in parts]

        return Pinned(take(self.keys), take(self.values), take(self.bias), self.unseen[lanes])

    def scores(self, layer: int, query: Tensor) -> Tensor:
        """Scores `(B, heads, n, S)` of `(B, heads, n, width / heads)` scaled queries."""
        scores = self._gather(query) @ self.keys[layer].transpose(2, 3) + self.bias[layer]
        return self._spread(scores, query.shape[2]) + self.unseen

    def attend(self, layer: int, weights: Tensor) -> Tensor:
        """Values `(B, heads, n, width / heads)` under `(B, heads, n, S)` weights."""
        return self._spread(self._gather(weights) @ self.values[layer], weights.shape[2])

    def _gather(self, each: Tensor) -> Tensor:
        """`(B, heads, n, m)` to `(G, heads, B / G * n, m)`: one product a group, whose support is then not copied."""
        return torch.unflatten(each, 0, (self.groups, -1)).transpose(1, 2).flatten(2, 3)

    def _spread(self, together: Tensor, count: int) -> Tensor:
        """The inverse of `_gather`; `count` is n."""
        return torch.unflatten(together, 2, (-1, count)).transpose(1, 2).flatten(0, 1)
