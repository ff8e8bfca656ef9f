"""Models of changes, rewards and ends that are fitted to the support alone, and know of no other environment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..common.planning.rows import Answers, AskedInParts, DynamicsModel, Reader, Rows
from ..common.planning.termination import EndRegression
from .context_regression import Regressions
from .informative_rows import fit_in_parts, solve_by_rows
from .kernel_features import exponentiate

PENALTY = 1e-3
"""Weight of the squared coefficients, in units of the normalised targets."""

KERNELS = (
    (0.5, 1e-2),
    (1.0, 1e-2),
    (1.0, 1e-4),
    (2.0, 1e-4),
    (4.0, 1e-4),
    (4.0, 1e-6),
    (8.0, 1e-4),
    (8.0, 1e-6),
)
"""Length, in units of the square root of the number of inputs, and variance of the noise."""


AT_ONCE = 1_024
"""Queries that Gaussian processes and kernel regressions answer at once."""

MOST_ROWS = 192
"""Gaussian processes are sums over so many rows of a larger context, or over half of it if that is more.

On held-out trajectories of pendulum-param, after 200 rows and 384, errors are 1.5 % larger than without this at most.
Of 384 rows of a smooth function in 14 dimensions, where none is idle, 192 err by up to a third more.
"""

PRIOR_WEIGHT = 2.0
"""Rows that the fixed scales of kernel regressions count as, as in the shipped weights of `oswm-plus`."""


@dataclass(frozen=True)
class _Standardisation:
    """Means and deviations of G environments' rows, `(G, 1, D)` each."""

    mean: Tensor
    deviation: Tensor

    @staticmethod
    def measure(values: Tensor, valid: Tensor) -> _Standardisation:
        weight = valid[..., None].float()
        count = weight.sum(1, keepdim=True).clamp(min=1.0)
        mean = (values * weight).sum(1, keepdim=True) / count
        variance = ((values - mean).square() * weight).sum(1, keepdim=True) / count
        return _Standardisation(mean, variance.sqrt().clamp(min=1e-6))

    def standardise(self, values: Tensor) -> Tensor:
        return (values - self.mean) / self.deviation


class RidgeReader(Reader):
    """Linear regression with a penalty: changes and reward are linear in state and action; ends are `EndRegression`."""

    def read(self, context: Rows) -> DynamicsModel:
        """Fit one regression an environment."""
        inputs = torch.cat([context.observations, context.actions], 2)
        outputs = _make_targets(context)
        scale, target = (
            _Standardisation.measure(inputs, context.valid),
            _Standardisation.measure(outputs, context.valid),
        )
        ends = _StandardisedEnds.fit(context)
        weight = context.valid[..., None].float()
        x, y = scale.standardise(inputs) * weight, target.standardise(outputs) * weight
        gram = x.transpose(1, 2) @ x
        penalty = PENALTY * (1.0 + weight.sum(1, keepdim=True)) * torch.eye(x.shape[2])
        coefficients = torch.linalg.solve(gram + penalty, x.transpose(1, 2) @ y)
        left = (
            (y - x @ coefficients).square().sum(1, keepdim=True)
            / weight.sum(1, keepdim=True).clamp(min=1)
        ).sqrt()

        return _LinearModel(scale, target, coefficients, left, ends)


class GaussianProcessReader(Reader):
    """Gaussian processes of changes and reward, radial over normalised states and actions; ends are `EndRegression`.

    Each of the two has a kernel of its own, whose length and noise are chosen among a few by the likelihood of the
    support. Of a context of many rows (`MOST_ROWS`), what is said is a sum over the kernels to the most informative
    ones. (scikit-learn's fits one environment at a time; here all groups are fitted and asked at once, by the
    textbook's equations, Rasmussen and Williams 2006, algorithm 2.1.)
    """

    def read(self, context: Rows) -> DynamicsModel:
        """Factor a kernel matrix for each environment, length and noise, and keep the likeliest."""
        inputs = torch.cat([context.observations, context.actions], 2)
        outputs = _make_targets(context)
        scale, target = (
            _Standardisation.measure(inputs, context.valid),
            _Standardisation.measure(outputs, context.valid),
        )
        ends = _StandardisedEnds.fit(context)
        weight = context.valid[..., None].double()
        x, y = scale.standardise(inputs).double(), target.standardise(outputs).double() * weight
        processes = tuple(
            fit_in_parts(_GaussianProcess.fit, x, part, weight)
            for part in (y[..., :-1], y[..., -1:])
        )

        return AskedInParts(_GaussianModel(scale, target, processes, ends), AT_ONCE)


class KernelReader(Reader):
    """What `oswm-plus` is without its transformer: its regressions, and how much they are expected to miss."""

    def __init__(self, varied: Sequence[bool] | None = None) -> None:
        """Leave out observations that do not vary: 17 of Meta-World's reach, whose queries then cost a sixth less.

        Args:
            varied: of each observation, whether it differs anywhere in the training data; None: of all.
        """
        self.varied = varied

    def read(self, context: Rows) -> DynamicsModel:
        """Regress changes and reward, exactly over all rows, with kernels that the rows left out choose."""
        groups, slots, actions = (
            len(context.rewards),
            context.observations.shape[2],
            context.actions.shape[2],
        )
        varied = torch.ones(slots, dtype=torch.bool)
        if self.varied is not None:
            varied = torch.tensor(self.varied)
        acted = torch.ones(groups, actions, dtype=torch.bool)
        regressions = Regressions.fit(context, varied.expand(groups, -1), acted, PRIOR_WEIGHT)

        return AskedInParts(_KernelModel(regressions), AT_ONCE)


@dataclass(frozen=True)
class _LinearModel:
    """Linear regressions; `left` is what they miss of the rows, `(G, 1, S + 1)`."""

    scale: _Standardisation
    target: _Standardisation
    coefficients: Tensor
    left: Tensor
    ends: _StandardisedEnds

    def __call__(self, observations: Tensor, actions: Tensor) -> Answers:
        inputs = self.scale.standardise(torch.cat([observations, actions], 2))
        said = inputs @ self.coefficients
        return _make_prediction(
            observations, said, self.left.expand_as(said), self.target, self.ends
        )


@dataclass(frozen=True)
class _GaussianModel:
    """Processes of changes and of the reward."""

    scale: _Standardisation
    target: _Standardisation
    processes: tuple[_GaussianProcess, ...]
    ends: _StandardisedEnds

    def __call__(self, observations: Tensor, actions: Tensor) -> Answers:
        queries = self.scale.standardise(torch.cat([observations, actions], 2)).double()
        said = [process.predict(queries) for process in self.processes]
        means, deviations = (torch.cat(column, 2) for column in zip(*said, strict=True))
        return _make_prediction(observations, means, deviations, self.target, self.ends)


@dataclass(frozen=True)
class _KernelModel:
    """What the regressions say, in the units of observations and rewards."""

    regressions: Regressions

    def __call__(self, observations: Tensor, actions: Tensor) -> Answers:
        guess, scales = self.regressions.guess(observations, actions), self.regressions.scales
        step = scales.change * scales.moving
        return Answers(
            next_observations=observations + guess.value[..., :-2] * step,
            deviations=guess.unit[..., :-2] * step,
            rewards=guess.value[..., -2] * scales.reward_spread + scales.reward_mean,
            reward_deviations=guess.unit[..., -2] * scales.reward_spread,
            ends=guess.value[..., -1].sigmoid(),
        )


@dataclass(frozen=True)
class _GaussianProcess:
    """Gaussian processes of G environments and O outputs; an environment's outputs share a kernel.

    Attributes:
        rows: `(G, n, D)` the rows that sums go over.
        length: `(G, 1, 1)` of the kernel.
        weights: `(G, n, O)` of the kernels to them; 0 of padding.
        explained: `(G, n, n)`, as `informative_rows.Solution` has it. Single precision does for deviations, and is
            what they cost most.
    """

    rows: Tensor
    length: Tensor
    weights: Tensor
    explained: Tensor

    @staticmethod
    def fit(x: Tensor, y: Tensor, weight: Tensor) -> _GaussianProcess:
        """Fit `(G, N, O)` outputs; padding rows, where `(G, N, 1)` `weight` is 0, are independent of all others."""
        apart, both = _squared_distances(x, x), weight @ weight.transpose(1, 2)
        likelihoods = []
        for relative, noise in KERNELS:
            diagonal = torch.diag_embed((noise * weight + 1.0 - weight)[..., 0])
            kernel = torch.exp(apart * (-0.5 / (relative**2 * x.shape[2]))) * both
            factor = torch.linalg.cholesky(kernel + diagonal)
            white = torch.linalg.solve_triangular(factor, y, upper=False)
            inside = factor.diagonal(dim1=1, dim2=2).log().sum(1)
            likelihoods.append(-0.5 * white.square().sum((1, 2)) - y.shape[2] * inside)
        best = torch.stack(likelihoods).argmax(0)  # (G,)
        length, noise = (column[:, None, None] for column in torch.tensor(KERNELS).to(x)[best].T)
        length = length * x.shape[2] ** 0.5
        kernel = torch.exp(apart * (-0.5 / length.square())) * both
        solution = solve_by_rows(kernel, noise, y, weight, max(MOST_ROWS, x.shape[1] // 2))
        rows = x.gather(1, solution.chosen[..., None].expand(-1, -1, x.shape[2]))
        return _GaussianProcess(rows, length, solution.weights, solution.explained.float())

    def predict(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """`(G, M, O)` means and deviations."""
        exponent = _squared_distances(queries, self.rows) * (-0.5 / self.length.square())
        kernel = exponentiate(exponent)
        mean = (kernel @ self.weights).float()
        explained = (kernel.float() @ self.explained).square().sum(2)
        return mean, (1.0 - explained).clamp(min=0.0).sqrt()[..., None].expand_as(mean)


def _squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """`(G, N, M)` of `(G, N, D)` and `(G, M, D)` rows."""
    lengths = a.square().sum(2)[:, :, None] + b.square().sum(2)[:, None]
    return torch.baddbmm(lengths, a, b.transpose(1, 2), alpha=-2.0).clamp_(min=0.0)


@dataclass(frozen=True)
class _StandardisedEnds:
    """Where episodes end, in the units of observations."""

    scale: _Standardisation
    ends: EndRegression

    @staticmethod
    def fit(context: Rows) -> _StandardisedEnds:
        scale = _Standardisation.measure(context.next_observations, context.valid)
        return _StandardisedEnds(
            scale,
            EndRegression.fit(
                scale.standardise(context.next_observations), context.ends, context.valid
            ),
        )


def _make_targets(context: Rows) -> Tensor:
    """`(G, N, S + 1)`: change and reward."""
    return torch.cat(
        [context.next_observations - context.observations, context.rewards[..., None]], 2
    )


def _make_prediction(
    observations: Tensor,
    scaled: Tensor,
    deviations: Tensor,
    target: _Standardisation,
    ends: _StandardisedEnds,
) -> Answers:
    outputs, spread = scaled * target.deviation + target.mean, deviations * target.deviation
    reached = observations + outputs[..., :-1]
    return Answers(
        next_observations=reached,
        deviations=spread[..., :-1],
        rewards=outputs[..., -1],
        reward_deviations=spread[..., -1],
        ends=ends.ends.logits(ends.scale.standardise(reached))[0].sigmoid(),
    )
