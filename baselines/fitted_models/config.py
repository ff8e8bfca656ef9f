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

KERNEL_CONTEXTS = dict.fromkeys(
    ("door-lock", "ml10", "ml45", "pick-place", "push", "reach", "sweep"), 160
)
"""Rows that `kernel-model` reads in Meta-World's suites, of 39 observations: a cell is evaluated in five minutes.

On reach's validation tasks, 160 rows and 256: zero-shot 95 and 44, few-shot with 1, 3 and 5 episodes 45, 79, 60 and 52,
70, 43, logged-shot 69 and 69. Each is a mean over three seeds and 12 episodes in all: the differences may be chance.
"""
