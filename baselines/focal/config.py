"""FOCAL's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from ..common.task_inference.config import TaskInferenceConfig


class FocalConfig(TaskInferenceConfig):
    """The encoder learns by distances between codes alone."""

    metric_weight: float = Field(1.0, gt=0, description="weight of the metric loss")
    next_observation: bool = Field(
        True,
        description="the encoder sees the next observation; the paper leaves it out where only rewards differ",
    )


VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "td3bc": {"backbone": "td3bc"},
    "bc": {"backbone": "bc"},
    "published_backbone": {"backbone": "brac"},
    "no_positives": {"replacement": False},
    "idaq": {"exploration": "training-codes", "best_episodes": 1},
    "own_transitions": {"own_transitions": True},
}
"""Ablations and rivals; `own_transitions`: the code grows in the episode, else it stays as the support left it."""

PAPER: Mapping[str, Any] = {"metric_weight": 10.0, "replacement": False}
"""What the paper's code has beside the family's sizes."""
