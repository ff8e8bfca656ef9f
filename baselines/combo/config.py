"""The configurations of combo, and of combo with a context."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from metabench import Config

from ..common.actor_critic.config import Backbone
from ..common.world_models.config import TINY_CONTEXT
from ..common.world_models.dyna.config import BUDGETS as SHARED_BUDGETS
from ..common.world_models.dyna.config import VARIANTS as SHARED_VARIANTS
from ..common.world_models.dyna.config import DynaConfig, DynaContextConfig


class ConservativeConfig(Config):
    """How critics are held down where the data does not reach."""

    backbone: Backbone = Field(
        "sac", description="what learns of the imagined steps: sac, whose critics are held down"
    )
    real_share: float = Field(
        0.5, gt=0, lt=1, description="of a batch: logged transitions, the others are imagined"
    )
    penalty: float = Field(
        0.0,
        ge=0,
        description="deviations of rewards taken off a reward for each unit of doubt, as mopo has it",
    )
    conservatism: float = Field(
        0.5, ge=0, description="weight of the conservative loss: 0.5 and 5 are published"
    )
    conservative_states: Literal["imagined", "mixed"] = Field(
        "imagined",
        description="in whose states values are held down: in imagined ones, or in all of the batch",
    )
    action_samples: int = Field(
        10,
        ge=1,
        description="continuous actions of each kind by which the values of all are estimated: the actor's in the "
        "state, its in the next one, uniform ones",
    )

    @model_validator(mode="after")
    def _need_critics(self) -> Self:
        if self.backbone != "sac":
            raise ValueError(f"backbone: expected sac, found {self.backbone}; mopo takes others")
        return self


class ComboConfig(ConservativeConfig, DynaConfig):
    """Ensemble, actor-critic, and the conservative loss."""


class ComboContextConfig(ConservativeConfig, DynaContextConfig):
    """The same with a context, which the actor-critic is told, too."""


BUDGETS: Mapping[str, Mapping[str, Any]] = {
    **SHARED_BUDGETS,
    "tiny": {**SHARED_BUDGETS["tiny"], "action_samples": 2},
    "paper": {**SHARED_BUDGETS["paper"], "actor_depth": 3},
}
"""What each preset changes."""

CONTEXT_BUDGETS: Mapping[str, Mapping[str, Any]] = {
    **BUDGETS,
    "tiny": {**BUDGETS["tiny"], **TINY_CONTEXT},
}
"""The same with a small encoder."""

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "not_conservative": {"conservatism": 0.0},
    "very_conservative": {"conservatism": 5.0},
    "mixed_states": {"conservative_states": "mixed"},
    **SHARED_VARIANTS,
}
"""Ablations."""
