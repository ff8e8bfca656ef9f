"""One step down a gradient, learning-rate schedules, and rows of the training curve."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from metabench import TrainingRun


def descend(
    optimizer: torch.optim.Optimizer,
    loss: Tensor,
    *,
    clip: float | None = None,
    learning_rate: float | None = None,
) -> None:
    """Take one step down the gradient of `loss`.

    Args:
        optimizer: its parameters are changed.
        loss: a scalar.
        clip: the largest norm of the gradient over all parameters together; None does not clip.
        learning_rate: of this step; None leaves the optimizer's.
    """
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    take_step(optimizer, clip=clip, learning_rate=learning_rate)


def take_step(
    optimizer: torch.optim.Optimizer,
    *,
    clip: float | None = None,
    learning_rate: float | None = None,
) -> None:
    """As `descend`, with gradients that are there already: of a batch that went through in parts."""
    if learning_rate is not None:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
    if clip is not None:
        parameters = [
            parameter for group in optimizer.param_groups for parameter in group["params"]
        ]
        torch.nn.utils.clip_grad_norm_(parameters, clip)
    optimizer.step()


def cosine_factor(update: int, updates: int, *, last: float = 0.0, warmup: int = 0) -> float:
    """What the largest learning rate is multiplied by at an update, counted from 1.

    It rises linearly over `warmup` updates, then falls along half a cosine to `last` at the final one.
    """
    if update <= warmup:
        return update / warmup
    progress = (update - warmup) / max(1, updates - warmup)
    return (1.0 + last) / 2 + (1.0 - last) / 2 * math.cos(math.pi * progress)


def log_at_intervals(
    run: TrainingRun, info: Mapping[str, Tensor], update: int, updates: int, interval: int
) -> None:
    """Log `info` at every update that `interval` divides, and at the last."""
    if update % interval == 0 or update == updates:
        run.log(**{name: value.item() for name, value in info.items()})


class RecentLosses:
    """Losses since the last row of the training curve; a part of the checkpoint, so that resumed curves are equal."""

    def __init__(self) -> None:
        """Begin empty."""
        self.values: list[float] = []

    def take(self) -> float:
        """Their mean; begins anew."""
        mean = float(np.mean(self.values))
        self.values = []
        return mean

    def state_dict(self) -> dict[str, list[float]]:
        """The losses."""
        return {"values": list(self.values)}

    def load_state_dict(self, state_dict: dict[str, list[float]]) -> None:
        """Put back the losses."""
        self.values = list(state_dict["values"])
