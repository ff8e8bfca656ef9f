"""ic-iql's and s-icql's configurations and presets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from ..common.actor_critic.config import ActorCriticConfig, ImplicitQConfig
from ..common.in_context.config import TINY
from ..common.in_context.transitions import TransitionContextConfig
from ..meta_dt.config import MetaDTConfig


class ICIQLConfig(TransitionContextConfig, ImplicitQConfig):
    """A transformer over a context of transitions, with heads that act and that value."""

    backbone: Literal["iql", "bc"] = Field(
        "iql",
        description="how values are learned without leaving the data: implicit Q-learning, or not at all (bc, the "
        "control)",
    )
    temperature: float = Field(
        10.0,
        gt=0,
        description="actions are weighted by the exponential of this times their advantage, in deviations of returns",
    )
    random_support: float = Field(
        0.6,
        ge=0,
        le=1,
        description="share of actions in support episodes that are uniformly random, the others are the policy's: "
        "random ones alone walk less far, the policy's alone go where it went before",
    )

    @property
    def heads_config(self) -> ActorCriticConfig:
        """What the heads and their losses are made by."""
        return ActorCriticConfig(
            **{key: getattr(self, key) for key in ImplicitQConfig.model_fields}
        )


class SICQLConfig(ICIQLConfig):
    """The same with codes of a world model in the context."""

    code_dim: int = Field(16, ge=1, description="length of a code")
    code_steps: int = Field(
        4, ge=1, description="h: transitions that a code reads, the last ones of its episode"
    )
    model_width: int = Field(
        128, ge=1, description="width of the world model's encoder and decoders"
    )
    model_updates: int = Field(6_000, ge=1, description="world-model updates")
    model_batch_size: int = Field(128, ge=1, description="transitions an update of the world model")
    model_learning_rate: float = Field(
        1e-3, gt=0, description="Adam's learning rate for the world model"
    )

    @property
    def world_model_config(self) -> MetaDTConfig:
        """What Meta-DT's world model is made by."""
        shared = (
            "code_dim",
            "model_width",
            "model_updates",
            "model_batch_size",
            "model_learning_rate",
        )
        return MetaDTConfig(
            context_horizon=self.code_steps, **{key: getattr(self, key) for key in shared}
        )


VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "bc": {"backbone": "bc"},
    "whole_episodes": {"own_transitions": False},
    "unordered": {"trajectory_contexts": 0.0},
    "own_support": {"random_support": 0.0, "kept_support": "last"},
    "random_support": {"random_support": 1.0},
}
"""No values; no running episode in the context; no trajectories in training contexts; who acts the support."""

BUDGETS: Mapping[str, Mapping[str, Any]] = {
    "tiny": {**TINY, "queries": 5, "actor_width": 16},
    "demo": {"updates": 1_000},
    "cpu": {},
    "long": {"updates": 40_000, "log_interval": 1_000},
    "paper": {
        "width": 128,
        "layers": 4,
        "batch_size": 128,
        "learning_rate": 3e-4,
        "gradient_clip": 10.0,
        "warmup": 0,
        "expectile": 0.7,
        "temperature": 100.0,
        "largest_weight": 1_000.0,
        "random_support": 0.0,
        "kept_support": "last",
        "own_transitions": False,
        "episodes": 2,
        "updates": 400_000,
        "log_interval": 2_000,
    },
}
"""What the preset changes."""

MODEL_BUDGETS: Mapping[str, Mapping[str, Any]] = {
    "tiny": {"model_width": 16, "model_updates": 12, "model_batch_size": 8},
    "demo": {"model_updates": 1_000},
    "cpu": {},
    "long": {"model_updates": 60_000},
    "paper": {"model_updates": 200_000, "model_batch_size": 512},
}
"""And of the world model."""

SUITES: Mapping[str, Mapping[str, Any]] = {"point-robot": {"discount": 0.9}}
"""What the field chose for a suite."""
