"""Acting in episodes longer than the window: what stays valid while it slides is kept, the rest is computed anew."""

from __future__ import annotations

import torch
from torch import Tensor

from .caching import Cache, finish_block, project
from .model import CausalTransformer

CPU_LANES = 32
"""A CPU computes so many lanes at once: more need more memory than its cache has, fewer more calls."""


class SlidingWindow:
    """The last K steps of every lane after the lane's prompt; the newest token's output equals that of a full pass.

    The prompt comes first and never sees the window, so its keys and values stay in all layers. A token of the window
    sees fewer tokens before it each time the window slides, so its key and value change in all layers but the first;
    there they, and its query, depend on the token alone. They lie in rings: a token's place is its number modulo the
    ring's size. One place is always stale: that of the newest step's action, which is not known yet.
    """

    def __init__(self, transformer: CausalTransformer, cache: Cache, tokens: Tensor) -> None:
        """Take over from a cache of the prompt and the first K steps.

        Args:
            transformer: the network.
            cache: what `append_tokens` has left of the prompt and `tokens`.
            tokens: `(lanes, R - 1, W)` tokens of K steps without the last action; R is the size of the rings.
        """
        lanes, count, width = tokens.shape
        self._transformer, self._heads = transformer, transformer.heads
        self._ring, self._count = count + 1, 0
        prompt = cache.length - count
        # Matrix products are up to half as fast again where the number of keys is a multiple of 8.
        self._first = (
            prompt + -(prompt + self._ring) % 8
        )  # the prompt's places, with padding that nothing sees
        rows = lanes * self._heads
        shape = (rows, self._first + self._ring, width // self._heads)
        self._keys, self._values = tokens.new_zeros(shape), tokens.new_zeros(shape)
        self._queries = tokens.new_zeros(rows, self._ring, shape[-1])
        self._tokens = tokens.new_zeros(lanes, self._ring, width)
        self._prompts = []
        for pair in zip(cache.keys, cache.values, strict=True):
            kept = tokens.new_zeros(2, rows, self._first, shape[-1])
            kept[:, :, :prompt] = torch.stack(pair)[:, :, :prompt]
            self._prompts.append(kept)
        self._keys[:, : self._first], self._values[:, : self._first] = self._prompts[0]
        padding = torch.ones(lanes, 1, self._first, dtype=torch.bool, device=tokens.device)
        padding[:, 0, :prompt] = ~cache.visible[:, :prompt]
        self._prompt_bias = _build_bias(tokens, padding)
        # Tokens in the order of their numbers: first the stale place, which none but itself sees.
        unseen = torch.ones(self._ring, self._ring, dtype=torch.bool, device=tokens.device).triu(1)
        unseen[1:, 0] = True
        self._ring_bias = _build_bias(tokens, unseen)
        self._write_tokens(tokens)

    def advance(self, tokens: Tensor) -> Tensor:
        """The output `(lanes, W)` of the newest of `(lanes, n, W)` tokens: the last action, then this step without."""
        self._write_tokens(tokens)
        lanes = len(tokens)
        at_once = CPU_LANES if tokens.device.type == "cpu" else lanes
        stale = self._count % self._ring
        # The bias is written for tokens in the order of their numbers; the rings hold them from the stale place on.
        ring_bias = self._ring_bias.roll((stale, stale), (0, 1))
        parts = [
            self._run_lanes(slice(i, min(i + at_once, lanes)), ring_bias)
            for i in range(0, lanes, at_once)
        ]
        return torch.cat(parts)

    def _write_tokens(self, tokens: Tensor) -> None:
        """Write the next tokens, and what the first layer makes of them, in their places."""
        places = (
            torch.arange(self._count, self._count + tokens.shape[1], device=tokens.device)
            % self._ring
        )
        query, key, value = project(self._transformer, 0, tokens)
        self._tokens.index_copy_(1, places, tokens)
        self._queries.index_copy_(1, places, query)
        self._keys.index_copy_(1, self._first + places, key)
        self._values.index_copy_(1, self._first + places, value)
        self._count += tokens.shape[1]

    def _run_lanes(self, part: slice, ring_bias: Tensor) -> Tensor:
        """The newest token's output in the lanes of `part`."""
        transformer = self._transformer
        blocks = transformer.backbone.h
        rows = slice(part.start * self._heads, part.stop * self._heads)
        hidden = self._tokens[part]
        bias = self._prompt_bias[part].expand(-1, self._ring, -1)
        bias = torch.cat([bias, ring_bias.expand(len(hidden), -1, -1)], dim=2).repeat_interleave(
            self._heads, dim=0
        )
        newest = (self._count - 1) % self._ring
        query, keys, values = self._queries[rows], self._keys[rows], self._values[rows]
        for layer in range(len(blocks)):
            if layer > 0:
                query, key, value = project(transformer, layer, hidden)
                prompt = self._prompts[layer][:, rows]
                keys, values = (
                    torch.cat([prompt[0], key], dim=1),
                    torch.cat([prompt[1], value], dim=1),
                )
            if layer == len(blocks) - 1:
                query, hidden, bias = (x[:, newest : newest + 1] for x in (query, hidden, bias))
            hidden = finish_block(transformer, layer, hidden, query, keys, values, bias)
        output: Tensor = transformer.backbone.ln_f(hidden[:, 0])
        return output


def _build_bias(like: Tensor, unseen: Tensor) -> Tensor:
    """What to add to attention logits: minus infinity where `unseen` is true, else zero."""
    return like.new_zeros(unseen.shape).masked_fill_(unseen, float("-inf"))
