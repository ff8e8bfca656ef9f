"""Configuration of Meta-DT-plus, and its presets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from ..common.decision_transformer.config import CodePlacement
from ..meta_dt.config import BUDGETS, PAPER, TaskCodeConfig, describe_suite, drop_fixed_fields


class MetaDTPlusConfig(TaskCodeConfig):
    """Meta-DT's transformer on codes of the whole history; the README gives the evidence for each default."""

    window: int = Field(
        1,
        ge=1,
        description="K: steps of the main window; one, because the code carries the history",
    )
    no_prompt: bool = Field(
        True, description="no prompt at any number of shots: the code reads the support"
    )
    acting_prompts: Literal["top-return", "all"] = Field(
        "all",
        description="support episodes that prompts come from, if there are prompts: the three with the highest "
        "returns, or all",
    )
    code_placement: CodePlacement = Field(
        "sum",
        description="the code is added to the observation's token at full width, is a token of its own, or stands "
        "beside 16 observation features in the observation's token",
    )
    target_return: Literal["typical-best", "best", "predicted"] = Field(
        "predicted",
        description="target return-to-go: a prediction, at every step, of what is achievable; or, at an episode's "
        "start, the mean over training tasks of each task's best episode, or the best episode of all",
    )
    model_batch_size: int = Field(64, ge=1, description="episodes an update of the world model")
    model_decay: bool = Field(
        True, description="cosine decay of the world model's learning rate to a hundredth"
    )
    relabelled_context: float = Field(
        1.0,
        ge=0,
        le=1,
        description="share of codes that read and predict transitions of *other* tasks' episodes, with the rewards "
        "and changes of the code's task; behaviour then says nothing about the task",
    )
    keep_residuals: bool = Field(
        False,
        description="relabelled transitions keep the residual that their own task's model does not explain; "
        "otherwise they are predictions without noise",
    )
    linear_reward: bool = Field(False, description="the reward decoder is linear in the code")
    support_episodes: int = Field(
        5, ge=1, description="largest number of support episodes that the transformer's codes read"
    )
    exploration: float = Field(
        0.7,
        ge=0,
        le=1,
        description="probability of a uniformly random action at each step of unscored support episodes",
    )
    probe_steps: int = Field(
        3,
        ge=0,
        description="uniformly random first actions of a scored episode that has no support",
    )

    @model_validator(mode="before")
    @classmethod
    def _read_older(cls, values: Any) -> Any:
        return drop_fixed_fields(values, FIXED, "meta-dt-plus")


FIXED: Mapping[str, Any] = {"history": "all", "objective": "elsewhere", "context_horizon": 4}
"""Fields of older configurations, which meta-dt and meta-dt-plus shared, that this method does not choose."""

_RESIDUALS: Mapping[str, Any] = {"keep_residuals": True}

# Their teachers are noisy. Chosen by the world model's error on validation tasks.
NOISY_SUITES: Mapping[str, Mapping[str, Any]] = {
    "cheetah-vel": {},
    "cheetah-dir": {**_RESIDUALS, "linear_reward": True},
    "ant-dir": {**_RESIDUALS, "linear_reward": True},
    "ant-dir-arc": {**_RESIDUALS, "linear_reward": True},
    "hopper-param": _RESIDUALS,
    "walker-param": _RESIDUALS,
    "reach": _RESIDUALS,
}
"""Suites whose logged actions are noisy, and what is done differently there."""

OWN: tuple[str, ...] = ("window", "no_prompt", "code_placement", "target_return", "prompt_warmup")
"""Fields whose default here comes before what Meta-DT's presets say."""


UPDATES: Mapping[str, Mapping[str, int]] = {
    "cpu": {"updates": 1_000, "model_updates": 2_000, "log_interval": 20},
    "long": {"updates": 10_000, "model_updates": 20_000, "log_interval": 200},
    "paper": {"model_updates": 100_000, "log_interval": 20},
}
"""Where the budget is not Meta-DT's: an update reads single steps and whole episodes here, no windows."""


def build_presets(suite: str) -> dict[str, MetaDTPlusConfig]:
    """Configurations for `suite` by preset."""
    presets = {}
    for name, budget in BUDGETS.items():
        published = PAPER.get(suite, {}) if name == "paper" else {}
        overrides = {**describe_suite(suite), **budget, **published, **UPDATES.get(name, {})}
        kept = {key: value for key, value in overrides.items() if key not in OWN}
        kept["batch_size"] = 64 if name == "tiny" else 1024  # single steps, not windows of 20
        kept["model_batch_size"] = 8 if name == "tiny" else 64  # whole episodes, not transitions
        if name in ("cpu", "long") and suite in NOISY_SUITES:
            kept["updates"] *= 3  # single steps are cheap, and more of them average the noise out
        presets[name] = MetaDTPlusConfig(**{**kept, **NOISY_SUITES.get(suite, {})})
    return presets
