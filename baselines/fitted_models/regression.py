"""Regression of a context in closed form: what `kernel-model` predicts, and the transformer of `oswm-plus` starts from.

Kernel regression, exact over all rows (Rasmussen and Williams 2006, sections 2.2 and 5.4.2). The kernel is linear and,
in addition, radial over all inputs at once, or a sum of one for each input: a sum of functions of one input each, which
fewer rows tell and which holds where only its parts were seen (Duvenaud et al. 2011). Which of them, the length and the
penalty are chosen among few by the error of every row as predicted from the others; and predicting nothing is one of
the choices for each output: where a few rows say nothing of what is to come, nothing is said. Only the rows' values
matter, never their order.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .informative_rows import fit_in_parts
from .kernel_features import LENGTH, exponentiate, make_bump_features, make_linear_features

RADIAL = ((0.5, 1e-7), (1.0, 1e-7), (1.0, 1e-4), (2.0, 1e-7), (4.0, 1e-7), (4.0, 1e-4), (4.0, 1e-1))
"""Length, in units of the square root of the number of used inputs, and penalty, in units of the number of rows."""

ADDITIVE = (1e-7, 1e-4, 1e-2)
"""Penalties of sums of functions of one input each, whose length is `LENGTH`."""

REACH = 2.0
"""Predictions are clipped to so many times the largest value of the context."""

DOUBLE_ROWS = 64
"""Regressions of so many rows or fewer are asked in double precision.

The penalty of four rows is a few times single precision, and what it is divided by would be nothing but rounding
errors. It grows with the rows, and so does the cost.
"""

LEAST_ERROR = 1e-12
"""Mean squared errors below this are as good as none."""


@dataclass(frozen=True)
class KernelRegression:
    """Regressions of B environments with O outputs each, which share a kernel; D inputs, of which C are used by any.

    Attributes:
        left_out: `(B, N, O)` what each context row is predicted to be by the others.
        leverage: `(B, N, O)` how far each row lies from the others: the variance of that estimate, in units of the
            noise's.
        largest: `(B, 1, O)` predictions are clipped to plus or minus this.
        says: `(B, 1, O)` bool: false where nothing is predicted.
        penalty: `(B, 1, 1)`.
        columns: the C used inputs.
        share: `(B, 1, C)` root of one over the number of used inputs; 0 for those that an environment does not use.
        slope: `(B, C + 1, O)` what the linear kernels of all rows add up to.
        linear_inverse: `(B, C + 1, N)` the linear kernels' part of the kernels times the inverse of their factor.
        places: `(B, C + 2, N)`: inputs, their squared length and 1, times them, are the logarithms of radial kernels.
        radial: `(B, N, O)` weights of the rows' radial kernels; 0 in environments whose kernel is a sum.
        radial_inverse: `(B, N, N)` their part of the product.
        bumps: `(B, C BUMPS, O)` weights of bumps; 0 in environments whose kernel is radial.
        bump_inverse: `(B, C BUMPS, N)` their part of the product.
        additive: `(B, 1, 1)` 1 where the kernel is a sum, else 0.
        sums: whether sums were tried.
    """

    left_out: Tensor
    leverage: Tensor
    largest: Tensor
    says: Tensor
    penalty: Tensor
    columns: tuple[int, ...]
    share: Tensor
    slope: Tensor
    linear_inverse: Tensor
    places: Tensor
    radial: Tensor
    radial_inverse: Tensor
    bumps: Tensor
    bump_inverse: Tensor
    additive: Tensor
    sums: bool

    @staticmethod
    @torch.no_grad()
    def fit(
        inputs: Tensor,
        outputs: Tensor,
        valid: Tensor,
        used: Tensor,
        columns: tuple[int, ...],
        sums: bool,
    ) -> KernelRegression:
        """Regress outputs on inputs.

        Args:
            inputs: `(B, N, D)`.
            outputs: `(B, N, O)`.
            valid: `(B, N)` bool: false rows are padding.
            used: `(B, D)` bool: inputs that count.
            columns: all that may count, whatever else is fitted beside: were it those that count in some environment,
                one's last bits would depend on the others.
            sums: try kernels that are sums, too. They are bold: what they say far from all rows is linear.
        """
        chosen = list(columns)
        mask = used[:, None, chosen].double()
        rows = inputs[..., chosen].double() * mask  # what does not count is 0, here and in queries

        def fit(rows: Tensor, targets: Tensor, keep: Tensor, mask: Tensor) -> KernelRegression:
            return KernelRegression._fit_part(columns, rows, targets, keep, mask, sums)

        keep = valid[..., None].double()
        return fit_in_parts(fit, rows, outputs.double() * keep, keep, mask)

    @staticmethod
    def _fit_part(
        columns: tuple[int, ...],
        rows: Tensor,
        targets: Tensor,
        keep: Tensor,
        mask: Tensor,
        sums: bool,
    ) -> KernelRegression:
        number = mask.sum(2, keepdim=True).clamp(min=1.0)
        share = mask / number.sqrt()
        best = _choose_kernel(rows, targets, keep, number, share if sums else None)
        solved, inverse, additive = best["solved"], best["inverse"] * keep, best["additive"]
        linear = make_linear_features(rows).transpose(1, 2)
        bumps = make_bump_features(rows, share).transpose(1, 2) * additive
        # Where no kernel here is a sum, these products would be of zeros, and dear.
        told = bumps @ inverse if additive.any() else torch.zeros_like(bumps)
        # The exponent of a radial kernel, -|x - z|^2 / 2 l^2 = (x.z - |x|^2 / 2 - |z|^2 / 2) / l^2, is one product of
        # [x, |x|^2, 1] with [z, -1/2, -|z|^2 / 2] / l^2: so all kernels of all queries are one matrix product.
        square = rows.square().sum(2, keepdim=True)  # (B, N, 1)
        places = torch.cat([rows, -0.5 * torch.ones_like(square), -0.5 * square], 2) / (
            best["length"] ** 2 * number
        )
        # Far from all rows the linear part would go on for ever. Without any row there is nothing to take a maximum of.
        largest = (
            REACH * targets.abs().amax(1, keepdim=True)
            if targets.shape[1]
            else targets.sum(1, keepdim=True)
        )
        kind = torch.float64 if rows.shape[1] <= DOUBLE_ROWS else torch.float32
        largest = largest.to(kind)
        return KernelRegression(
            left_out=best["left_out"].clamp(-largest, largest).float(),
            leverage=best["leverage"].float(),
            largest=largest,
            says=best["says"],
            penalty=best["penalty"].to(kind),
            columns=columns,
            share=share.to(kind),
            slope=(linear @ solved).to(kind),
            linear_inverse=(linear @ inverse).to(kind),
            places=places.transpose(1, 2).to(kind),
            radial=((1.0 - additive) * solved).to(kind),
            radial_inverse=((1.0 - additive) * inverse).to(kind),
            bumps=(bumps @ solved).to(kind),
            bump_inverse=told.to(kind),
            additive=additive.to(kind),
            sums=sums,
        )

    @torch.no_grad()
    def predict(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """`(B, M, O)` of `(B, M, D)` inputs, and as many leverages: how far they lie from the context."""
        kind = inputs.dtype
        if self.columns != tuple(range(inputs.shape[2])):
            inputs = inputs[..., list(self.columns)]
        single = inputs * (self.share > 0.0).to(kind)
        inputs = single.to(self.share)
        square, linear = inputs.square().sum(2, keepdim=True), make_linear_features(inputs)
        # `explained` is the kernels to all rows times the inverse factor: its squared length is what the context tells
        # of a query. The parts of the kernel are added up.
        value, explained = torch.bmm(linear, self.slope), torch.bmm(linear, self.linear_inverse)
        size = (
            1.0 + square + (1.0 - self.additive)
        )  # a query's kernel with itself: linear, and 1 if radial
        located = torch.cat([inputs, square, linear[..., -1:]], 2)
        if self.sums:
            size = size + self._add_chosen_kernels(value, explained, located, single)
        else:
            near = exponentiate(torch.bmm(located, self.places))
            value, explained = (
                value.baddbmm(near, self.radial),
                explained.baddbmm(near, self.radial_inverse),
            )
        # Rounded, the difference may be a little below 0.
        left = size - torch.linalg.vector_norm(explained, dim=2, keepdim=True).square()
        leverage = left.clamp(min=0.0) / self.penalty * self.says
        said = (value * self.says).clamp(-self.largest, self.largest)
        return said.to(kind), leverage.to(kind)

    def _add_chosen_kernels(
        self, value: Tensor, explained: Tensor, located: Tensor, single: Tensor
    ) -> Tensor:
        """Add each environment's own kernel, radial or a sum; `(B, M, 1)` what sums add to a kernel with itself.

        One environment after another, each its own kernel alone: bumps are most of what a query of a wide environment
        costs. All at once where all have one kernel would be two ways, and what is fitted beside an environment would
        then choose its last bits.
        """
        own = torch.zeros_like(value[..., :1])
        places = self.additive[:, 0, 0].nonzero()[:, 0]
        # Single precision does for features: what is off in them is off in both terms of the difference, too.
        bumps = make_bump_features(single[places], self.share[places].float()).to(self.share)
        own[places] = torch.linalg.vector_norm(bumps, dim=2, keepdim=True).square()
        chosen = dict(zip(places.tolist(), bumps, strict=True))
        for place in range(len(value)):
            if place in chosen:
                features = chosen[place]
                weights, inverse = self.bumps[place], self.bump_inverse[place]
            else:
                features = exponentiate(located[place] @ self.places[place])
                weights, inverse = self.radial[place], self.radial_inverse[place]
            _add_product(value[place], features, weights)
            explained[place].addmm_(features, inverse)
        return own


def _add_product(total: Tensor, features: Tensor, weights: Tensor) -> None:
    """Add `(M, K)` features times `(K, O)` weights to `(M, O)`, to the last bit as a batch of such products would.

    A single column is multiplied twice: alone it would go through another routine than in a batch, with other last
    bits than records have that were made of batches.
    """
    if weights.shape[1] > 1:
        total.addmm_(features, weights)
        return
    twice = weights.expand(-1, 2).contiguous()
    total.copy_(torch.addmm(total.expand(-1, 2), features, twice)[:, :1])


def _choose_kernel(
    rows: Tensor, targets: Tensor, keep: Tensor, number: Tensor, share: Tensor | None
) -> dict[str, Tensor]:
    """Try all kernels; keep each environment's best: its numbers as `KernelRegression` has them, and its solution."""
    count, both = keep.sum(1, keepdim=True).clamp(min=1.0), keep * keep.transpose(1, 2)
    products, square = rows @ rows.transpose(1, 2), rows.square().sum(2, keepdim=True)
    apart = (square + square.transpose(1, 2) - 2.0 * products).clamp(min=0.0) / number
    candidates, alike = list(RADIAL), products
    if share is not None:
        bumps = make_bump_features(rows, share)
        candidates += [(0.0, portion) for portion in ADDITIVE]
        alike = bumps @ bumps.transpose(1, 2)
    # Padding rows get a 1 on the diagonal and 0 elsewhere, so that one factorisation serves contexts of all lengths.
    unit = torch.eye(rows.shape[1], dtype=rows.dtype, device=rows.device).expand_as(apart)
    fixed = (1.0 + products) * both + unit * (1.0 - keep)  # padding is independent of all
    nothing = targets.square().sum(1, keepdim=True)  # the error of predicting 0
    best = {"score": torch.full_like(count, torch.inf)}
    for length, portion in candidates:
        # Few passes over these matrices: they take as long as the factorisation.
        kernel = torch.mul(apart, -0.5 / length**2).exp_() if length else alike
        penalty = portion * count
        whole = torch.addcmul(fixed, kernel, both)
        whole.diagonal(dim1=1, dim2=2).add_((penalty * keep)[..., 0])
        inverse = torch.linalg.solve_triangular(torch.linalg.cholesky(whole), unit, upper=False)
        # The diagonal of the kernel matrix's inverse.
        precision = torch.linalg.vector_norm(inverse, dim=1).square()[..., None]
        solved = inverse.transpose(1, 2) @ (inverse @ targets)
        # How far each row is off when the others predict it, without fitting N times (R. & W. 2006, equation 5.12).
        wrong = solved / precision
        error = wrong.square().sum(1, keepdim=True)
        says = error < nothing
        # The row's variance given the others is 1 / precision, of which `penalty` is noise: the rest is leverage.
        held = (penalty * precision).clamp(max=1.0)
        tried = {
            "score": (error.minimum(nothing) / count + LEAST_ERROR).log().sum(2, keepdim=True),
            "length": torch.full_like(count, length or LENGTH),
            "additive": torch.full_like(count, float(not length)),
            "penalty": penalty,
            "solved": solved,
            "inverse": inverse.transpose(1, 2),
            "says": says,
            "left_out": (targets - wrong) * says,
            "leverage": ((1.0 - held) / held * keep).expand_as(wrong) * says,
        }
        better = tried["score"] < best["score"]
        if better.all():
            best = tried
        elif better.any():
            best = {
                name: torch.where(better, value, best.get(name, value))
                for name, value in tried.items()
            }
    return best
