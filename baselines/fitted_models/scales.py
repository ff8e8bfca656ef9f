"""Normalisation of environments by rows of their context, which leans on the prior's scales where there are few."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..common.planning.rows import Rows

SMALLEST = 1e-6
"""A slot whose values spread less than this in the context is constant: it is predicted to stay."""


@dataclass(frozen=True)
class ContextScales:
    """Normalisation of B environments: `(B, 1, S)` for states and changes, `(B, 1)` for rewards.

    Attributes:
        mean: of observations.
        spread: of observations, their standard deviation.
        change: root of the mean squared change of a step.
        reward_mean: of rewards.
        reward_spread: of rewards.
        moving: `(B, 1, S)` bool: slots that change at all.
        weight: `(B, 1, 1)` share of the context in them; the prior's is the rest.
    """

    mean: Tensor
    spread: Tensor
    change: Tensor
    reward_mean: Tensor
    reward_spread: Tensor
    moving: Tensor
    weight: Tensor


def measure_scales(rows: Rows, state_used: Tensor, weight: float) -> ContextScales:
    """Normalisation from context rows, which counts `weight` rows of spread 1, change 0.1 and reward spread 1 more."""
    valid = rows.valid[..., None].float()
    count = valid.sum(1, keepdim=True)
    share = count / (count + weight)
    mean = (rows.observations * valid).sum(1, keepdim=True) / count.clamp(min=1.0)
    variance = ((rows.observations - mean).square() * valid).sum(1, keepdim=True) / count.clamp(
        min=1.0
    )
    change = (rows.next_observations - rows.observations).square()
    change = (change * valid).sum(1, keepdim=True) / count.clamp(min=1.0)
    flat, single = rows.valid.float(), count[:, :, 0]
    reward_mean = (rows.rewards * flat).sum(1, keepdim=True) / single.clamp(min=1.0)
    reward_variance = ((rows.rewards - reward_mean).square() * flat).sum(
        1, keepdim=True
    ) / single.clamp(min=1.0)
    moving = ((change > SMALLEST**2) | (count < 2)) & state_used[:, None]
    leaning = share[:, :, 0]
    return ContextScales(
        mean=share * mean,
        spread=(share * variance + (1 - share)).sqrt().clamp(min=SMALLEST),
        change=(share * change + (1 - share) * 0.01).sqrt().clamp(min=SMALLEST),
        reward_mean=leaning * reward_mean,
        reward_spread=(leaning * reward_variance + (1 - leaning)).sqrt().clamp(min=SMALLEST),
        moving=moving,
        weight=share,
    )
