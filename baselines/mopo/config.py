"""The configurations of mopo, and of mopo with a context."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..common.world_models.config import TINY_CONTEXT
from ..common.world_models.dyna.config import BUDGETS, DynaConfig, DynaContextConfig
from ..common.world_models.dyna.config import VARIANTS as SHARED_VARIANTS


class MopoConfig(DynaConfig):
    """Ensemble and actor-critic."""


class MopoContextConfig(DynaContextConfig):
    """Ensemble with a context, and actor-critic that is told the same code."""


CONTEXT_BUDGETS: Mapping[str, Mapping[str, Any]] = {
    **BUDGETS,
    "tiny": {
        **BUDGETS["tiny"],
        **TINY_CONTEXT,
    },
}
"""What each preset changes, with a small encoder."""

VARIANTS: Mapping[str, Mapping[str, Any]] = {"no_penalty": {"penalty": 0.0}, **SHARED_VARIANTS}
"""Ablations."""
