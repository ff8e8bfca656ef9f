"""The Decision-Pretrained Transformer's configuration and presets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from ..common.in_context.config import TINY
from ..common.in_context.transitions import TransitionContextConfig


class DPTConfig(TransitionContextConfig):
    """How support is acted, and what of it is kept."""

    random_support: float = Field(
        1.0,
        ge=0,
        le=1,
        description="share of uniformly random actions in support episodes; the policy was trained on contexts of "
        "one behaviour, takes its own steps for that behaviour's, and never looks elsewhere",
    )


class DPTOwnActionsConfig(DPTConfig):
    """What is imitated where nobody says what an expert would do."""

    best_share: float = Field(
        0.1,
        gt=0,
        le=1,
        description="share of a task's episodes whose own actions are imitated: those with the highest returns",
    )


VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "whole_episodes": {"own_transitions": False},
    "unordered": {"trajectory_contexts": 0.0},
    "own_support": {"random_support": 0.0, "kept_support": "last"},
}
"""No running episode in the context; no trajectories in training contexts; the policy acts its support."""

BUDGETS: Mapping[str, Mapping[str, Any]] = {
    "tiny": {**TINY, "queries": 5},
    "demo": {"updates": 1_000},
    "cpu": {},
    "long": {"updates": 40_000, "log_interval": 1_000},
    "paper": {
        "width": 32,
        "layers": 4,
        "batch_size": 64,
        "trajectory_contexts": 0.0,
        "own_transitions": False,
        "random_support": 0.0,
        "kept_support": "last",
        "sampling": "always",
        "updates": 312_000,
        "log_interval": 2_000,
    },
}
