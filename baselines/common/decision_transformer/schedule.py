"""The learning-rate schedule."""

from __future__ import annotations

from ..optimisation import cosine_factor
from .config import TransformerConfig


def learning_rate_factor(config: TransformerConfig, update: int) -> float:
    """Linear warm-up, then constant or cosine decay to a tenth."""
    warm = min(1.0, update / config.warmup) if config.warmup else 1.0
    if not config.decay:
        return warm
    return warm * cosine_factor(update, config.updates, last=0.1)
