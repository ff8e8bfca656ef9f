"""What regressions of the context alone say of any step, and how much they are expected to miss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..common.planning.rows import Rows
from ..common.planning.termination import BELIEF, EndRegression
from .regression import KernelRegression
from .scales import ContextScales, measure_scales

CLIP = 10.0
"""Normalised observations are clipped to plus or minus this."""

LEAST_MISSED = 1e-4
"""The regressions' numbers are no better than this share of what is predicted."""

CONSTANT = 1e-6
"""Observations that differ by no more are constant."""

DOUBT = 0.2
"""How much a logit's variance draws it to that of the rate of ends.

In synthetic worlds 0.1 is best for a context of rows from everywhere, 0.4 and more for one of a few whole episodes.
"""


@dataclass(frozen=True)
class Guess:
    """What the regressions say of M rows.

    Attributes:
        inputs: `(B, M, S + A)` the rows' normalised states and action features, unused slots 0.
        value: `(B, M, S + 2)` changes and reward, in units of the scales, and the logit of an end.
        unit: `(B, M, S + 2)` how much they are expected to miss, in the same units.
    """

    inputs: Tensor
    value: Tensor
    unit: Tensor


@dataclass(frozen=True)
class Regressions:
    """Regressions of B environments' contexts.

    Attributes:
        scales: normalisation.
        state_used: `(B, S)` bool.
        action_used: `(B, A)` bool.
        changes: on state and action.
        reward: on state, action and next state.
        missed: `(B, 1, S + 1)` root of the mean square of what these two miss, in units of the scales.
        ends: on the next state.
        end_rate: `(B, 1)` logit of the share of rows that end.
        left_out: what the other rows make of each row of the context.
    """

    scales: ContextScales
    state_used: Tensor
    action_used: Tensor
    changes: KernelRegression
    reward: KernelRegression
    missed: Tensor
    ends: EndRegression
    end_rate: Tensor
    left_out: Guess

    @staticmethod
    def fit(
        context: Rows, state_used: Tensor, action_used: Tensor, prior_weight: float
    ) -> Regressions:
        """Fit them to N rows, 0 or more."""
        scales = measure_scales(context, state_used, prior_weight)
        outcome = scale_outcomes(context, scales)
        inputs = _make_inputs(
            context.observations, context.actions, scales, state_used, action_used
        )
        reached = _normalise_places(context.next_observations, scales, state_used)
        varied = state_used & _mark_varied(context)
        used = torch.cat([varied, action_used], 1)
        every, seen = torch.cat([used, varied], 1), torch.cat([inputs, reached], 2)
        places, acted = _list_columns(state_used), _list_columns(action_used)
        columns = (*places, *(state_used.shape[1] + each for each in acted))
        both = (*columns, *(inputs.shape[2] + each for each in places))
        changes = KernelRegression.fit(
            inputs, outcome[..., :-1], context.valid, used, columns, sums=False
        )
        reward = KernelRegression.fit(
            seen, outcome[..., -1:], context.valid, every, both, sums=True
        )
        said = torch.cat([changes.left_out, reward.left_out], 2)
        leverage = torch.cat([changes.leverage, reward.leverage], 2)
        missed = _measure_missed((outcome - said) / (1.0 + leverage).sqrt(), context.valid, scales)
        value, unit = _shrink_by_distance(said, leverage, missed)
        ends = EndRegression.fit(reached, context.ends, context.valid)
        ended, rows = (
            (context.ends & context.valid).sum(1, keepdim=True),
            context.valid.sum(1, keepdim=True),
        )
        rate = ((ended + BELIEF[0]) / (rows - ended + BELIEF[1])).log()
        end = _moderate_logits(ends.left_out, ends.deviations, rate)
        left_out = Guess(inputs, append_column(value, end), append_column(unit, ends.deviations))
        return Regressions(
            scales, state_used, action_used, changes, reward, missed, ends, rate, left_out
        )

    def guess(self, observations: Tensor, actions: Tensor) -> Guess:
        """What they say of `(B, M, S)` observations and `(B, M, A)` action features."""
        scales = self.scales
        inputs = _make_inputs(observations, actions, scales, self.state_used, self.action_used)
        change, change_unit = _shrink_by_distance(
            *self.changes.predict(inputs), self.missed[..., :-1]
        )
        reached = _normalise_places(
            observations + change * scales.change * scales.moving, scales, self.state_used
        )
        reward, reward_unit = _shrink_by_distance(
            *self.reward.predict(torch.cat([inputs, reached], 2)), self.missed[..., -1:]
        )
        logits, deviations = self.ends.logits(reached)
        end = _moderate_logits(logits, deviations, self.end_rate)
        return Guess(
            inputs,
            append_column(torch.cat([change, reward], 2), end),
            append_column(torch.cat([change_unit, reward_unit], 2), deviations),
        )


def _mark_varied(context: Rows) -> Tensor:
    """`(B, S)` bool: observations that differ between rows; all of them where there are fewer than two rows.

    Of one that does not, rows cannot tell what its differing would do: 17 to 21 of the 39 of Meta-World's reach.
    """
    both = torch.cat([context.observations, context.next_observations], 1)
    valid = torch.cat([context.valid, context.valid], 1)[..., None]
    if not both.shape[1]:
        return both.new_ones(len(both), both.shape[2], dtype=torch.bool)
    most = both.masked_fill(~valid, -torch.inf).amax(1)
    least = both.masked_fill(~valid, torch.inf).amin(1)
    return (most - least > CONSTANT) | (context.valid.sum(1, keepdim=True) < 2)


def _list_columns(used: Tensor) -> tuple[int, ...]:
    """Those that some environment uses: all of one suite use the same."""
    return tuple(used.any(0).nonzero()[:, 0].tolist())


def scale_outcomes(rows: Rows, scales: ContextScales) -> Tensor:
    """`(B, N, S + 1)` changes, 0 in slots that do not move, and reward in units of the scales."""
    change = (rows.next_observations - rows.observations) / scales.change * scales.moving
    return append_column(change, (rows.rewards - scales.reward_mean) / scales.reward_spread)


def append_column(rest: Tensor, last: Tensor) -> Tensor:
    """`(B, M, D + 1)` of `(B, M, D)` and `(B, M)`."""
    return torch.cat([rest, last[..., None]], 2)


def _make_inputs(
    observations: Tensor,
    actions: Tensor,
    scales: ContextScales,
    state_used: Tensor,
    action_used: Tensor,
) -> Tensor:
    return torch.cat(
        [_normalise_places(observations, scales, state_used), actions * action_used[:, None]], 2
    )


def _normalise_places(observations: Tensor, scales: ContextScales, used: Tensor) -> Tensor:
    """`(B, M, S)` normalised observations, unused slots 0."""
    return ((observations - scales.mean) / scales.spread).clamp(-CLIP, CLIP) * used[:, None]


def _measure_missed(wrong: Tensor, valid: Tensor, scales: ContextScales) -> Tensor:
    """`(B, 1, S + 1)`: with few rows it leans on 1, the size of what is to be predicted.

    Orders of size are averaged: of sizes the mean would be nearly 1 even where 20 rows fix all to a hundredth.
    """
    keep = valid[..., None].float()
    square = (wrong.square() * keep).sum(1, keepdim=True) / keep.sum(1, keepdim=True).clamp(min=1.0)
    return (0.5 * scales.weight * square.clamp(min=LEAST_MISSED**2).log()).exp()


def _shrink_by_distance(said: Tensor, leverage: Tensor, missed: Tensor) -> tuple[Tensor, Tensor]:
    """What a regression says, less where it lies far from the context; and how much it is expected to miss there.

    Both are what Bayes' rule says of a regression whose outputs are of size 1; no more is ever missed than that.
    """
    far = missed.square() * leverage
    return said / (1.0 + far), (missed.square() + far).sqrt().minimum(missed.clamp(min=1.0))


def _moderate_logits(logits: Tensor, deviations: Tensor, rate: Tensor) -> Tensor:
    """`(B, M)` logits drawn to `(B, 1)` that of the rate, where they are in doubt: after MacKay (1992), who draws to 0.

    A few episodes, which an end separates from all else, leave the regression far too sure: after one of 64 rows, other
    episodes of synthetic worlds cost it 0.62 nats a step undrawn and 0.18 so, as telling the rate does.
    """
    return rate + (logits - rate) / (1.0 + DOUBT * deviations.square()).sqrt()
