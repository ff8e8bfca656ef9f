"""The world model as published: points instead of distributions, absolute next states, contexts of 500 to 999 rows.

Written from facts of the paper (Ferreira et al. 2024, arXiv 2409.14084) and its released code. Context rows attend to
each other, queries to the context only, so the context's keys and values are computed once and serve any number of
queries; the released code computes them anew for each query, with the same result.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from .config import PublishedWorldModelConfig


@dataclass(frozen=True)
class SlotNormalisation:
    """Normalisation of G environments' slots.

    Attributes:
        mean: `(G, 1, S + A)`; NaN without rows.
        deviation: `(G, 1, S + A)`, as of a sample: of fewer than two rows it is NaN.
    """

    mean: Tensor
    deviation: Tensor

    @staticmethod
    def measure(values: Tensor, valid: Tensor | None = None) -> SlotNormalisation:
        """Of `(G, N, S + A)` rows, all or the `(G, N)` valid ones."""
        counted = (torch.ones(values.shape[:2], device=values.device) if valid is None else valid)[
            ..., None
        ].double()
        count = counted.sum(1, keepdim=True)
        exact = values.double()  # so that the deviation of a constant is 0, not a rounding error
        mean = (exact * counted).sum(1, keepdim=True) / count
        variance = ((exact - mean).square() * counted).sum(1, keepdim=True) / (count - 1.0)
        return SlotNormalisation(mean.to(values.dtype), variance.sqrt().to(values.dtype))

    def normalise(self, values: Tensor) -> Tensor:
        """As published: 0 / 0 is 0, and what differs from a constant is as large as a number can be."""
        return ((values - self.mean) / self.deviation).nan_to_num()

    def denormalise(self, values: Tensor) -> Tensor:
        """The inverse; a constant's deviation of 0 lets nothing but the constant come back."""
        return values * self.deviation + self.mean


@dataclass(frozen=True)
class PublishedContext:
    """A context that has been read.

    Attributes:
        keys: one tensor a layer, `(G, heads, N, width / heads)`.
        values: the same.
        mask: `(G, 1, 1, N)` bool, which rows count; None if all do.
        inputs: normalisation of the input slots.
        outputs: normalisation of the output slots.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    mask: Tensor | None
    inputs: SlotNormalisation
    outputs: SlotNormalisation


class PublishedWorldModel(nn.Module):
    """S state slots and A action slots; a row is `S + A` numbers in, and `S + A` numbers out, the last the reward."""

    def __init__(self, config: PublishedWorldModelConfig) -> None:
        """Make an untrained model; of the published size it has 16,129,280 parameters."""
        super().__init__()
        self.config = config
        width = config.width
        self.read_state = RowEncoder(config.state_slots, width)
        self.read_action = RowEncoder(config.action_slots, width)
        self.read_next_state = RowEncoder(config.state_slots, width)
        self.read_reward = RowEncoder(1, width)
        self.layers = nn.ModuleList(
            PublishedLayer(width, config.heads) for _ in range(config.layers)
        )
        self.predict_state = RowDecoder(width, config.state_slots)
        self.predict_reward = RowDecoder(width, 1)

    def make_tokens(self, inputs: Tensor, outputs: Tensor | None = None) -> Tensor:
        """`(G, N, width)` of scaled rows: of context rows with `outputs`, of queries without."""
        slots = self.config.state_slots
        before = torch.cat(
            [self.read_state(inputs[..., :slots]), self.read_action(inputs[..., slots:])], -1
        )
        if outputs is None:
            return torch.cat([before, torch.zeros_like(before)], -1)
        after = self.read_next_state(outputs[..., :slots]), self.read_reward(outputs[..., -1:])
        return torch.cat([before, *after], -1)

    def read(
        self,
        inputs: Tensor,
        outputs: Tensor,
        valid: Tensor | None = None,
        scales: tuple[SlotNormalisation, SlotNormalisation] | None = None,
    ) -> PublishedContext:
        """Read a context.

        Args:
            inputs: `(G, N, S + A)`.
            outputs: `(G, N, S + A)`.
            valid: `(G, N)` bool, which rows count; None if all do.
            scales: normalisation of inputs and outputs, if it is not that of these rows.
        """
        of_inputs, of_outputs = scales or (
            SlotNormalisation.measure(inputs, valid),
            SlotNormalisation.measure(outputs, valid),
        )
        tokens = self.make_tokens(of_inputs.normalise(inputs), of_outputs.normalise(outputs))
        mask = None if valid is None or bool(valid.all()) else valid[:, None, None]
        keys: list[Tensor] = []
        values: list[Tensor] = []
        for number, layer in enumerate(self.layers, start=1):
            assert isinstance(layer, PublishedLayer)
            key, value = layer.keys_and_values(tokens)
            keys.append(key)
            values.append(value)
            if number < len(self.layers):  # what the last layer makes of the context, nobody reads
                tokens = layer(tokens, key, value, mask)
        return PublishedContext(tuple(keys), tuple(values), mask, of_inputs, of_outputs)

    def predict_normalised(self, given: PublishedContext, inputs: Tensor) -> Tensor:
        """`(G, M, S + A)` predictions for as many queries, in units of the context's normalisation."""
        tokens = self.make_tokens(given.inputs.normalise(inputs))
        for layer, key, value in zip(self.layers, given.keys, given.values, strict=True):
            tokens = layer(tokens, key, value, given.mask)
        state, reward = self.predict_state(tokens), self.predict_reward(tokens)
        return torch.cat(
            [state, state.new_zeros(*state.shape[:-1], self.config.action_slots - 1), reward], -1
        )

    def forward(self, given: PublishedContext, inputs: Tensor) -> Tensor:
        """`(G, M, S + A)` predictions for as many queries: next states, zeros, rewards."""
        return given.outputs.denormalise(self.predict_normalised(given, inputs))


class RowEncoder(nn.Module):
    """Five linear layers and four GELUs; the first layer's output is added after each later GELU."""

    def __init__(self, inputs: int, width: int) -> None:
        """Encode `inputs` numbers as a quarter of a token of `width`."""
        super().__init__()
        self.first = nn.Linear(inputs, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(3))
        self.last = nn.Linear(width, width // 4)

    def forward(self, values: Tensor) -> Tensor:
        """`(..., width / 4)` of `(..., inputs)`."""
        skipped = self.first(values)
        hidden = functional.gelu(skipped)
        for linear in self.hidden:
            hidden = functional.gelu(linear(hidden)) + skipped
        return torch.as_tensor(self.last(hidden))


class RowDecoder(nn.Module):
    """The same kind of network with sigmoids, one layer less, and no biases."""

    def __init__(self, width: int, outputs: int) -> None:
        """Decode tokens of `width` into `outputs` numbers."""
        super().__init__()
        inner = width // 8
        self.first = nn.Linear(width, inner, bias=False)
        self.hidden = nn.ModuleList(nn.Linear(inner, inner, bias=False) for _ in range(2))
        self.last = nn.Linear(inner, outputs, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """`(..., outputs)` of `(..., width)`."""
        skipped = self.first(tokens)
        hidden = skipped.sigmoid()
        for linear in self.hidden:
            hidden = linear(hidden).sigmoid() + skipped
        return torch.as_tensor(self.last(hidden))


class PublishedLayer(nn.Module):
    """Attention to the context, then a perceptron, each added and then normalised; both begin as nothing."""

    def __init__(self, width: int, heads: int) -> None:
        """Make a layer for tokens of `width`."""
        super().__init__()
        self.heads = heads
        self.ask, self.answer, self.out = (nn.Linear(width, parts * width) for parts in (1, 2, 1))
        self.widen, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.norm, self.second_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        reach = math.sqrt(
            6.0 / (width + 3 * width)
        )  # of one matrix for the three, as in PyTorch's own attention
        for linear in (self.ask, self.answer):
            nn.init.uniform_(linear.weight, -reach, reach)
            nn.init.zeros_(linear.bias)
        for linear in (self.out, self.narrow):
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)

    def keys_and_values(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """`(G, heads, N, width / heads)` each, of `(G, N, width)` context tokens."""
        key, value = (
            self.answer(context).unflatten(2, (2 * self.heads, -1)).transpose(1, 2).chunk(2, 1)
        )
        return key, value

    def forward(self, tokens: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        """`(G, M, width)` tokens after attending to the context, where `mask`, if any, is true."""
        asked = self.ask(tokens).unflatten(2, (self.heads, -1)).transpose(1, 2)
        attended = (
            functional.scaled_dot_product_attention(asked, key, value, mask)
            .transpose(1, 2)
            .flatten(2)
        )
        tokens = self.norm(tokens + self.out(attended))
        return torch.as_tensor(
            self.second_norm(tokens + self.narrow(functional.gelu(self.widen(tokens))))
        )
