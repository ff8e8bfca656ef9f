"""The configuration of planet: a recurrent model, and the search for actions in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from ..common.planning.config import EliteSearchConfig
from ..common.world_models.recurrent.config import TINY_RECURRENT, RecurrentConfig


class PlanetConfig(RecurrentConfig, EliteSearchConfig):
    """Model and planner."""

    exploration_noise: float = Field(
        0.3, ge=0, description="deviation of what is added to actions of support episodes (PlaNet)"
    )


PUBLISHED: Mapping[str, Any] = {
    "state_dim": 200,
    "width": 200,
    "head_width": 200,
    "prior_heads": 1,
    "batch": 50,
    "length": 50,
    "learning_rate_decay": False,
    "posterior_weight": 1.0,
    "free_nats": 3.0,
    "clip": 1_000.0,
    "updates": 100_000,
    "samples": 1_000,
    "horizon": 12,
    "iterations": 10,
    "search_elites": 100,
    "replan": 1,
    "persistence": 0.0,
    "deviation": 1.0,
    "smoothing": 0.0,
    "penalty": 0.0,
}
"""Sizes of the published code."""

BUDGETS: Mapping[str, Mapping[str, Any]] = {
    "tiny": {
        **TINY_RECURRENT,
        "samples": 8,
        "horizon": 4,
        "iterations": 2,
        "search_elites": 3,
    },
    "demo": {"updates": 1_000},
    "cpu": {},
    "long": {"updates": 30_000, "samples": 64, "replan": 2},
    "paper": PUBLISHED,
}
"""What each preset changes."""

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "no_penalty": {"penalty": 0.0},
    "one_head": {"prior_heads": 1},
    "published_losses": {"posterior_weight": 1.0, "free_nats": 3.0},
}
"""Ablations."""
