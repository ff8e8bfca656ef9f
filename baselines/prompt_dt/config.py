"""Configuration of Prompt-DT, and its presets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from ..common.decision_transformer.config import SMALL_BUDGET, SUITES, TransformerConfig

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
    },
    "demo": {**SMALL_BUDGET, "updates": 400},
    "cpu": {**SMALL_BUDGET, "updates": 8_000, "log_interval": 100},
    "long": {**SMALL_BUDGET, "dropout": 0.1, "updates": 80_000, "log_interval": 1_000},
    "paper": {
        "updates": 50_000,
        "learning_rate": 1e-4,
        "windows_a_task": 16,
        "window_starts": "any",
        "prompt_loss": False,
        "log_interval": 1_000,
    },
}
"""Overrides by preset; `paper` is as published, but that half of the windows have no prompt: see the README."""


class PromptDTConfig(TransformerConfig):
    """Prompt-DT as published (`paper`), with 5-step prompts from the method's own support episodes."""

    windows_a_task: int = Field(
        0,
        ge=0,
        description="windows an update for each fitting task, instead of `batch_size` (published: 16); 0: `batch_size`",
    )


def build_presets(suite: str) -> dict[str, PromptDTConfig]:
    """Configurations for `suite` by preset."""
    return {
        name: PromptDTConfig(**{**SUITES.get(suite, {}), **budget})
        for name, budget in BUDGETS.items()
    }
