"""Where episodes end: logistic regression on the state that a step leads to.

Tasks end episodes where the state leaves a region, and few ends are ever seen. So the features are few: each coordinate
and its square. Of three ends that suffices to know which way danger lies, and beyond what was seen it only grows.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

PENALTY = 0.1
"""Weight of the squared coefficients, but for the first one's: as much as of so many rows' evidence."""

BELIEF = (0.05, 0.5)
"""Rows that ended and that went on, in the middle of the context, which count before any is seen."""

STEPS = 16
"""Of Newton's method, which has converged before."""

LONGEST = 4.0
"""No coefficient changes by more than this in a step."""

LARGEST = 15.0
"""Logits are clipped to plus or minus this."""

FAR = 10.0
"""Places are, too."""


@dataclass(frozen=True)
class EndRegression:
    """Logistic regressions of G environments on F features.

    Attributes:
        coefficients: `(G, F, 1)`.
        directions: `(G, F, F)`: features times them, squared and summed, are the variance of a logit.
        left_out: `(G, N)` what the other rows make of each row of the context, by the usual one-step approximation.
        deviations: `(G, N)` standard deviations of the logits there.
    """

    coefficients: Tensor
    directions: Tensor
    left_out: Tensor
    deviations: Tensor

    @staticmethod
    @torch.no_grad()
    def fit(places: Tensor, ends: Tensor, valid: Tensor) -> EndRegression:
        """Fit by the largest posterior density.

        Args:
            places: `(G, N, S)` states after the step, about 0 and of size 1.
            ends: `(G, N)` bool: it ended the episode.
            valid: `(G, N)` bool: false rows are padding.
        """
        features, target = _expand_features(places).double(), ends.double()
        weight, kind = valid.double(), places.dtype
        middle = features.new_zeros(len(places), 2, features.shape[2])
        middle[..., 0] = 1.0
        believed = torch.tensor(BELIEF).to(weight).expand(len(places), 2)
        outcome = torch.tensor([1.0, 0.0]).to(weight).expand(len(places), 2)
        # Two rows in the middle of the context, one that ended and one that went on, each with its share of a row's
        # weight: a context without ends is not taken for a proof that there are none.
        x = torch.cat([middle, features], 1)
        y, w = torch.cat([outcome, target], 1), torch.cat([believed, weight], 1)
        penalty = torch.full((x.shape[2],), PENALTY).to(weight)
        penalty[0] = 0.0  # the intercept is held by the two rows above
        found = x.new_zeros(len(places), x.shape[2], 1)
        for _ in range(STEPS):
            likely = (x @ found)[..., 0].clamp(-LARGEST, LARGEST).sigmoid()
            slope = x.transpose(1, 2) @ (w * (y - likely))[..., None] - penalty[:, None] * found
            curvature = (x * (w * likely * (1.0 - likely))[..., None]).transpose(
                1, 2
            ) @ x + penalty.diag()
            change = torch.linalg.solve(curvature, slope)
            # No coefficient moves further than LONGEST: the whole step is shortened, its direction kept.
            found = found + change / (change.abs().amax(1, keepdim=True) / LONGEST).clamp(min=1.0)
        likely = (x @ found)[..., 0].clamp(-LARGEST, LARGEST).sigmoid()
        curvature = (x * (w * likely * (1.0 - likely))[..., None]).transpose(
            1, 2
        ) @ x + penalty.diag()
        inverse = torch.linalg.inv(torch.linalg.cholesky(curvature)).transpose(1, 2)
        variance = (features @ inverse).square().sum(2)  # (G, N) of each row's logit
        logits, likely = (features @ found)[..., 0], likely[:, 2:]
        # One Newton step away from the fit: what the logit would be had the row not counted.
        leverage = (likely * (1.0 - likely) * variance * weight).clamp(max=1.0 - 1e-6)
        left_out = logits - weight * variance * (target - likely) / (1.0 - leverage)
        return EndRegression(
            found.to(kind),
            inverse.to(kind),
            left_out.clamp(-LARGEST, LARGEST).to(kind),
            (variance / (1.0 - leverage)).sqrt().to(kind),
        )

    def logits(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """`(G, M)` logits of `(G, M, S)` places, and their standard deviations."""
        features = _expand_features(places)
        found = (features @ self.coefficients)[..., 0].clamp(-LARGEST, LARGEST)
        return found, (features @ self.directions).square().sum(2).sqrt()


def _expand_features(places: Tensor) -> Tensor:
    near = places.clamp(-FAR, FAR)
    return torch.cat([torch.ones_like(near[..., :1]), near, near.square()], 2)
