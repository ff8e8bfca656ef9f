"""Predicting open loop: a model's means are what it is asked about next."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from metabench import Prediction

from .rows import DynamicsModel


@torch.no_grad()
def predict_open_loop(model: DynamicsModel, state: Any, actions: Tensor) -> tuple[Tensor, ...]:
    """Follow given actions in G environments, K lanes in each.

    Variances of the single steps are added up: what a step is off by is taken to stay, neither growing nor shrinking.
    Models that keep a state do so themselves (`Answers.accumulated`).

    Args:
        model: of the environments.
        state: where each lane is: `(G, K, S)` observations, or what a model that keeps a state begins with.
        actions: `(G, K, h, A)` features.

    Returns:
        As `Prediction` has them, for `(G, K)` lanes: observations, rewards, ends, and both deviations.
    """
    variance: Tensor | float = 0.0
    steps: list[tuple[Tensor, ...]] = []
    for features in actions.unbind(2):
        seen = model(state, features)
        state = seen.following
        own = seen.deviations.square()
        variance = own if seen.accumulated else variance + own
        reached, earned, ends = seen.next_observations, seen.rewards, seen.ends
        steps.append((reached, earned, ends, variance.sqrt(), seen.reward_deviations))
    return tuple(torch.stack(column, 2) for column in zip(*steps, strict=True))


def collect_prediction(
    parts: list[tuple[Tensor, tuple[Tensor, ...]]], lanes: int, *, deviations: bool
) -> Prediction:
    """One prediction of all lanes.

    Args:
        parts: `(G, K)` places of lanes, and what `predict_open_loop` returned for them; every lane is in one.
        lanes: how many there are.
        deviations: whether the models' deviations mean anything.
    """
    (_, first), *_ = parts
    whole = [torch.zeros(lanes, *each.shape[2:]) for each in first]
    for places, found in parts:
        for column, part in zip(whole, found, strict=True):
            column[places.flatten()] = part.flatten(0, 1)
    observations, rewards, ends, spread, reward_spread = (column.numpy() for column in whole)
    if not deviations:
        return Prediction(observations, rewards, ends)
    return Prediction(observations, rewards, ends, spread, reward_spread)
