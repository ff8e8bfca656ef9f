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
        description="prompt: the support segment with the largest world-model error (paper), or a segment of one "
        "episode drawn in proportion to its error (released code)",
    )
    segment_from: int | None = Field(
        None,
        ge=0,
        description="first step at which a segment may begin; empty: after h steps, when the code is full (released "
        "code), and in methods without h the first step. Earlier the code is empty and the error "
        "largest, so most prompts would be an episode's beginning",
    )
    acting_prompts: Literal["top-return", "all"] = Field(
        "top-return",
        description="support episodes that prompts come from: the three with the highest returns (released code), or "
        "all",
    )
    decoders: Literal["both", "by-family", "reward", "transition"] = Field(
        "both",
        description="predicted quantities: reward and transition (paper), the one that varies in the suite (released "
        "code), or one of them",
    )
    family_decoder: Literal["reward", "transition"] = Field(
        "reward", description="`by-family`: what varies between the suite's tasks"
    )
    code_dim: int = Field(16, ge=1, description="length of the task code")
    model_width: int = Field(
        128, ge=1, description="width of the world model's encoder and decoders"
    )
    model_updates: int = Field(212_000, ge=1, description="world-model updates")
    model_batch_size: int = Field(128, ge=1, description="transitions an update of the world model")
    model_learning_rate: float = Field(
        1e-3, gt=0, description="Adam's learning rate for the world model"
    )

    @property
    def earliest_segment(self) -> int:
        """First step at which a complementary segment may begin."""
        return self.segment_from or 0

    @property
    def decoded(self) -> Literal["both", "reward", "transition"]:
        """The decoders that count."""
        return self.family_decoder if self.decoders == "by-family" else self.decoders


class MetaDTConfig(TaskCodeConfig):
    """Meta-DT as its paper says; where its released code differs, a field chooses."""

    context_horizon: int = Field(
        4, ge=1, description="h: number of last transitions that the code reads"
    )
    decoder_inputs: Literal["scaled", "encoded"] = Field(
        "scaled",
        description="decoders read scaled observations and actions, or (released code) 16 features of each",
    )

    @property
    def earliest_segment(self) -> int:
        """First step at which a complementary segment may begin."""
        return self.context_horizon if self.segment_from is None else self.segment_from

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
"""Parts that are left out, or trained apart, by the name of their variant."""

RELEASED_CODE: Mapping[str, Any] = {
    "code_placement": "features",
    "segment_choice": "sampled",
    "acting_prompts": "top-return",
    "training_prompts": "top-return",
    "decoders": "by-family",
    "decoder_inputs": "encoded",
    "prompt_schedule": "after-warmup",
    "prompt_loss": False,
    "separate_zero_shot": True,
    "window_starts": "any",
}
"""What the released code does where the paper says something else, or nothing."""

VARIANTS: Mapping[str, Mapping[str, Any]] = {**ABLATIONS, "released_code": RELEASED_CODE}
"""Named variants: `meta-dt/no_context`, `meta-dt/released_code`."""

BUDGETS: Mapping[str, Mapping[str, Any]] = {
    "tiny": {
        **SMALL_BUDGET,
        "precision": "full",  # tests compare machines
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
    "cpu": {**SMALL_BUDGET, "updates": 6_000, "model_updates": 6_000, "log_interval": 100},
    "long": {
        **SMALL_BUDGET,
        "dropout": 0.1,
        "updates": 60_000,
        "model_updates": 60_000,
        "log_interval": 1_000,
    },
    "paper": {"log_interval": 1_000},
}
"""Overrides of the published configuration by preset.

The world model wants thousands of updates and the policy as many: at a sixth of `cpu` their scores on point-robot are
those of `bc` or worse, though the policy's loss on validation tasks is lower there than it is later.
"""

PAPER: Mapping[str, Mapping[str, Any]] = {
    "cheetah-vel": {
        "learning_rate": 5e-5,
        "updates": 200_000,
        "model_updates": 4_200_000,
        "prompt_warmup": 0.1,
    },
    "cheetah-dir": {"learning_rate": 6e-6, "model_updates": 188_000},
    "ant-dir": {
        "learning_rate": 5e-5,
        "updates": 500_000,
        "model_updates": 4_200_000,
        "prompt_warmup": 0.14,
    },
    "hopper-param": {"learning_rate": 5e-5, "model_updates": 1_400_000},
    "walker-param": {"learning_rate": 5e-5, "model_updates": 1_400_000},
    "reach": {
        "return_scale": 500.0,
        "learning_rate": 3e-6,
        "updates": 300_000,
        "model_updates": 3_500_000,
        "prompt_warmup": 1 / 3,
    },
}
"""Published settings by suite, where they are not the defaults (which are point-robot's).

World-model updates are the code's epochs over 100 trajectories of each training task: 301 of point-robot, 201 of hopper
and walker, 601 of the others. Reach's learning rate is the code's first; the later one, 1e-7, moves nothing.
"""

PHYSICS = ("hopper-param", "hopper-param-field", "walker-param", "cartpole-param", "pendulum-param")
"""Suites whose tasks differ in their dynamics, not in their reward."""


def describe_suite(suite: str) -> dict[str, Any]:
    """What every preset for `suite` has: the authors' window and scale, and what varies between its tasks."""
    varies = {"family_decoder": "transition"} if suite in PHYSICS else {}
    return {**SUITES.get(suite, {}), **varies}


def build_presets(suite: str) -> dict[str, MetaDTConfig]:
    """Configurations for `suite` by preset."""
    published = {"paper": PAPER.get(suite, {})}
    return {
        name: MetaDTConfig(**{**describe_suite(suite), **budget, **published.get(name, {})})
        for name, budget in BUDGETS.items()
    }
