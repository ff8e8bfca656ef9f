"""The Transformer-XL: relative positions, a window of whole steps, a memory of keys and values, pinned support."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .attention import AttentionBlock, mask_scores, relative_shift, sinusoids
from .memory import Memory, Pinned


class TransformerXL(nn.Module):
    """Blocks over tokens of steps; a token sees its own step, the `memory` steps before, and what is pinned."""

    def __init__(
        self,
        width: int,
        layers: int,
        heads: int,
        feedforward: int,
        dropout: float,
        memory: int,
        step_tokens: int,
        *,
        head_scale: bool,
        across_episodes: bool,
    ) -> None:
        """Make the blocks.

        Args:
            width: of tokens.
            layers: number of blocks.
            heads: attention heads a block.
            feedforward: inner width.
            dropout: of positions, attention weights and all outputs within blocks.
            memory: steps before its own that a token sees.
            step_tokens: tokens a step.
            head_scale: scores are divided by the root of a head's width; otherwise by that of the whole width.
            across_episodes: tokens see earlier episodes of their sequence.
        """
        super().__init__()
        self.width, self.heads, self.memory, self.step_tokens = width, heads, memory, step_tokens
        self.across_episodes = across_episodes
        scale = 1.0 / math.sqrt(width // heads if head_scale else width)
        self.scale = scale
        self.blocks = nn.ModuleList(
            AttentionBlock(width, heads, feedforward, dropout, scale) for _ in range(layers)
        )
        self.content_bias = nn.Parameter(torch.empty(heads, width // heads))
        self.position_bias = nn.Parameter(torch.empty(heads, width // heads))
        nn.init.xavier_uniform_(self.content_bias)
        nn.init.xavier_uniform_(self.position_bias)
        self.dropout = nn.Dropout(dropout)
        self.table: Tensor  # sinusoids of the distances in a full window, the farthest first
        self.register_buffer("table", self._encode_distances(self.reach), persistent=False)

    @property
    def reach(self) -> int:
        """Tokens of a full window, the newest step included."""
        return (self.memory + 1) * self.step_tokens

    def empty_memory(self, sequences: int, capacity: int) -> Memory:
        """A memory of `sequences` sequences for at most `capacity` tokens at a time."""
        like = self.content_bias
        shape = (sequences, self.heads, capacity, self.width // self.heads)
        return Memory(
            [like.new_empty(shape) for _ in self.blocks],
            [like.new_empty(shape) for _ in self.blocks],
            torch.full((sequences, capacity), -1, device=like.device),
        )

    def forward(
        self,
        tokens: Tensor,
        episodes: Tensor,
        rows: slice = slice(None),
        memory: Memory | None = None,
        pinned: Pinned | None = None,
    ) -> Tensor:
        """Run `(B, n, width)` tokens, which begin a step unless they continue a memory.

        Args:
            tokens: the tokens.
            episodes: `(B, n)` int64 episode of each token; -1 for padding, which nothing sees.
            rows: tokens whose outputs are wanted; the last block is computed for them alone.
            memory: tokens before these, to which these are added; its tokens get no gradient.
            pinned: support.

        Returns:
            `(B, rows, width)` outputs.
        """
        before = 0 if memory is None else self._make_room(memory, episodes)
        # Whole steps: the window begins at the latent of the farthest step that the first new token sees.
        first = max(0, (before // self.step_tokens - self.memory) * self.step_tokens)
        known = episodes if memory is None else memory.episodes[:, first : memory.length]
        hidden = tokens
        bias = self._attention_bias(before - first, episodes, known)
        for number, block in enumerate(self.blocks):
            assert isinstance(block, AttentionBlock)
            keys, values = block.project_keys_values(hidden)
            if memory is not None:
                for store, new in ((memory.keys[number], keys), (memory.values[number], values)):
                    store[:, :, before : memory.length] = new
                keys = memory.keys[number][:, :, first : memory.length]
                values = memory.values[number][:, :, first : memory.length]
            asking = rows if number == len(self.blocks) - 1 else slice(None)
            hidden = self._attend(number, hidden, asking, keys, values, bias, pinned)
        return hidden

    def pin(
        self, tokens: Tensor, episodes: Tensor, unseen: Tensor, rows: slice = slice(None)
    ) -> tuple[Tensor, Pinned]:
        """Run support tokens; their `i`-th is `reach + S - i` tokens away from all later tokens.

        Args:
            tokens: `(G, S, width)`.
            episodes: `(G, S)` int64 episode of each token; -1 for padding.
            unseen: `(B, S)` bool: tokens that later sequences do not see, though those of their group do.
            rows: tokens whose outputs are wanted.

        Returns:
            Outputs `(G, rows, width)`, and what later tokens see.
        """
        hidden, pinned = tokens, Pinned([], [], [], mask_scores(unseen, tokens)[:, None, None])
        count = tokens.shape[1]
        distances = self.reach + count - torch.arange(count, device=tokens.device)
        padding = mask_scores(episodes < 0, tokens)[:, None, None]
        bias = self._attention_bias(0, episodes, episodes)
        for number, block in enumerate(self.blocks):
            assert isinstance(block, AttentionBlock)
            keys, values = block.project_keys_values(hidden)
            asking = rows if number == len(self.blocks) - 1 else slice(None)
            hidden = self._attend(number, hidden, asking, keys, values, bias, None)
            # Support stays at one distance from all later tokens, so its positions are added to its keys once, and both
            # biases' scores are computed once.
            positions = self._project_positions(
                number, sinusoids(distances, self.width)
            )  # (heads, S, size)
            scores = (keys @ self.content_bias[:, :, None]).transpose(2, 3)  # (G, heads, 1, S)
            scores = scores + (positions @ self.position_bias[:, :, None]).transpose(1, 2)
            pinned.keys.append(
                (keys + positions).contiguous()
            )  # or each later product would copy them
            pinned.values.append(values.contiguous())
            pinned.bias.append(scores * self.scale + padding)
        return hidden, pinned

    def _make_room(self, memory: Memory, episodes: Tensor) -> int:
        """Add columns for new tokens, dropping whole steps that none of them sees; returns the first new column."""
        count = episodes.shape[1]
        if memory.length + count > memory.capacity:
            dropped = (memory.length // self.step_tokens - self.memory) * self.step_tokens
            kept = memory.length - dropped
            for tensor in (*memory.keys, *memory.values):
                tensor[:, :, :kept] = tensor[:, :, dropped : memory.length].clone()
            memory.episodes[:, :kept] = memory.episodes[:, dropped : memory.length].clone()
            memory.length = kept
        before = memory.length
        memory.length += count
        memory.episodes[:, before : memory.length] = episodes
        return before

    def _attention_bias(self, past: int, episodes: Tensor, known: Tensor) -> Tensor:
        """What is added to scores `(B, 1, n, past + n)`: minus infinity where a token must not see another.

        `past` columns come before the new tokens, whose `episodes` are `(B, n)`; `known` are all columns' episodes.
        """
        query = torch.arange(past, past + episodes.shape[1], device=known.device)[:, None]
        column = torch.arange(known.shape[1], device=known.device)
        seen = (column <= query) & (
            column // self.step_tokens >= query // self.step_tokens - self.memory
        )
        visible = seen & (known >= 0)[:, None]
        if not self.across_episodes:
            visible &= known[:, None] == episodes[:, :, None]
        visible |= column == query  # padding sees itself: softmax needs something
        return mask_scores(~visible, self.content_bias)[:, None]

    def _encode_distances(self, count: int) -> Tensor:
        """Sinusoids `(count, width)` of the distances count-1, ..., 0."""
        return sinusoids(
            torch.arange(count - 1, -1, -1, device=self.content_bias.device), self.width
        )

    def _project_positions(self, number: int, table: Tensor) -> Tensor:
        """Positions `(R, width)` as a block's keys have them: `(heads, R, width / heads)`."""
        block = self.blocks[number]
        assert isinstance(block, AttentionBlock)
        return block.split_heads(block.project_positions(self.dropout(table))[None])[0]

    def _attend(
        self,
        number: int,
        tokens: Tensor,
        rows: slice,
        keys: Tensor,
        values: Tensor,
        bias: Tensor,
        pinned: Pinned | None,
    ) -> Tensor:
        """A block's output for `rows` of `tokens`, the last of which are the last of `keys`."""
        block = self.blocks[number]
        assert isinstance(block, AttentionBlock)
        wanted = range(tokens.shape[1])[rows]
        end = (
            keys.shape[2] - tokens.shape[1] + wanted[-1] + 1
        )  # no wanted token sees what comes after it
        keys, values, bias, tokens = (
            keys[:, :, :end],
            values[:, :, :end],
            bias[:, :, rows, :end],
            tokens[:, rows],
        )
        # Transformer-XL: (query + content bias) . key + (query + position bias) . position, the latter by distance.
        query = block.project_queries(tokens)
        content = (query + self.content_bias[:, None] * self.scale) @ keys.transpose(2, 3)
        table = self.table[-end:] if end <= len(self.table) else self._encode_distances(end)
        asking = (query + self.position_bias[:, None] * self.scale).transpose(
            0, 1
        )  # (heads, B, rows, size)
        position = asking.flatten(1, 2) @ self._project_positions(number, table).transpose(1, 2)
        position = torch.unflatten(position, 1, asking.shape[1:3]).transpose(0, 1)
        scores = content + relative_shift(position, wanted.step) + bias
        if pinned is None:
            attended = self.dropout(scores.softmax(dim=-1)) @ values
        else:
            supported = pinned.scores(number, query)
            weights = self.dropout(torch.cat([supported, scores], dim=-1).softmax(dim=-1))
            of_support, of_window = weights.split([supported.shape[-1], scores.shape[-1]], dim=-1)
            attended = pinned.attend(number, of_support) + of_window @ values
        return block.finish(tokens, attended)
