"""CSRO's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from ..common.task_inference.config import IDAQ, Exploration, TaskInferenceConfig


class CsroConfig(TaskInferenceConfig):
    """FOCAL's distances, less what the code tells of who acted."""

    metric_weight: float = Field(10.0, gt=0, description="weight of the metric loss")
    information_weight: float = Field(
        25.0,
        ge=0,
        description="weight of the bound on the information that a transition's embedding has about state and action",
    )
    predictor_width: int = Field(
        64, ge=1, description="units of each hidden layer of the network that predicts embeddings"
    )
    predictor_depth: int = Field(3, ge=1, description="number of its hidden layers")
    exploration: Exploration = Field(
        "random-first",
        description="how support episodes are acted: the first one at random, as in the paper; none differently; or "
        "with training codes",
    )


VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "td3bc": {"backbone": "td3bc"},
    "bc": {"backbone": "bc"},
    "published_backbone": {"backbone": "brac"},
    "no_exploration": {"exploration": "none"},
    "idaq": IDAQ,
    "own_transitions": {"own_transitions": True},
}
"""Ablations and rivals; `own_transitions`: the code grows in the episode, else it stays as the support left it."""

SUITE_WEIGHTS: Mapping[str, Mapping[str, Any]] = {
    "cheetah-vel": {"information_weight": 10.0},
    "ant-dir": {"information_weight": 50.0},
}
"""As the released code has it, ant-goal's for ant-dir; elsewhere 25."""

PAPER: Mapping[str, Any] = {"replacement": False, "predictor_width": 200}
"""What the paper's code has beside the family's sizes."""
