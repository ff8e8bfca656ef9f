"""The configuration of pets: an ensemble, and the search for actions in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..common.planning.config import EliteSearchConfig
from ..common.world_models.config import TINY, EnsembleConfig


class PetsConfig(EnsembleConfig, EliteSearchConfig):
    """Ensemble and planner."""


PUBLISHED: Mapping[str, Any] = {
    "members": 5,
    "elites": 5,
    "width": 200,
    "depth": 4,
    "learning_rate_decay": False,
    "variance_weight": 0.0,
    "patience": 5,
    "samples": 500,
    "horizon": 30,
    "iterations": 5,
    "replan": 1,
    "persistence": 0.0,
    "search_elites": 50,
    "updates": 50_000,
}
"""Sizes of the published code."""

BUDGETS: Mapping[str, Mapping[str, Any]] = {
    "tiny": {
        **TINY,
        "samples": 8,
        "horizon": 4,
        "iterations": 2,
        "search_elites": 3,
    },
    "demo": {"updates": 1_000},
    "cpu": {},
    "long": {"updates": 60_000, "judged_every": 1_000, "samples": 64, "replan": 2},
    "paper": PUBLISHED,
}
"""What each preset changes."""

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "mppi": {"search_elites": 0},
    "published_size": {"width": 200, "depth": 4},
    "three_steps": {"loss_steps": 3},
    "five_steps": {"loss_steps": 5},
    "action_gating": {"action_gating": True},
}
"""Ablations."""
