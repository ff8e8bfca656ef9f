"""Codes of a world model as what a context holds: of a long episode few of them, each the mean over its stretch."""

from __future__ import annotations

import torch
from torch import Tensor

from metabench import TrainingData

from ..meta_dt.model import gather_transitions
from ..meta_dt.world_model import TRANSITIONS_AT_ONCE, WorldModel, batch_episodes


def pool_codes(codes: Tensor, stride: int) -> Tensor:
    """Means over the last `stride` codes, or as many as there are, at each of T steps: `(..., T, code_dim)`."""
    sums = torch.cat([torch.zeros_like(codes[..., :1, :]), codes.cumsum(-2)], -2)
    steps = torch.arange(codes.shape[-2], device=codes.device)
    first = (steps + 1 - stride).clamp(min=0)
    means: Tensor = (sums[..., steps + 1, :] - sums[..., first, :]) / (steps + 1 - first)[:, None]
    return means


@torch.no_grad()
def encode_transitions(model: WorldModel, data: TrainingData, stride: int) -> Tensor:
    """Pooled codes `(num_transitions, code_dim)` after each transition of a data set, from its own episode alone."""
    codes = torch.zeros(data.num_transitions, model.encoder.output.out_features)
    for _, index, real in batch_episodes(data, TRANSITIONS_AT_ONCE):
        after = model.encode(gather_transitions(model.scales, data, index))[:, 1:]
        codes[index[real]] = pool_codes(after, stride).cpu()[torch.as_tensor(real)]
    return codes.to(model.scales.reward_mean.device)
