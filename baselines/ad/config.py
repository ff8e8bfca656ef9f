"""Algorithm Distillation's configuration and presets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from ..common.in_context.config import TINY, InContextConfig


class ADConfig(InContextConfig):
    """Which episodes of a history a context is made of, and how new ones are explored."""

    random_support: float = Field(
        0.1,
        ge=0,
        le=1,
        description="share of uniformly random actions in support episodes; actions drawn from the prediction alone "
        "rarely go where no training task pays",
    )

    stretch: float = Field(
        1.0,
        ge=0,
        le=1,
        description="the episodes of a training context lie, in order and with gaps, within this share of their "
        "task's history; with a larger share a context improves more from one episode to the next; 0: "
        "consecutive episodes",
    )


VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "consecutive": {"stretch": 0.0},
    "own_support": {"random_support": 0.0},
    "best_support": {"kept_support": "best"},
    "greedy": {"sampling": "never", "random_support": 0.0},
}
"""No stage is skipped; no random actions in support; the context holds the best of it; nothing is drawn."""

BUDGETS: Mapping[str, Mapping[str, Any]] = {
    "tiny": TINY,
    "demo": {"width": 32, "updates": 1_000},
    "cpu": {"width": 32, "updates": 3_000},
    "long": {"updates": 30_000, "log_interval": 1_000},
    "paper": {
        "random_support": 0.0,
        "layers": 4,
        "heads": 4,
        "dropout": 0.1,
        "batch_size": 128,
        "learning_rate": 3e-4,
        "warmup": 5_000,
        "updates": 300_000,
        "log_interval": 2_000,
    },
}
