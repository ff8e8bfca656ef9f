"""The learning-rate schedule, and losses between two rows of the training curve."""

from __future__ import annotations

import math

import numpy as np

from .config import TransformerConfig


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


def learning_rate_factor(config: TransformerConfig, update: int) -> float:
    """Linear warm-up, then constant or cosine decay to a tenth."""
    warm = min(1.0, update / config.warmup) if config.warmup else 1.0
    if not config.decay:
        return warm
    return warm * (0.55 + 0.45 * math.cos(math.pi * update / config.updates))
