"""Configuration of Meta-DT and Meta-DT-plus, and their presets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from ..common.decision_transformer.config import SUITES, CodePlacement, TransformerConfig
from ..prompt_dt.config import SMALL_BUDGET


class MetaDTConfig(TransformerConfig):
    """Meta-DT as its paper says; where its released code differs, a field chooses."""

    no_context: bool = Field(False, description="ablation: no task code")
    no_complementary_prompt: bool = Field(False, description="ablation: a random segment of a random support episode")
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
    history: Literal["recent", "all"] = Field(
        "recent", description="the code reads the last `context_horizon` transitions, or episode so far and support"
    )
    objective: Literal["next", "elsewhere"] = Field(
        "next", description="the code must predict its own next transition, or transitions elsewhere in the same task"
    )
    decoders: Literal["both", "reward", "transition"] = Field(
        "both", description="what is predicted: reward and transition (paper), or one (released code, by family)"
    )
    code_dim: int = Field(16, ge=1, description="length of the task code")
    context_horizon: int = Field(4, ge=1, description="h: transitions that `recent` codes read")
    model_width: int = Field(128, ge=1, description="width of the world model's encoder and decoders")
    model_updates: int = Field(100_000, ge=1, description="world-model updates")
    model_batch_size: int = Field(
        128, ge=1, description="`next`: transitions an update; `elsewhere`: episodes an update"
    )
    model_learning_rate: float = Field(1e-3, gt=0, description="Adam's learning rate for the world model")
    model_decay: bool = Field(False, description="cosine decay of the world model's learning rate to a hundredth")
    relabelled_context: float = Field(
        0.0,
        ge=0,
        le=1,
        description="`elsewhere`: share of codes that read, and predict, transitions of *other* tasks' episodes, with "
        "rewards and changes as they would be in the code's task: so behaviour tells nothing of the task",
    )
    keep_residuals: bool = Field(
        False,
        description="relabelled transitions keep what their own task does not explain of them; otherwise they become "
        "predictions, without noise",
    )
    linear_reward: bool = Field(False, description="the reward decoder is linear in the code")
    support_episodes: int = Field(5, ge=1, description="`all`: most support episodes that training codes read")
    exploration: float = Field(
        0.0,
        ge=0,
        le=1,
        description="probability of a uniformly random action at each step of unscored support episodes",
    )
    probe_steps: int = Field(
        0, ge=0, description="uniformly random first actions of a scored episode that has no support"
    )


PLUS: Mapping[str, Any] = {
    "history": "all",
    "objective": "elsewhere",
    "model_decay": True,
    "relabelled_context": 1.0,
    "code_placement": "sum",
    "window": 1,
    "no_prompt": True,
    "exploration": 0.7,
    "probe_steps": 3,
    "target_return": "predicted",
}
"""What makes Meta-DT-plus of Meta-DT; its README gives the evidence for each."""

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
"""Overrides of the published configuration by preset."""

ABLATIONS: Mapping[str, Mapping[str, Any]] = {
    name: {name: True} for name in ("no_context", "no_complementary_prompt", "no_prompt", "separate_zero_shot")
}
"""Named variants: `meta-dt/no_context`."""


_RESIDUALS: Mapping[str, Any] = {"keep_residuals": True}

PLUS_SUITES: Mapping[str, Mapping[str, Any]] = {
    "cheetah-vel": {},
    "cheetah-dir": {**_RESIDUALS, "linear_reward": True},
    "ant-dir": {**_RESIDUALS, "linear_reward": True},
    "ant-dir-arc": {**_RESIDUALS, "linear_reward": True},
    "hopper-param": _RESIDUALS,
    "walker-param": _RESIDUALS,
    "reach": _RESIDUALS,
}
"""What Meta-DT-plus does differently with noisy teachers; chosen by the world model's error on validation tasks."""

PAPER: Mapping[str, Mapping[str, Any]] = {
    "cheetah-vel": {"learning_rate": 5e-5, "updates": 200_000},
    "cheetah-dir": {"learning_rate": 6e-6},
    "ant-dir": {"learning_rate": 5e-5, "updates": 500_000},
    "hopper-param": {"learning_rate": 5e-5},
    "walker-param": {"learning_rate": 5e-5},
    "reach": {"return_scale": 500.0, "updates": 300_000},
}
"""Published settings by suite, where they are not the defaults (which are point-robot's)."""


def presets(suite: str, plus: bool) -> dict[str, MetaDTConfig]:
    """Configurations for `suite` by preset."""
    published = SUITES.get(suite, {})
    budgets: dict[str, dict[str, Any]] = {name: {**published, **budget} for name, budget in BUDGETS.items()}
    budgets["paper"] = {**published, **PAPER.get(suite, {})}
    if plus:
        budgets = {name: {**budget, **PLUS} for name, budget in budgets.items()}
        for name, budget in budgets.items():
            budget["batch_size"] = 64 if name == "tiny" else 1024  # single steps, not windows of 20
            budget["model_batch_size"] = 8 if name == "tiny" else 64  # whole episodes, not transitions
            budget.update(PLUS_SUITES.get(suite, {}))
        if suite in PLUS_SUITES:  # their logged actions are noisy; single steps are cheap, and more average it out
            budgets["cpu"]["updates"] = 3000
    return {name: MetaDTConfig(**budget) for name, budget in budgets.items()}
