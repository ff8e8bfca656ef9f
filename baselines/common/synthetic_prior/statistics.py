"""How slow states are and how much actions do: the prior beside real suites."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from metabench import TrainingData

from .prior import SyntheticData


def lag_correlations(states: Tensor, following: Tensor) -> Tensor:
    """`(E, S)` correlation of each dimension with itself one step later, of `(E, R, S)` states; NaN if constant."""
    first, second = (values - values.mean(1, keepdim=True) for values in (states, following))
    norm = (first.square().sum(1) * second.square().sum(1)).sqrt()
    return torch.where(norm > 1e-12, (first * second).sum(1) / norm.clamp(min=1e-12), torch.nan)


def action_shares(states: Tensor, actions: Tensor, following: Tensor) -> Tensor:
    """`(E, S)` share of the variance of the change that actions add to a linear model of the state; NaN if constant."""
    rows = states.shape[1]
    ones = torch.ones(*states.shape[:2], 1, dtype=torch.float64)
    change = (following - states).double()
    change = change - change.mean(1, keepdim=True)
    variance = change.square().sum(1)
    scaled = states.double() / states.double().std(1, keepdim=True).clamp(min=1e-9)
    left = []
    for inputs in (torch.cat([scaled, ones], 2), torch.cat([scaled, actions.double(), ones], 2)):
        gram = inputs.transpose(1, 2) @ inputs + 1e-6 * rows * torch.eye(
            inputs.shape[2], dtype=torch.float64
        )
        fitted = inputs @ torch.linalg.solve(gram, inputs.transpose(1, 2) @ change)
        left.append((change - fitted).square().sum(1))
    share = ((left[0] - left[1]) / variance.clamp(min=1e-18)).clamp(0.0, 1.0)
    return torch.where(variance > 1e-12, share, torch.nan).float()


def summarise_quartiles(correlations: Tensor, shares: Tensor) -> dict[str, float]:
    """Quartiles over environments and dimensions."""
    described = {}
    for name, values in (("lag-1 correlation", correlations), ("action's share", shares)):
        known = values[~values.isnan()]
        for quantile in (0.25, 0.5, 0.75):
            described[f"{name}, quantile {quantile:g}"] = float(known.quantile(quantile))
    return described


def describe_prior(data: SyntheticData) -> dict[str, float]:
    """Of synthetic environments, used slots only."""
    correlations = lag_correlations(data.observations, data.next_observations)
    shares = action_shares(data.observations, data.actions, data.next_observations)
    return summarise_quartiles(correlations[data.state_used], shares[data.state_used])


def describe_data(
    data: TrainingData, generator: np.random.Generator, rows: int = 1000
) -> dict[str, float]:
    """Of a suite's logged data: `rows` transitions of each task."""
    correlations, shares = [], []
    for task in range(data.num_tasks):
        first, last = (
            int(data.columns.offsets[data.task_offsets[each]]) for each in (task, task + 1)
        )
        steps = data.transitions(generator.integers(first, last, size=rows))
        columns = (steps.observations, steps.actions, steps.next_observations)
        before, actions, after = (torch.as_tensor(values)[None] for values in columns)
        correlations.append(lag_correlations(before, after))
        shares.append(action_shares(before, actions, after))
    return summarise_quartiles(torch.cat(correlations), torch.cat(shares))
