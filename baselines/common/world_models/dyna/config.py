"""How an actor-critic learns from imagined steps, and its budgets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from ...actor_critic.config import ActorCriticConfig, Backbone
from ..config import TINY, ContextEnsembleConfig, EnsembleConfig


class ImaginingConfig(ActorCriticConfig):
    """Branches off logged states, and the actor-critic that learns of them."""

    backbone: Backbone = Field(
        "sac",
        description="what learns of the imagined steps; iql and bc learn of them as of logged ones",
    )
    policy_updates: int = Field(10_000, ge=1, description="updates of the actor-critic")
    policy_batch: int = Field(256, ge=1, description="transitions of each")
    real_share: float = Field(
        0.05, ge=0, le=1, description="of a batch: logged transitions, the others are imagined"
    )
    imagine_every: int = Field(250, ge=1, description="updates between two rounds of imagination")
    starts: int = Field(2_048, ge=1, description="logged states that a round begins at")
    steps: int = Field(5, ge=1, description="imagined steps of each")
    rounds_kept: int = Field(5, ge=1, description="rounds whose transitions are kept")
    penalty: float = Field(
        1.0,
        ge=0,
        description="deviations of rewards taken off a reward for each unit of the largest member's doubt: the L2 norm "
        "of its deviations, of outcomes of deviation 1",
    )
    log_interval: int = Field(
        250, ge=1, description="updates between two rows of the policy's training curve"
    )


class DynaConfig(EnsembleConfig, ImaginingConfig):
    """Ensemble and actor-critic."""


class DynaContextConfig(ContextEnsembleConfig, ImaginingConfig):
    """Ensemble with a context, and actor-critic that is told the same code."""


BUDGETS: Mapping[str, Mapping[str, Any]] = {
    "tiny": {
        **TINY,
        "actor_width": 16,
        "policy_updates": 20,
        "policy_batch": 32,
        "imagine_every": 10,
        "starts": 32,
        "steps": 2,
        "log_interval": 5,
    },
    "demo": {"updates": 1_000, "policy_updates": 2_000},
    "cpu": {},
    "long": {"updates": 60_000, "judged_every": 1_000, "policy_updates": 100_000},
    "paper": {
        "width": 200,
        "depth": 4,
        "learning_rate_decay": False,
        "variance_weight": 0.0,
        "patience": 5,
        "updates": 50_000,
        "actor_width": 256,
        "actor_learning_rate": 3e-4,
        "policy_updates": 1_000_000,
        "imagine_every": 1_000,
        "starts": 50_000,
        "log_interval": 5_000,
    },
}
"""What each preset changes."""

SUITES: Mapping[str, Mapping[str, Any]] = {"point-robot": {"discount": 0.9}}
"""What is chosen for a suite, as the other actor-critics have it."""

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "one_step": {"steps": 1},
    "three_steps_loss": {"loss_steps": 3},
}
"""Ablations of all."""
