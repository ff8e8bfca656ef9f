"""The world model: a transformer that reads transitions of an unknown environment and predicts others there.

Context rows attend to each other, queries to the context only and not to themselves, so what the context makes of
itself never depends on the queries: its keys and values are computed once (`condition`) and serve any number of
queries. Nothing knows the order of rows.

What is predicted are changes and rewards, less what regressions of the context say of them (`guess`), in units
of what these miss of rows that they have not seen; and by how much the logistic regression of ends errs.
Normalisation reads context rows alone, and leans on the prior's scales where there are few.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from ..common.planning.rows import Answers, Rows
from ..fitted_models.context_regression import Guess, Regressions, append_column, scale_outcomes
from .bars import BarDistribution
from .config import ModelConfig

CLIP = 10.0
"""What the transformer reads is clipped to plus or minus this."""

FAR = 20.0
"""Targets are clipped to plus or minus this: far out in the tails, one row would outweigh all others."""


@dataclass(frozen=True)
class ConditionedContext:
    """A context that has been read: keys and values of every layer, `(B, heads, N + 1, width / heads)` each.

    Attributes:
        keys: one tensor a layer.
        values: one tensor a layer.
        mask: `(B, 1, 1, N + 1)` bool: which of them count.
        regressions: what the transformer starts from.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    mask: Tensor
    regressions: Regressions


class OSWMWorldModel(nn.Module):
    """The transformer, with S state slots and A action slots."""

    def __init__(self, config: ModelConfig) -> None:
        """Make an untrained model."""
        super().__init__()
        self.config = config
        slots, actions, width = config.state_slots, config.action_slots, config.width
        self.read_input = _make_perceptron(2 * (slots + actions) + 2 * (slots + 2), width)
        self.read_outcome = _make_perceptron(slots + 2, width)
        self.nothing = nn.Parameter(torch.zeros(width))
        self.query = nn.Parameter(torch.zeros(width))
        self._layers = [_ContextLayer(width, config.heads) for _ in range(config.layers)]
        self.layers = nn.ModuleList(self._layers)
        self.norm = nn.LayerNorm(width)
        self.bars = BarDistribution(config.buckets)
        self.predict_rest = nn.Linear(width, (slots + 1) * config.buckets)
        self.predict_end = nn.Linear(width, 1)
        for parameter in (self.nothing, self.query):
            nn.init.normal_(parameter, std=0.02)
        nn.init.zeros_(self.predict_end.weight)  # it begins as the regression of ends
        nn.init.zeros_(self.predict_end.bias)

    def condition(
        self, context: Rows, state_used: Tensor, action_used: Tensor
    ) -> ConditionedContext:
        """Read a context of N rows, 0 or more."""
        regressions = Regressions.fit(context, state_used, action_used, self.config.prior_weight)
        guess, outcome = regressions.left_out, scale_outcomes(context, regressions.scales)
        rest = ((outcome - guess.value[..., :-1]) / guess.unit[..., :-1]).clamp(-CLIP, CLIP)
        tokens = self._make_tokens(regressions, guess) + self.read_outcome(
            append_column(rest, context.ends.to(rest.dtype))
        )
        tokens = torch.cat([self.nothing.expand(len(tokens), 1, -1), tokens], 1)
        mask = functional.pad(context.valid, (1, 0), value=True)[:, None, None]
        keys, values = [], []
        for layer in self._layers:
            key, value = layer.keys_and_values(tokens)
            tokens = layer(tokens, key, value, mask)
            keys.append(key)
            values.append(value)
        return ConditionedContext(tuple(keys), tuple(values), mask, regressions)

    def logits(
        self, given: ConditionedContext, observations: Tensor, actions: Tensor
    ) -> tuple[Tensor, Tensor, Guess]:
        """Of what the regression misses, for M queries: `(B, M, S + 1, buckets)`, changes and then the reward.

        Also the logits `(B, M)` of ends, and what the regressions say.
        """
        tokens, guess = self._read(given, observations, actions)
        shape = (*tokens.shape[:2], self.config.state_slots + 1, self.config.buckets)
        return self.predict_rest(tokens).view(shape), self._end_logits(tokens, guess), guess

    def forward(
        self,
        given: ConditionedContext,
        observations: Tensor,
        actions: Tensor,
        slots: int | None = None,
    ) -> Answers:
        """Predict what `(B, M, S)` observations and `(B, M, A)` action features lead to.

        Of the state slots only the first `slots` are predicted, which must hold all that are used; the rest stay. By
        default all are.
        """
        slots = self.config.state_slots if slots is None else slots
        tokens, guess = self._read(given, observations, actions)
        kept = [*range(slots), self.config.state_slots]
        weight, bias = self.predict_rest.weight, self.predict_rest.bias
        rows = (self.config.state_slots + 1, self.config.buckets)
        chosen = weight.view(*rows, -1)[kept].flatten(0, 1), bias.view(rows)[kept].flatten()
        rest = functional.linear(tokens, *chosen).view(*tokens.shape[:2], slots + 1, -1)
        value, unit = guess.value[..., kept], guess.unit[..., kept]
        # A network is never sure that nothing lies far out, so the median is nearer than the mean. Rewards that are
        # seldom earned count, so of those it is the mean, without a twentieth on either side.
        low, median, high = self.bars.quantiles(rest, (0.16, 0.5, 0.84))
        earned = self.bars.central_mean(rest[..., -1:, :], 0.9)
        found = value + torch.cat([median[..., :-1], earned], 2) * unit
        deviation = 0.5 * (high - low) * unit
        scales = given.regressions.scales
        step, idle = (scales.change * scales.moving)[..., :slots], self.config.state_slots - slots
        return Answers(
            next_observations=observations + functional.pad(found[..., :-1] * step, (0, idle)),
            deviations=functional.pad(deviation[..., :-1] * step, (0, idle)),
            rewards=found[..., -1] * scales.reward_spread + scales.reward_mean,
            reward_deviations=deviation[..., -1] * scales.reward_spread,
            ends=self._end_logits(tokens, guess).sigmoid(),
        )

    def query_loss(
        self, given: ConditionedContext, queries: Rows
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Negative log-likelihoods of the queries, summed: mean over used, moving slots; of rewards; of ends."""
        rest, ends, guess = self.logits(given, queries.observations, queries.actions)
        target, counted = self.targets(given, queries, guess)
        each = self.bars.loss(rest, target) * counted
        end_loss = functional.binary_cross_entropy_with_logits(
            ends, queries.ends.float(), reduction="none"
        )
        valid = queries.valid.float()
        info = {
            "change": each[..., :-1].sum() / counted[..., :-1].sum().clamp(min=1.0),
            "reward": each[..., -1].sum() / valid.sum().clamp(min=1.0),
            "end": (end_loss * valid).sum() / valid.sum().clamp(min=1.0),
        }
        return torch.stack(list(info.values())).sum(), info

    def targets(
        self, given: ConditionedContext, queries: Rows, guess: Guess
    ) -> tuple[Tensor, Tensor]:
        """`(B, M, S + 1)` what the regression misses of queries, in its units; and which of it counts, as 0 or 1."""
        moving = given.regressions.scales.moving
        target = (
            scale_outcomes(queries, given.regressions.scales) - guess.value[..., :-1]
        ) / guess.unit[..., :-1]
        counted = (
            torch.cat([moving, torch.ones_like(moving[..., :1])], 2) & queries.valid[..., None]
        )
        return target.clamp(-FAR, FAR), counted.float()

    def _read(
        self, given: ConditionedContext, observations: Tensor, actions: Tensor
    ) -> tuple[Tensor, Guess]:
        """`(B, M, width)` tokens of queries that have attended to the context, and what the regressions say."""
        guess = given.regressions.guess(observations, actions)
        tokens = self._make_tokens(given.regressions, guess) + self.query
        for layer, keys, values in zip(self._layers, given.keys, given.values, strict=True):
            tokens = layer(tokens, keys, values, given.mask)
        return self.norm(tokens), guess

    def _end_logits(self, tokens: Tensor, guess: Guess) -> Tensor:
        """`(B, M)`."""
        return torch.as_tensor(self.predict_end(tokens)[..., 0] + guess.value[..., -1])

    def _make_tokens(self, regressions: Regressions, guess: Guess) -> Tensor:
        flags = torch.cat([regressions.state_used, regressions.action_used], 1)[:, None]
        said = [guess.value.clamp(-CLIP, CLIP), guess.unit.log()]
        read = torch.cat(
            [guess.inputs, flags.expand(guess.inputs.shape).to(guess.inputs.dtype), *said], 2
        )
        return torch.as_tensor(self.read_input(read))


class _ContextLayer(nn.Module):
    """Attention to the context and a perceptron, both behind a normalisation."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.second_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.ask, self.answer = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        for linear in (self.out, self.narrow):  # every layer begins as the identity
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)

    def keys_and_values(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """`(B, heads, N, width / heads)` each."""
        key, value = (
            self.answer(self.norm(context))
            .unflatten(2, (2 * self.heads, -1))
            .transpose(1, 2)
            .chunk(2, 1)
        )
        return key, value

    def forward(self, tokens: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        """`(B, M, width)` tokens after attending to the context."""
        asked = self.ask(self.norm(tokens)).unflatten(2, (self.heads, -1)).transpose(1, 2)
        attended = functional.scaled_dot_product_attention(asked, key, value, mask)
        tokens = tokens + self.out(attended.transpose(1, 2).flatten(2))
        return torch.as_tensor(
            tokens + self.narrow(functional.gelu(self.widen(self.second_norm(tokens))))
        )


def _make_perceptron(inputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
