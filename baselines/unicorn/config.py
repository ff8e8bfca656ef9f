"""UNICORN's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from ..common.task_inference.config import IDAQ, TaskInferenceConfig


class UnicornConfig(TaskInferenceConfig):
    """The encoder learns by what actions lead to, with some of FOCAL's distances."""

    metric_weight: float = Field(
        0.15, ge=0, description="beta: weight of the metric loss beside the reconstruction"
    )
    decoder_width: int = Field(64, ge=1, description="units of each hidden layer of the decoders")
    relabelled: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of a context's transitions that come from other tasks, with this task's outcomes as the "
        "decoders predict them; the code then does not depend on who acted (GENTLE)",
    )


VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "td3bc": {"backbone": "td3bc"},
    "bc": {"backbone": "bc"},
    "published_backbone": {"backbone": "brac"},
    "gentle": {"metric_weight": 0.0, "relabelled": 0.5},
    "idaq": IDAQ,
    "own_transitions": {"own_transitions": True},
}
"""Ablations and rivals; `own_transitions`: the code grows in the episode, else it stays as the support left it."""

IDAQ_VARIANTS: Mapping[str, Mapping[str, Any]] = {
    name: VARIANTS[name] for name in ("bc", "own_transitions")
}
"""Of `unicorn-idaq`."""

SUITE_WEIGHTS: Mapping[str, Mapping[str, Any]] = {
    "hopper-param": {"metric_weight": 1.5},
    "walker-param": {"metric_weight": 0.7},
    "cheetah-dir": {"metric_weight": 0.01},
    "reach": {"metric_weight": 0.3},
}
"""Beta as the released code has it (walker-param: the paper says 1.5), reach from the paper; elsewhere 0.15."""
