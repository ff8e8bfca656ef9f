"""Symmetric logarithms, and numbers as weights of two neighbouring bins."""

from __future__ import annotations

import torch
from torch import Tensor

LARGEST = 20.0
"""Bins lie between minus and plus this, in logarithms."""


def symlog(values: Tensor) -> Tensor:
    """Sign times the logarithm of 1 plus the size."""
    return values.sign() * values.abs().log1p()


def symexp(values: Tensor) -> Tensor:
    """The inverse of `symlog`."""
    return values.sign() * values.abs().expm1()


def make_bins(count: int) -> Tensor:
    """`(count,)` centres of bins, in logarithms."""
    return torch.linspace(-LARGEST, LARGEST, count)


def spread_over_bins(values: Tensor, bins: Tensor) -> Tensor:
    """`(..., bins)` weights of the two bins around each of `(...)` values, whose mean is the value; it is clipped."""
    placed = symlog(values).clamp(bins[0], bins[-1])
    step = (bins[-1] - bins[0]) / (len(bins) - 1)
    distance = (placed[..., None] - bins).abs() / step
    return (1.0 - distance).clamp(min=0.0)


def average_bins(logits: Tensor, bins: Tensor) -> Tensor:
    """The values `(...)` that `(..., bins)` logits tell: the mean in logarithms, taken back.

    Published is the mean of the bins' own values, the largest of which are 5e8: it loses small ones to rounding unless
    sums are symmetric. A mean in logarithms is what a mean error in logarithms asks for.
    """
    return symexp((logits.softmax(-1) * bins).sum(-1))
