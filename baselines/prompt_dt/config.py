"""Configuration of Prompt-DT, and its presets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..common.decision_transformer.config import SMALL_BUDGET, SUITES, TransformerConfig

BUDGETS: Mapping[str, Mapping[str, Any]] = {
    "tiny": {
        **SMALL_BUDGET,
        "width": 16,
        "layers": 1,
        "updates": 12,
        "warmup": 2,
        "batch_size": 8,
        "log_interval": 4,
    },
    "demo": {**SMALL_BUDGET, "updates": 400},
    "cpu": {**SMALL_BUDGET, "updates": 1000},
}
"""Overrides of the published configuration by preset."""


class PromptDTConfig(TransformerConfig):
    """Prompt-DT as published (`paper`), with 5-step prompts from the method's own support episodes."""


def build_presets(suite: str) -> dict[str, PromptDTConfig]:
    """Configurations for `suite` by preset."""
    budgets = {**BUDGETS, "paper": {"updates": 50_000, "learning_rate": 1e-4}}
    return {
        name: PromptDTConfig(**{**SUITES.get(suite, {}), **budget})
        for name, budget in budgets.items()
    }
