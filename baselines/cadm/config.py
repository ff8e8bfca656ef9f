"""The configurations of cadm and cadm-plus: pets, and the encoder of the task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..common.planning.config import EliteSearchConfig
from ..common.world_models.config import TINY_CONTEXT, ContextEnsembleConfig
from ..pets.config import BUDGETS as PETS_BUDGETS
from ..pets.config import VARIANTS as PETS_VARIANTS


class CadmConfig(ContextEnsembleConfig, EliteSearchConfig):
    """Ensemble with a context, and planner."""


PUBLISHED: Mapping[str, Any] = {"code_gating": False, "learned_codes": 0.0, "reading": "encoder"}
"""How CaDM finds its code."""

PUBLISHED_SIZES: Mapping[str, Any] = {"encoder_widths": (256, 128, 64), "samples": 200}
"""What CaDM's code has beside PETS's sizes."""

PLUS_BUDGETS: Mapping[str, Mapping[str, Any]] = {
    **PETS_BUDGETS,
    "tiny": {**PETS_BUDGETS["tiny"], **TINY_CONTEXT},
    "paper": {**PETS_BUDGETS["paper"], **PUBLISHED_SIZES},
}
"""What each preset of cadm-plus changes."""

BUDGETS: Mapping[str, Mapping[str, Any]] = {
    name: {**budget, **PUBLISHED} for name, budget in PLUS_BUDGETS.items()
}
"""And of cadm."""

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    **PETS_VARIANTS,
    "no_backward": {"backward_weight": 0.0},
}
"""Ablations."""

PLUS_VARIANTS: Mapping[str, Mapping[str, Any]] = {
    **VARIANTS,
    "encoder": {"reading": "encoder"},
    "no_learned_codes": {"learned_codes": 0.0},
    "no_code_gating": {"code_gating": False},
}
"""And of cadm-plus: what it has beside cadm."""
