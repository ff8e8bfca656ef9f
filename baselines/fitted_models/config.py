"""The configuration of the fitted models: planning is all there is to configure."""

from __future__ import annotations

from ..common.planning.config import PlannerConfig

PRESETS = {
    "tiny": PlannerConfig(samples=8, horizon=4, largest_context=64),
    "demo": PlannerConfig(),
    "cpu": PlannerConfig(),
    "paper": PlannerConfig(samples=128, iterations=4, replan=1, largest_context=1000),
}

KERNEL_PRESETS = {
    **PRESETS,
    "demo": PlannerConfig(largest_context=256),
    "cpu": PlannerConfig(largest_context=256),
}
"""As much context as `oswm-plus` reads."""
