"""The bar distribution: a density that is constant within buckets, with half-normal tails."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class BarDistribution(nn.Module):
    """Densities over the real line from logits of K buckets (Müller et al. 2021; PFNs).

    The inner buckets are uniform. The two outer ones are half-normal, away from the middle, with half of their mass
    within a width of their neighbour's.
    """

    borders: Tensor
    """`(K - 1,)` ascending: between the buckets."""

    def __init__(self, buckets: int) -> None:
        """Borders that cut a normal distribution into equal masses, until `fit` finds better ones."""
        super().__init__()
        masses = torch.arange(1, buckets, dtype=torch.float64) / buckets
        self.register_buffer("borders", torch.special.ndtri(masses).float())

    def fit(self, values: Tensor) -> None:
        """Borders that cut the given values into equal masses, kept apart where many values coincide.

        The outermost are the smallest and the largest value: tails are for what was never seen. With borders nearer the
        middle, a few far values in a half-normal's tail would cost more than all others together.
        """
        at = torch.linspace(0.0, 1.0, len(self.borders), dtype=torch.float64)
        ranked = values.flatten().double().sort().values
        borders = ranked[(at * (len(ranked) - 1)).long()]
        least = 1e-4 * float(borders[-1] - borders[0])
        for i in range(
            1, len(borders)
        ):  # each from the one before, which may have been moved itself
            borders[i] = torch.maximum(borders[i], borders[i - 1] + least)
        self.borders.copy_(borders.float())

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Negative log density of `target`, of the shape of `logits` without its last dimension."""
        bucket = torch.searchsorted(self.borders, target.contiguous())
        chosen = logits.log_softmax(-1).gather(-1, bucket[..., None])[..., 0]
        return -(chosen + self._log_density(target, bucket))

    def quantiles(self, logits: Tensor, levels: Sequence[float]) -> Sequence[Tensor]:
        """Below each lies a share of the mass, its level; tails are taken for as wide as half of their mass reaches."""
        mass, low, high = logits.softmax(-1), *self._reach()
        below = mass.cumsum(-1)
        wanted = below.new_tensor(levels).expand(*below.shape[:-1], -1).contiguous()
        bucket = torch.searchsorted(below, wanted).clamp(max=len(low) - 1)
        inside = mass.gather(-1, bucket)
        # How far into the bucket the level lies: its mass is spread evenly.
        share = (wanted - below.gather(-1, bucket) + inside) / inside.clamp(min=1e-12)
        return (low[bucket] + share.clamp(0.0, 1.0) * (high - low)[bucket]).unbind(-1)

    def central_mean(self, logits: Tensor, share: float) -> Tensor:
        """Mean of the middle `share` of the mass, which a little mass far out does not move."""
        mass, low, high = logits.softmax(-1), *self._reach()
        above = mass.cumsum(-1)
        outside = (1.0 - share) / 2.0
        kept = (above.clamp(max=1.0 - outside) - (above - mass).clamp(min=outside)).clamp(min=0.0)
        return (kept @ ((low + high) / 2.0)) / kept.sum(-1)

    def _reach(self) -> tuple[Tensor, Tensor]:
        """`(K,)` where each bucket begins and ends; tails end where half of their mass does."""
        widths = self.borders[1] - self.borders[0], self.borders[-1] - self.borders[-2]
        return (
            torch.cat([self.borders[:1] - widths[0], self.borders]),
            torch.cat([self.borders, self.borders[-1:] + widths[1]]),
        )

    def _tail(self) -> tuple[Tensor, Tensor]:
        """Scales of the left and the right half-normal: half of the mass lies within the neighbour's width."""
        widths = self.borders[1] - self.borders[0], self.borders[-1] - self.borders[-2]
        half = math.sqrt(2.0) * float(torch.special.erfinv(torch.tensor(0.5, dtype=torch.float64)))
        return widths[0] / half, widths[1] / half

    def _log_density(self, target: Tensor, bucket: Tensor) -> Tensor:
        """Log density within the bucket that the target lies in."""
        left, right = self._tail()
        widths = self.borders[1:] - self.borders[:-1]
        inner = -widths.log()[(bucket - 1).clamp(0, len(widths) - 1)]
        below = _half_normal(self.borders[0] - target, left)
        above = _half_normal(target - self.borders[-1], right)
        return torch.where(
            bucket == 0, below, torch.where(bucket == len(self.borders), above, inner)
        )


def _half_normal(distance: Tensor, scale: Tensor) -> Tensor:
    return 0.5 * math.log(2.0 / math.pi) - scale.log() - 0.5 * (distance / scale).square()
