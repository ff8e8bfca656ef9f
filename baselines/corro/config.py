"""CORRO's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from ..common.task_inference.config import IDAQ, TaskInferenceConfig


class CorroConfig(TaskInferenceConfig):
    """The encoder learns to tell tasks apart by the same state and action."""

    negatives: Literal["generated", "noise"] = Field(
        "generated",
        description="outcomes of other tasks: drawn from a generative model of all tasks, or the reward with noise",
    )
    negative_count: int = Field(16, ge=1, description="negatives for each query")
    contrast: float = Field(0.1, gt=0, description="temperature of the similarities")
    reward_noise: float = Field(
        0.5, gt=0, description="`noise`: standard deviation, in scaled rewards"
    )
    generator_width: int = Field(
        64, ge=1, description="units of the generative model's hidden layers"
    )
    generator_code: int = Field(5, ge=1, description="length of its code")
    divergence_weight_of_generator: float = Field(
        0.2,
        ge=0,
        description="weight of the divergence between the generative model's code and a standard Gaussian",
    )
    encoder_first: int = Field(
        4_000, ge=0, description="updates of the encoder alone; after them it does not change"
    )


VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "td3bc": {"backbone": "td3bc"},
    "bc": {"backbone": "bc"},
    "published_backbone": {"backbone": "brac"},
    "noise": {"negatives": "noise"},
    "idaq": IDAQ,
    "own_transitions": {"own_transitions": True},
}
"""Ablations and rivals; `own_transitions`: the code grows in the episode, else it stays as the support left it."""

FIRST: Mapping[str, int] = {"tiny": 10, "demo": 500, "cpu": 4_000, "long": 40_000, "paper": 200_000}
"""Updates of the encoder alone, by preset."""
