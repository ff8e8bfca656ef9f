"""GPT-2's blocks as training runs them: the same function as its own forward pass, in fewer passes over memory.

What is saved: the last block computes only the tokens that are read; the halves of a block keep what their gradients
need and no more, and write gradients in place; dropout takes four draws from one random number. The blocks' products
can be taken in bfloat16; norms, the residual stream and gradients of weights stay in full precision.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .config import Precision


def run_blocks(
    backbone: Any, tokens: Tensor, visible: Tensor, read: Tensor | None, precision: torch.dtype
) -> Tensor:
    """Outputs of embedded tokens, as those of GPT-2 without positions; with dropout if `backbone` is in training.

    Args:
        backbone: a `GPT2Model` with ReLU.
        tokens: `(B, L, W)`.
        visible: `(B, L)` bool, false at padding.
        read: `(R,)` int64 places of the tokens whose outputs are wanted; None for all.
        precision: of the blocks' products: float32 or bfloat16.

    Returns:
        `(B, R, W)`, or `(B, L, W)` for all.
    """
    config = backbone.config
    in_training = backbone.training
    rate = config.attn_pdrop if in_training else 0.0
    bias = build_attention_bias(visible, config.n_head, precision)
    if in_training and config.embd_pdrop:
        tokens = tokens * draw_kept(tokens.shape, config.embd_pdrop, tokens)
    hidden, last = tokens, len(backbone.h) - 1
    for layer, block in enumerate(backbone.h):
        asking = read if layer == last else None
        hidden = _run_block(block, hidden, bias, asking, config.n_head, rate, precision)
    output: Tensor = backbone.ln_f(hidden)
    return output


def choose_precision(asked: Precision, device: torch.device | str) -> str:
    """`full` or `bfloat16`: what is asked for, and with `auto` what `device` multiplies fastest."""
    if asked != "auto":
        return asked
    read_capabilities: Callable[[], dict[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)
    kind, fast = torch.device(device).type, False
    if kind == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    elif kind == "cpu":  # an older torch does not say: full, then
        fast = bool(read_capabilities().get("amx_bf16"))
    return "bfloat16" if fast else "full"


def build_attention_bias(visible: Tensor, heads: int, precision: torch.dtype) -> Tensor:
    """What is added to attention logits, `(1 or B * heads, L, L)`: minus infinity where a token must not look."""
    length = visible.shape[1]
    seen = torch.ones(1, length, length, dtype=torch.bool, device=visible.device).tril()
    if not bool(visible.all()):
        # Padding sees itself: a softmax over nothing would be NaN.
        itself = torch.eye(length, dtype=torch.bool, device=visible.device)
        seen = ((seen & visible[:, None]) | itself).repeat_interleave(heads, dim=0)
    bias = torch.zeros(seen.shape, dtype=precision, device=visible.device)
    return bias.masked_fill_(~seen, float("-inf"))


def draw_kept(shape: torch.Size, rate: float, like: Tensor) -> Tensor:
    """What dropout multiplies by: 0 with probability `rate`, rounded to 1/65536, else what keeps the mean."""
    kept = like.new_empty(shape)
    if like.device.type != "cpu":
        return kept.bernoulli_(1.0 - rate).div_(1.0 - rate)
    # torch draws one number an element, which is a quarter of a training step; here 64 bits serve four elements.
    bits = torch.empty((kept.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    draws = bits.view(torch.int16)[: kept.numel()].view(shape)
    dropped = round(rate * 65536)
    torch.ge(draws, dropped - 32768, out=kept)
    return kept.mul_(65536 / (65536 - dropped))


def _run_block(
    block: nn.Module,
    hidden: Tensor,
    bias: Tensor,
    read: Tensor | None,
    heads: int,
    rate: float,
    precision: torch.dtype,
) -> Tensor:
    """A block's output of its input `(B, L, W)`: of all tokens, or of those at the places `read`."""
    parts: Any = block
    attention, network = parts.attn, parts.mlp
    normal = parts.ln_1(hidden).to(precision)  # (B, L, W)
    if read is not None:
        hidden, bias = hidden[:, read], bias[:, read]
    rows = len(hidden) * heads
    kept = draw_kept(torch.Size((rows, *bias.shape[1:])), rate, normal) if rate else None
    projection = _cast(attention.c_attn, precision)
    mixed = _attend(normal, *projection, bias.expand(rows, -1, -1), kept, read, heads)
    change = _multiply(mixed, *_cast(attention.c_proj, precision))  # (B, R, W)
    hidden = _add(hidden, change, attention.resid_dropout)
    normal = parts.ln_2(hidden).to(precision)
    change = _pass_network(
        normal, *_cast(network.c_fc, precision), *_cast(network.c_proj, precision)
    )
    return _add(hidden, change, network.dropout)


def _cast(layer: Any, precision: torch.dtype) -> tuple[Tensor, Tensor]:
    """Weight and bias of a layer in `precision`; their gradients come in full precision."""
    return layer.weight.to(precision), layer.bias.to(precision)


def _multiply(inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A linear layer with its weight `(in, out)` as GPT-2 has it, for `(B, L, in)`."""
    return torch.addmm(bias, inputs.flatten(0, 1), weight).view(*inputs.shape[:-1], -1)


def _add(hidden: Tensor, change: Tensor, dropout: nn.Dropout) -> Tensor:
    """The residual stream with a change, of which a share is dropped in training."""
    change = change.to(hidden.dtype)
    if not (dropout.training and dropout.p):
        return hidden + change
    output: Tensor = _add_kept(hidden, change, draw_kept(hidden.shape, dropout.p, hidden))
    return output


class _AddKept(torch.autograd.Function):
    """`hidden + change * kept`, in one pass."""

    @staticmethod
    def forward(context: Any, hidden: Tensor, change: Tensor, kept: Tensor) -> Tensor:
        context.save_for_backward(kept)
        return torch.addcmul(hidden, change, kept)

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (kept,) = context.saved_tensors
        return gradient, gradient * kept, None


class _Network(torch.autograd.Function):
    """The two layers with a ReLU between, the wide one's gradient in place."""

    @staticmethod
    def forward(
        context: Any,
        inputs: Tensor,
        rise: Tensor,
        rise_bias: Tensor,
        fall: Tensor,
        fall_bias: Tensor,
    ) -> Tensor:
        rows = inputs.flatten(0, 1)
        wide = torch.addmm(rise_bias, rows, rise).relu_()  # (B * L, inner width)
        context.save_for_backward(rows, wide, rise, fall)
        return torch.addmm(fall_bias, wide, fall).view(inputs.shape)

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        rows, wide, rise, fall = context.saved_tensors
        out = gradient.flatten(0, 1)
        into = out @ fall.t()
        torch.ops.aten.threshold_backward.grad_input(into, wide, 0, grad_input=into)
        inputs = (into @ rise.t()).view(gradient.shape)
        return inputs, rows.t() @ into, into.sum(0), wide.t() @ out, out.sum(0)


class _Attention(torch.autograd.Function):
    """Self-attention without its output layer: the tokens at the places `read`, or all, look at `(B, L, W)`.

    Queries, keys and values are multiplied apart, so that their gradients need not be put together again.
    """

    @staticmethod
    def forward(
        context: Any,
        inputs: Tensor,
        weight: Tensor,
        weight_bias: Tensor,
        bias: Tensor,
        kept: Tensor | None,
        read: Tensor | None,
        heads: int,
    ) -> Tensor:
        asking = inputs if read is None else inputs[:, read]  # (B, R, W)
        layers = zip(weight.chunk(3, 1), weight_bias.chunk(3), strict=True)
        query, key, value = (
            _split_heads(_multiply(tokens, *layer), heads)
            for tokens, layer in zip((asking, inputs, inputs), layers, strict=True)
        )
        scale = query.shape[-1] ** -0.5
        weights = torch.baddbmm(bias, query, key.transpose(1, 2), alpha=scale).softmax(-1)
        used = weights if kept is None else weights * kept
        context.save_for_backward(inputs, weight, query, key, value, weights, used, kept, read)
        context.heads, context.scale = heads, scale
        return _join_heads(torch.bmm(used, value), heads)

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight, query, key, value, weights, used, kept, read = context.saved_tensors
        heads = context.heads
        gradient = _split_heads(gradient, heads)
        logits = torch.bmm(gradient, value.transpose(1, 2))
        if kept is not None:
            logits.mul_(kept)
        logits = torch.ops.aten._softmax_backward_data(logits, weights, -1, weights.dtype)
        logits.mul_(context.scale)
        queries, keys, values = (
            _join_heads(x, heads).flatten(0, 1)
            for x in (
                torch.bmm(logits, key),
                torch.bmm(logits.transpose(1, 2), query),
                torch.bmm(used.transpose(1, 2), gradient),
            )
        )
        of_query, of_key, of_value = (part.t() for part in weight.chunk(3, 1))
        rows = asking = inputs.flatten(0, 1)
        into = (keys @ of_key).addmm_(values, of_value)  # (B * L, W)
        if read is None:
            into.addmm_(queries, of_query)
        else:
            asking = inputs[:, read].flatten(0, 1)
            into_asking = (queries @ of_query).view(len(inputs), len(read), -1)
            into.view(inputs.shape).index_add_(1, read, into_asking)
        into_weight = torch.cat([asking.t() @ queries, rows.t() @ keys, rows.t() @ values], 1)
        into_bias = torch.cat([x.sum(0) for x in (queries, keys, values)])
        return into.view(inputs.shape), into_weight, into_bias, None, None, None, None


def _split_heads(inputs: Tensor, heads: int) -> Tensor:
    """`(B * heads, L, W / heads)` of `(B, L, W)`."""
    if heads == 1:
        return inputs
    batch, length, width = inputs.shape
    return inputs.view(batch, length, heads, width // heads).transpose(1, 2).flatten(0, 1)


def _join_heads(inputs: Tensor, heads: int) -> Tensor:
    """`(B, L, W)` of `(B * heads, L, W / heads)`."""
    if heads == 1:
        return inputs
    rows, length, size = inputs.shape
    split = inputs.view(rows // heads, heads, length, size)
    return split.transpose(1, 2).reshape(rows // heads, length, heads * size)


_attend: Any = _Attention.apply
_pass_network: Any = _Network.apply
_add_kept: Any = _AddKept.apply
