"""Models of changes, rewards and ends that are fitted to the support alone, and know of no other environment."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..common.planning.rows import Answers, DynamicsModel, Reader, Rows, ask_in_parts
from ..common.planning.termination import EndRegression
from .context_regression import Regressions

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


AT_ONCE = 2_048
"""Queries that Gaussian processes and kernel regressions answer at once."""

PRIOR_WEIGHT = 2.0
"""Rows that the fixed scales of kernel regressions count as, as in the shipped weights of `oswm`."""


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

        def predict(observations: Tensor, actions: Tensor) -> Answers:
            scaled = scale.standardise(torch.cat([observations, actions], 2)) @ coefficients
            return _make_prediction(observations, scaled, left.expand_as(scaled), target, ends)

        return predict


class GaussianProcessReader(Reader):
    """Gaussian processes of changes and reward, radial over normalised states and actions; ends are `EndRegression`.

    Each of the two has a kernel of its own, whose length and noise are chosen among a few by the likelihood of the
    support. (scikit-learn's fits one environment at a time; here all groups are fitted and asked at once, by the
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
        processes = [_GaussianProcess(x, part, weight) for part in (y[..., :-1], y[..., -1:])]

        def predict(observations: Tensor, actions: Tensor) -> Answers:
            queries = scale.standardise(torch.cat([observations, actions], 2)).double()
            means, deviations = zip(
                *(process.predict(queries) for process in processes), strict=True
            )
            return _make_prediction(
                observations, torch.cat(means, 2), torch.cat(deviations, 2), target, ends
            )

        return ask_in_parts(predict, AT_ONCE)


class KernelReader(Reader):
    """What `oswm` is without its transformer: its regressions, and how much they are expected to miss."""

    def read(self, context: Rows) -> DynamicsModel:
        """Regress changes and reward, exactly over all rows, with kernels that the rows left out choose."""
        groups, slots, actions = (
            len(context.rewards),
            context.observations.shape[2],
            context.actions.shape[2],
        )
        used = torch.ones(groups, slots + actions, dtype=torch.bool)
        regressions = Regressions.fit(context, used[:, :slots], used[:, slots:], PRIOR_WEIGHT)

        scales = regressions.scales
        step = scales.change * scales.moving

        def predict(observations: Tensor, actions: Tensor) -> Answers:
            guess = regressions.guess(observations, actions)
            return Answers(
                next_observations=observations + guess.value[..., :-2] * step,
                deviations=guess.unit[..., :-2] * step,
                rewards=guess.value[..., -2] * scales.reward_spread + scales.reward_mean,
                reward_deviations=guess.unit[..., -2] * scales.reward_spread,
                ends=guess.value[..., -1].sigmoid(),
            )

        return ask_in_parts(predict, AT_ONCE)


class _GaussianProcess:
    """Gaussian processes of G environments and O outputs; an environment's outputs share a kernel."""

    def __init__(self, x: Tensor, y: Tensor, weight: Tensor) -> None:
        """Fit `(G, N, O)` outputs; padding rows, where `(G, N, 1)` `weight` is 0, are independent of all others."""
        apart, both = _squared_distances(x, x), weight @ weight.transpose(1, 2)
        likelihoods, lengths, factors, solutions = [], [], [], []
        for relative, noise in KERNELS:
            length = relative * x.shape[2] ** 0.5
            diagonal = torch.diag_embed((noise * weight + 1.0 - weight)[..., 0])
            factor = torch.linalg.cholesky(torch.exp(-0.5 * apart / length**2) * both + diagonal)
            solved = torch.cholesky_solve(y, factor)
            inside = factor.diagonal(dim1=1, dim2=2).log().sum(1)
            likelihoods.append(-0.5 * (y * solved).sum((1, 2)) - y.shape[2] * inside)
            lengths.append(length)
            factors.append(factor)
            solutions.append(solved)
        best, group = torch.stack(likelihoods).argmax(0), torch.arange(len(x))
        self._x, self._weight = x, weight.transpose(1, 2)
        self._length = torch.tensor(lengths, dtype=torch.float64)[best][:, None, None]
        factor, self._solved = (
            torch.stack(factors)[best, group],
            torch.stack(solutions)[best, group],
        )
        # Single precision does for deviations, and is what they cost most.
        self._inverse = torch.linalg.inv(factor).transpose(1, 2).float().contiguous()

    def predict(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """`(G, M, O)` means and deviations."""
        kernel = (
            torch.exp(_squared_distances(queries, self._x) * (-0.5 / self._length.square()))
            * self._weight
        )
        mean = (kernel @ self._solved).float()
        explained = (kernel.float() @ self._inverse).square().sum(2)
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
