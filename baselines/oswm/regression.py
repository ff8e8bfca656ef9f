"""Regression of the context in closed form: what the transformer starts from, and corrects.

Kernel regression on state and action, linear plus radial, exact over all rows of the context (Rasmussen and Williams
2006, sections 2.2 and 5.4.2). Changes and reward have a kernel each, whose length and penalty are chosen among few by
the error of every row as predicted from the others; and predicting nothing is one of the choices for each output:
where a few rows say nothing of what is to come, nothing is said. Only the rows' values matter, never their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

KERNELS = (
    (0.5, 1e-7),
    (0.5, 1e-4),
    (1.0, 1e-7),
    (1.0, 1e-4),
    (2.0, 1e-7),
    (4.0, 1e-7),
    (4.0, 1e-4),
    (4.0, 1e-2),
    (4.0, 1.0),
)
"""Length, in units of the square root of the number of used slots, and penalty, in units of the number of rows."""

REACH = 2.0
"""Predictions are clipped to so many times the largest value of the context."""

LEAST_ERROR = 1e-12
"""Mean squared errors below this are as good as none."""


@dataclass(frozen=True)
class _Part:
    """Regressions of B environments whose O outputs share a kernel.

    Attributes:
        places: `(B, D + 2, N)`: queries' coordinates, their squared length and 1, times them, are the logarithms of
            the radial kernels.
        solved: `(B, N, O)` weights of the radial kernels.
        slope: `(B, D + 1, O)` what the linear kernels of all rows add up to.
        inverse: `(B, N, N)` of the kernel matrix's factor, transposed.
        linear_inverse: `(B, D + 1, N)` the linear kernels' part of its product with the kernels.
        penalty: `(B, 1, 1)`.
        says: `(B, 1, O)` bool: false where nothing is predicted.
        left_out: `(B, N, O)`.
        leverage: `(B, N, O)`.
    """

    places: Tensor
    solved: Tensor
    slope: Tensor
    inverse: Tensor
    linear_inverse: Tensor
    penalty: Tensor
    says: Tensor
    left_out: Tensor
    leverage: Tensor


@dataclass(frozen=True)
class Fitted:
    """Regressions of B environments with O outputs each.

    Attributes:
        left_out: `(B, N, O)` what each context row is predicted to be by the others.
        leverage: `(B, N, O)` how far each row lies from the others: the variance of that estimate, in units of the
            noise's.
        largest: `(B, 1, O)` predictions are clipped to plus or minus this.
    """

    left_out: Tensor
    leverage: Tensor
    largest: Tensor
    _parts: Sequence[_Part]

    @staticmethod
    @torch.no_grad()
    def of(inputs: Tensor, outputs: Tensor, valid: Tensor, used: Tensor) -> Fitted:
        """Regress `(B, N, O)` outputs on `(B, N, D)` inputs where `(B, N)` `valid`; `(B,)` slots are used.

        The last output has a kernel of its own.
        """
        keep, rows = valid[..., None].double(), inputs.double()
        targets, used = outputs.double() * keep, used.clamp(min=1).double()[:, None, None]
        parts = _fit(rows, (targets[..., :-1], targets[..., -1:]), keep, used)
        largest = targets.new_zeros(len(targets), 1, targets.shape[2])
        if targets.shape[1]:
            largest = REACH * targets.abs().amax(1, keepdim=True)
        largest = largest.to(outputs.dtype)
        left_out = torch.cat([part.left_out for part in parts], 2).clamp(-largest, largest)
        return Fitted(left_out, torch.cat([part.leverage for part in parts], 2), largest, parts)

    @torch.no_grad()
    def predict(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """`(B, M, O)` of `(B, M, D)` inputs, and as many leverages: how far they lie from the context."""
        square, one = inputs.square().sum(2, keepdim=True), torch.ones_like(inputs[..., :1])
        linear, radial = torch.cat([inputs, one], 2), torch.cat([inputs, square, one], 2)
        found, leverages = [], []
        for part in self._parts:
            near = torch.bmm(radial, part.places).exp_()
            value = torch.baddbmm(torch.bmm(linear, part.slope), near, part.solved)
            explained = torch.baddbmm(torch.bmm(linear, part.linear_inverse), near, part.inverse)
            left = 2.0 + square - torch.linalg.vector_norm(explained, dim=2, keepdim=True).square()
            found.append(value * part.says)
            leverages.append(left.clamp(min=0.0) / part.penalty * part.says)
        return torch.cat(found, 2).clamp(-self.largest, self.largest), torch.cat(leverages, 2)


def _fit(rows: Tensor, targets: Sequence[Tensor], keep: Tensor, used: Tensor) -> list[_Part]:
    """Try all kernels for each part's `(B, N, O)` targets, and keep each environment's best."""
    count = keep.sum(1, keepdim=True).clamp(min=1.0)
    products, both = rows @ rows.transpose(1, 2), keep * keep.transpose(1, 2)
    square = rows.square().sum(2, keepdim=True)
    apart = (square + square.transpose(1, 2) - 2.0 * products).clamp(min=0.0) / used
    unit = torch.eye(rows.shape[1], dtype=rows.dtype, device=rows.device).expand_as(apart)
    fixed = (1.0 + products) * both + unit * (1.0 - keep)  # padding is independent of all
    found: list[dict[str, Tensor]] = [{"score": torch.full_like(count, torch.inf)} for _ in targets]
    for length, share in KERNELS:
        penalty = share * count
        factor = torch.linalg.cholesky(torch.exp(apart * (-0.5 / length**2)) * both + fixed + penalty * unit * keep)
        inverse = torch.linalg.solve_triangular(factor, unit, upper=False)
        precision = inverse.square().sum(1)[..., None]  # the diagonal of the kernel matrix's inverse
        held = (penalty * precision).clamp(max=1.0)
        for part, best in zip(targets, found, strict=True):
            solved = inverse.transpose(1, 2) @ (inverse @ part)
            wrong = solved / precision
            error, nothing = wrong.square().sum(1, keepdim=True), part.square().sum(1, keepdim=True)
            says = error < nothing
            tried = {
                "score": (error.minimum(nothing) / count + LEAST_ERROR).log().sum(2, keepdim=True),
                "length": torch.full_like(count, length),
                "penalty": penalty,
                "solved": solved,
                "inverse": inverse.transpose(1, 2),
                "says": says,
                "left_out": (part - wrong) * says,
                "leverage": ((1.0 - held) / held * keep).expand_as(wrong) * says,
            }
            better = tried["score"] < best["score"]
            best.update({name: torch.where(better, value, best.get(name, value)) for name, value in tried.items()})
    return [_part(rows, keep, used, **best) for best in found]


def _part(rows: Tensor, keep: Tensor, used: Tensor, **best: Tensor) -> _Part:
    """What predictions need of the best kernels; padding's rows of `inverse` and `solved` are 0."""
    inverse, solved, one = best["inverse"] * keep, best["solved"], torch.ones_like(keep)
    square, linear = rows.square().sum(2, keepdim=True), torch.cat([rows, one], 2).transpose(1, 2)
    places = torch.cat([rows, -0.5 * one, -0.5 * square], 2) / (best["length"].square() * used)
    return _Part(
        places=places.transpose(1, 2).float(),
        solved=solved.float(),
        slope=(linear @ solved).float(),
        inverse=inverse.float(),
        linear_inverse=(linear @ inverse).float(),
        penalty=best["penalty"].float(),
        says=best["says"],
        left_out=best["left_out"].float(),
        leverage=best["leverage"].float(),
    )
