"""Configuration of Meta-DT, and its presets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from ..common.decision_transformer.config import (
    SMALL_BUDGET,
    SUITES,
    CodePlacement,
    TransformerConfig,
)


class TaskCodeConfig(TransformerConfig):
    """A prompted transformer with codes of the task from a world model: what Meta-DT shares with what builds on it."""

    no_context: bool = Field(False, description="ablation: no task code")
    no_complementary_prompt: bool = Field(
        False, description="ablation: a random segment of a random support episode"
    )
    no_prompt: bool = Field(False, description="ablation: no prompt at any number of shots")
    separate_zero_shot: bool = Field(
        False, description="train a second model without prompts for zero shots, as the paper does"
    )
    code_placement: CodePlacement = Field(
        "token",
        description="the code is a token of its own (paper), stands beside 16 observation features in the "
        "observation's token (released code), or is added to that token at full width",
    )
    segment_choice: Literal["largest-error", "sampled"] = Field(
        "largest-error",
        description="prompt: the support segment of the largest world-model error (paper), or one drawn with a "
        "probability proportional to its error (released code)",
    )
    decoders: Literal["both", "reward", "transition"] = Field(
        "both",
        description="what is predicted: reward and transition (paper), or one (released code, by family)",
    )
    code_dim: int = Field(16, ge=1, description="length of the task code")
    model_width: int = Field(
        128, ge=1, description="width of the world model's encoder and decoders"
    )
    model_updates: int = Field(100_000, ge=1, description="world-model updates")
    model_batch_size: int = Field(128, ge=1, description="transitions an update of the world model")
    model_learning_rate: float = Field(
        1e-3, gt=0, description="Adam's learning rate for the world model"
    )


class MetaDTConfig(TaskCodeConfig):
    """Meta-DT as its paper says; where its released code differs, a field chooses."""

    context_horizon: int = Field(
        4, ge=1, description="h: transitions that the code reads, the last ones"
    )

    @model_validator(mode="before")
    @classmethod
    def _read_older(cls, values: Any) -> Any:
        return drop_fixed_fields(values, FIXED, "meta-dt")


FIXED: Mapping[str, Any] = {
    "history": "recent",
    "objective": "next",
    "model_decay": False,
    "relabelled_context": 0.0,
    "keep_residuals": False,
    "linear_reward": False,
    "support_episodes": 5,
    "exploration": 0.0,
    "probe_steps": 0,
}
"""Fields of older configurations, which meta-dt and meta-dt-plus shared, with the value that meta-dt always has."""


def drop_fixed_fields(values: Any, fixed: Mapping[str, Any], method: str) -> Any:
    """Read a configuration of the time when meta-dt and meta-dt-plus had one class: in records and saved policies.

    Args:
        values: keys and values, perhaps with some of `fixed`; anything else is left to the validation.
        fixed: what `method` does not choose, with the value that it always has.
        method: its name, for the error.

    Raises:
        ValueError: a key of `fixed` has another value: no such policy can be had any more.
    """
    if not isinstance(values, Mapping):
        return values
    for key, value in fixed.items():
        if key in values and values[key] != value:
            raise ValueError(f"{key}={values[key]!r}: {method} always has {value!r}")
    return {key: value for key, value in values.items() if key not in fixed}


ABLATIONS: Mapping[str, Mapping[str, Any]] = {
    name: {name: True}
    for name in ("no_context", "no_complementary_prompt", "no_prompt", "separate_zero_shot")
}
"""Named variants: `meta-dt/no_context`."""

BUDGETS: Mapping[str, Mapping[str, Any]] = {
    "tiny": {
        **SMALL_BUDGET,
        "width": 16,
        "layers": 1,
        "updates": 12,
        "warmup": 2,
        "batch_size": 8,
        "log_interval": 4,
        "model_updates": 12,
        "model_width": 16,
        "model_batch_size": 8,
    },
    "demo": {**SMALL_BUDGET, "updates": 400, "model_updates": 1000},
    "cpu": {**SMALL_BUDGET, "updates": 1000, "model_updates": 2000},
}
"""Overrides of the published configuration by preset; about a hundredth of the published updates."""

PAPER: Mapping[str, Mapping[str, Any]] = {
    "cheetah-vel": {"learning_rate": 5e-5, "updates": 200_000},
    "cheetah-dir": {"learning_rate": 6e-6},
    "ant-dir": {"learning_rate": 5e-5, "updates": 500_000},
    "hopper-param": {"learning_rate": 5e-5},
    "walker-param": {"learning_rate": 5e-5},
    "reach": {"return_scale": 500.0, "updates": 300_000},
}
"""Published settings by suite, where they are not the defaults (which are point-robot's)."""


def collect_overrides(suite: str) -> dict[str, dict[str, Any]]:
    """What each preset changes in the defaults for `suite`."""
    published = SUITES.get(suite, {})
    overrides = {name: {**published, **budget} for name, budget in BUDGETS.items()}
    return {**overrides, "paper": {**published, **PAPER.get(suite, {})}}


def build_presets(suite: str) -> dict[str, MetaDTConfig]:
    """Configurations for `suite` by preset."""
    return {name: MetaDTConfig(**overrides) for name, overrides in collect_overrides(suite).items()}
