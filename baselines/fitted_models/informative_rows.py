"""Kernel regressions of many rows, written as sums over the few that tell most of the others.

All rows are regressed on; but what is said of a query is a sum over the kernels to at most so many of them (subset of
regressors, Rasmussen and Williams 2006, section 8.3.1), so that a query costs no more where the context is large.
Which rows these are is chosen greedily: the next is the one that those before leave most of unexplained, which is
Cholesky's factorisation with pivots (Fine and Scheinberg 2001).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from ..common.planning.rows import join_groups

Fitted = TypeVar("Fitted")

PAIRS_AT_ONCE = 2**17
"""Pairs of rows whose kernels are computed together: a megabyte of numbers, which stays in the processor's cache."""

SHARE = 0.1
"""The chosen rows' own kernel matrix has so much of the penalty on its diagonal: single precision needs some."""

SLIGHT = 1e-10
"""On the diagonal of a matrix whose eigenvalues lie from 0 to 1."""


def fit_in_parts(fit: Callable[..., Fitted], rows: Tensor, *others: Tensor) -> Fitted:
    """What `fit` makes of `(B, N, D)` rows and other tensors of B environments, of few environments at a time.

    How few depends on N alone: the others' rows do not change an environment's last bits.
    """
    size = max(1, PAIRS_AT_ONCE // max(1, rows.shape[1]) ** 2)
    if len(rows) <= size:
        return fit(rows, *others)
    parts = zip(*(torch.split(each, size) for each in (rows, *others)), strict=True)
    return join_groups([fit(*part) for part in parts])


@dataclass(frozen=True)
class Solution:
    """Regressions of B environments on N rows, as sums over n of them.

    Attributes:
        chosen: `(B, n)` places of these rows; padding may be among them.
        weights: `(B, n, O)` of the kernels to them: their sum is what is said; 0 of padding.
        explained: `(B, n, n)`: kernels to them times this, squared and summed, are what the rows tell of a query's
            kernel with itself; 0 in padding's rows.
    """

    chosen: Tensor
    weights: Tensor
    explained: Tensor


def solve_by_rows(
    kernel: Tensor, penalty: Tensor, targets: Tensor, keep: Tensor, most: int
) -> Solution:
    """Solve regressions exactly where there are at most `most` rows, else over as many.

    Args:
        kernel: `(B, N, N)` the rows' kernels; 0 of padding.
        penalty: `(B, 1, 1)` what is added to the diagonal.
        targets: `(B, N, O)`; 0 of padding.
        keep: `(B, N, 1)` 1, or 0 of padding.
        most: rows that sums go over.
    """
    environments, rows = kernel.shape[:2]
    if rows <= most:
        unit = torch.eye(rows).to(kernel)
        factor = torch.linalg.cholesky(
            kernel + torch.diag_embed((penalty * keep + 1.0 - keep)[..., 0])
        )
        inverse = torch.linalg.solve_triangular(factor, unit.expand_as(factor), upper=False)
        weights = inverse.transpose(1, 2) @ (inverse @ targets)
        everything = torch.arange(rows).expand(environments, -1)
        return Solution(everything, weights, inverse.transpose(1, 2) * keep)
    chosen = choose_rows(kernel, most)
    across = kernel.gather(1, chosen[..., None].expand(-1, -1, rows))  # (B, n, N)
    own = across.gather(2, chosen[:, None].expand(-1, most, -1))  # (B, n, n)
    unit = torch.eye(most).to(kernel).expand_as(own)
    inverse = torch.linalg.solve_triangular(
        torch.linalg.cholesky(own + SHARE * penalty * unit), unit, upper=False
    )
    seen = inverse @ across  # (B, n, N), what the sums can tell apart
    factor = torch.linalg.cholesky(seen @ seen.transpose(1, 2) + penalty * unit)
    weights = inverse.transpose(1, 2) @ torch.cholesky_solve(seen @ targets, factor)
    # A query's variance is its kernel with itself, less what the chosen rows explain of it, and plus what the penalty
    # leaves in doubt of that: both products are made one.
    back = torch.linalg.solve_triangular(factor, unit, upper=False)
    sure = (1.0 + SLIGHT) * unit - penalty * back.transpose(1, 2) @ back
    explained = inverse.transpose(1, 2) @ torch.linalg.cholesky(sure)
    kept = keep.gather(1, chosen[..., None])
    return Solution(chosen, weights * kept, explained * kept)


def choose_rows(kernel: Tensor, number: int) -> Tensor:
    """`(B, number)` places of the most informative rows of `(B, N, N)` kernels, the most informative first."""
    environments, rows = kernel.shape[:2]
    every = torch.arange(environments)
    left = kernel.diagonal(dim1=1, dim2=2).clone()  # (B, N) what is not explained yet
    told = kernel.new_zeros(environments, number, rows)
    chosen = torch.zeros(environments, number, dtype=torch.int64)
    for place in range(number):
        most, next_row = left.max(1)
        chosen[:, place] = next_row
        before = told[:, :place]
        column = kernel[every, next_row] - (before[every, :, next_row][:, None] @ before)[:, 0]
        column = column / most.clamp(min=SLIGHT).sqrt()[:, None]
        told[:, place] = column
        left = left - column.square()
        left[every, next_row] = -torch.inf
    return chosen
