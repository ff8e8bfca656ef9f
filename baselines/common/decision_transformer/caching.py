"""Acting token by token: an exact key-value cache over the transformer's blocks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .model import CausalTransformer


@dataclass
class Cache:
    """Keys and values of the tokens so far, preallocated; `length` of `capacity` are in use.

    Attributes:
        keys, values: one `(lanes * heads, capacity, width / heads)` tensor a layer.
        visible: `(lanes, capacity)` bool, false for padding.
        length: tokens so far.
    """

    keys: list[Tensor]
    values: list[Tensor]
    visible: Tensor
    length: int = 0


def make_cache(transformer: CausalTransformer, lanes: int, capacity: int, like: Tensor) -> Cache:
    """An empty cache for `lanes` sequences of at most `capacity` tokens, of the type and device of `like`."""
    shape = (
        lanes * transformer.heads,
        capacity,
        transformer.backbone.config.n_embd // transformer.heads,
    )
    layers = range(len(transformer.backbone.h))
    return Cache(
        keys=[like.new_empty(shape) for _ in layers],
        values=[like.new_empty(shape) for _ in layers],
        visible=torch.zeros(lanes, capacity, dtype=torch.bool, device=like.device),
    )


def append_tokens(
    transformer: CausalTransformer, cache: Cache, tokens: Tensor, visible: Tensor
) -> Tensor:
    """Run new tokens `(lanes, n, W)` after those in `cache`, which grows by them; equal to a pass over all.

    No gradient, no dropout. Returns the output of the last new token, `(lanes, W)`: the last block is computed for
    that token alone.
    """
    count = tokens.shape[1]
    start, end = cache.length, cache.length + count
    cache.visible[:, start:end] = visible
    cache.length = end
    causal = torch.ones(count, end, dtype=torch.bool, device=tokens.device).tril(start)
    # Padding sees itself, or its softmax would be over nothing and give NaN, which spreads to real tokens as 0 * NaN.
    itself = torch.eye(count, end, dtype=torch.bool, device=tokens.device).roll(start, 1)
    mask = (causal & cache.visible[:, None, :end]) | itself  # (lanes, n, end)
    bias = torch.zeros(mask.shape, device=tokens.device, dtype=tokens.dtype).masked_fill_(
        ~mask, float("-inf")
    )
    bias = bias.repeat_interleave(transformer.heads, dim=0)  # (lanes * heads, n, end)
    hidden, last_layer = tokens, len(transformer.backbone.h) - 1
    for layer in range(last_layer + 1):
        query, key, value = project(transformer, layer, hidden)
        keys, values = cache.keys[layer][:, :end], cache.values[layer][:, :end]
        keys[:, start:], values[:, start:] = key, value
        if layer == last_layer:
            query, bias, hidden = query[:, -1:], bias[:, -1:], hidden[:, -1:]
        hidden = finish_block(transformer, layer, hidden, query, keys, values, bias)
    output: Tensor = transformer.backbone.ln_f(hidden[:, -1])
    return output


def project(
    transformer: CausalTransformer, layer: int, hidden: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """A layer's queries, keys and values `(lanes * heads, n, W / heads)` of its input `(lanes, n, W)`."""
    block = transformer.backbone.h[layer]
    lanes, count, width = hidden.shape
    size = width // transformer.heads
    parts = block.attn.c_attn(block.ln_1(hidden)).view(lanes, count, 3, transformer.heads, size)
    query, key, value = (x.transpose(1, 2).flatten(0, 1) for x in parts.unbind(2))
    return query, key, value


def finish_block(
    transformer: CausalTransformer,
    layer: int,
    hidden: Tensor,
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    bias: Tensor,
) -> Tensor:
    """A block's output `(lanes, n, W)` from its input `hidden`, queries, keys and values; only for acting.

    Args:
        transformer: whose block.
        layer: which block.
        hidden: `(lanes, n, W)`.
        query: `(lanes * heads, n, W / heads)`.
        keys: `(lanes * heads, m, W / heads)`.
        values: `(lanes * heads, m, W / heads)`.
        bias: added to the attention's logits; broadcasts to `(lanes * heads, n, m)`.
    """
    block = transformer.backbone.h[layer]
    lanes, count, _ = hidden.shape
    size = query.shape[-1]
    # Many lanes, few tokens: plain matrix products beat the fused kernel, which is made for long sequences.
    weights = torch.baddbmm(bias, query, keys.transpose(1, 2), alpha=size**-0.5).softmax(dim=-1)
    attended = (
        torch.bmm(weights, values).view(lanes, transformer.heads, count, size).transpose(1, 2)
    )
    hidden = hidden + block.attn.c_proj(attended.reshape(hidden.shape))
    output: Tensor = hidden + block.mlp.c_proj(block.mlp.c_fc(block.ln_2(hidden)).relu_())
    return output
