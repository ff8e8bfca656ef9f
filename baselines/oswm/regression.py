"""Regression of the context in closed form: what the transformer starts from, and corrects.

Ridge regression on the state, the action and random cosines of both (Rahimi and Recht 2007), all outputs at once. The
penalty is chosen for each output by its leave-one-out error, among few, and predicting nothing is one of them: where a
few rows say nothing of what is to come, nothing is said. The features are fixed; only counts of rows and their values
matter, never their order, and a prediction costs the same after any number of rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

LENGTHS, COSINES = (1.0, 3.0), 64
"""Length scales of the cosines, in units of the square root of the number of used slots, and how many of each."""

PENALTIES = (1e-6, 1e-4, 1e-2, 1e-1, 1.0)
"""Penalties, in units of the number of rows."""

REACH = 2.0
"""Predictions are clipped to so many times the largest value of the context."""


@dataclass(frozen=True)
class Fitted:
    """Regressions of B environments with O outputs each, on F features.

    Attributes:
        coefficients: `(B, F, O)`.
        vectors: `(B, F, F)` directions in which the features vary.
        shares: `(B, F, O)` variance of the estimate along them, in units of the noise's.
        left_out: `(B, N, O)` what each context row is predicted to be by the others.
        leverage: `(B, N, O)` how far each row lies from the others: the variance of that estimate, in the same units.
        largest: `(B, 1, O)` predictions are clipped to plus or minus this.
        root: `(B, 1, 1)` square root of the number of used slots.
    """

    coefficients: Tensor
    vectors: Tensor
    shares: Tensor
    left_out: Tensor
    leverage: Tensor
    largest: Tensor
    root: Tensor


class Regression(nn.Module):
    """The fixed random features, and the fit."""

    directions: Tensor
    """`(inputs, cosines)`."""

    phases: Tensor
    """`(cosines,)`."""

    def __init__(self, inputs: int) -> None:
        """Features of so many inputs; drawn from torch's global generator, and saved with the weights."""
        super().__init__()
        lengths = torch.tensor(LENGTHS).repeat_interleave(COSINES)
        self.register_buffer("directions", torch.randn(inputs, len(lengths)) / lengths)
        self.register_buffer("phases", 2.0 * math.pi * torch.rand(len(lengths)))

    @torch.no_grad()
    def fit(self, inputs: Tensor, outputs: Tensor, valid: Tensor, used: Tensor) -> Fitted:
        """Regress `(B, N, O)` outputs on `(B, N, D)` inputs where `(B, N)` `valid`; `(B,)` slots are used."""
        root = used.clamp(min=1)[:, None, None].sqrt()
        keep = valid[..., None].double()
        features = self._features(inputs, root).double() * keep
        targets = outputs.double() * keep
        values, vectors = torch.linalg.eigh(features.transpose(1, 2) @ features)
        rotated = features @ vectors  # (B, N, F)
        projected = rotated.transpose(1, 2) @ targets  # (B, F, O)
        count = keep.sum(1, keepdim=True)
        best, best_shares = torch.zeros_like(projected), torch.zeros_like(projected)
        left_out, best_leverage = torch.zeros_like(targets), torch.zeros_like(targets)
        error = targets.square().sum(1, keepdim=True)  # of predicting 0
        for penalty in PENALTIES:
            share = 1.0 / (values.clamp(min=0.0) + penalty * count[:, 0].clamp(min=1.0))  # (B, F)
            weights = projected * share[..., None]
            leverage = (rotated.square() @ share[..., None]).clamp(max=1.0 - 1e-6)
            wrong = (targets - rotated @ weights) / (1.0 - leverage)
            found = wrong.square().sum(1, keepdim=True)
            better = found < error
            error = torch.where(better, found, error)
            best = torch.where(better, weights, best)
            best_shares = torch.where(better, share[..., None], best_shares)
            left_out = torch.where(better, targets - wrong, left_out)
            best_leverage = torch.where(better, leverage / (1.0 - leverage), best_leverage)
        largest = REACH * outputs.abs().mul(valid[..., None]).amax(1, keepdim=True) if outputs.shape[1] else error
        largest = largest.to(outputs.dtype)
        kind = outputs.dtype
        return Fitted(
            coefficients=(vectors @ best).to(kind),
            vectors=vectors.to(kind),
            shares=best_shares.to(kind),
            left_out=left_out.to(kind).clamp(-largest, largest),
            leverage=best_leverage.to(kind),
            largest=largest,
            root=root,
        )

    def predict(self, fitted: Fitted, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """`(B, M, O)` of `(B, M, D)` inputs, and as many leverages: how far they lie from the context."""
        features = self._features(inputs, fitted.root)
        found = (features @ fitted.coefficients).clamp(-fitted.largest, fitted.largest)
        return found, (features @ fitted.vectors).square() @ fitted.shares

    def _features(self, inputs: Tensor, root: Tensor) -> Tensor:
        cosines = math.sqrt(2.0 / COSINES) * torch.cos(inputs / root @ self.directions + self.phases)
        return torch.cat([torch.ones_like(inputs[..., :1]), inputs, cosines], 2)
