"""What kernels are made of: linear features, bumps of one input each, exponentials."""

from __future__ import annotations

import math

import torch
from torch import Tensor

LENGTH, EDGE, BUMPS = 0.5, 4.0, 25
"""Such a function is made of so many bumps from minus to plus the edge; beyond, it is linear.

They lie so near to each other that their kernel is radial to 1e-4.
"""

LEAST_EXPONENT = -40.0
"""Kernels are no less than the exponential of this, 4e-18.

Processors multiply numbers below 1e-38 a hundred times slower than others, and most rows are as far as that from most
queries: with them 512 queries of 256 rows of the size of cheetah-vel's took three times as long.
"""


def exponentiate(exponent: Tensor) -> Tensor:
    """The exponential, in place."""
    return exponent.clamp_(min=LEAST_EXPONENT).exp_()


def make_linear_features(inputs: Tensor) -> Tensor:
    """`(B, M, C + 1)` the features of the linear kernel."""
    return torch.cat([inputs, torch.ones_like(inputs[..., :1])], 2)


def make_bump_features(inputs: Tensor, share: Tensor) -> Tensor:
    """`(B, M, C BUMPS)` the features of the sum of radial kernels of one input each."""
    middles = torch.linspace(-EDGE, EDGE, BUMPS, dtype=inputs.dtype, device=inputs.device)
    size = 2.0 * EDGE / (BUMPS - 1) / (LENGTH * math.sqrt(math.pi / 2.0))
    # Half of what a query costs is passes over these numbers, so they are few: the factor is within the exponent.
    factor = (size**0.5 * share).log()[..., None]  # (B, 1, C, 1)
    apart = (inputs / LENGTH)[..., None] - middles / LENGTH  # (B, M, C, BUMPS)
    exponent = torch.addcmul(factor, apart, apart, value=-1.0)
    return torch.flatten(exponent.clamp_(min=LEAST_EXPONENT).exp_(), 2)
