"""The configuration of dreamer-offline: a recurrent model, and an actor-critic that learns in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from ..common.world_models.dyna.config import SUITES as SUITES
from ..common.world_models.dyna.config import ImaginingConfig
from ..common.world_models.recurrent.config import DREAMER, TINY_RECURRENT, RecurrentConfig


class DreamerConfig(RecurrentConfig, ImaginingConfig):
    """Model and actor-critic."""

    policy_updates: int = Field(8_000, ge=1, description="updates of the actor-critic")
    imagine_every: int = Field(25, ge=1, description="updates between two rounds of imagination")
    starts: int = Field(512, ge=1, description="most logged steps that a round begins at")
    rounds_kept: int = Field(8, ge=1, description="rounds whose transitions are kept")
    penalty: float = Field(
        1.0,
        ge=0,
        description="deviations of rewards taken off a reward for each unit of disagreement of the prior heads, which "
        "is in units of one-step changes and deviations of rewards",
    )
    exploration_noise: float = Field(
        0.3,
        ge=0,
        description="continuous actions of support episodes: deviation of what is added (Dreamer); discrete ones are "
        "drawn from the actor, unless this is 0",
    )


BUDGETS: Mapping[str, Mapping[str, Any]] = {
    "tiny": {
        **DREAMER,
        **TINY_RECURRENT,
        "actor_width": 16,
        "policy_updates": 20,
        "policy_batch": 32,
        "imagine_every": 10,
        "starts": 32,
        "steps": 2,
        "log_interval": 5,
    },
    "demo": {**DREAMER, "updates": 1_000, "policy_updates": 2_000},
    "cpu": DREAMER,
    "long": {**DREAMER, "updates": 30_000, "policy_updates": 80_000},
    "paper": {
        **DREAMER,
        "state_dim": 512,
        "width": 64,
        "groups": 32,
        "classes": 4,
        "prior_heads": 7,
        "free_nats": 1.0,
        "learning_rate": 4e-5,
        "learning_rate_decay": False,
        "length": 64,
        "updates": 25_000,
        "actor_width": 64,
        "actor_learning_rate": 8e-5,
        "policy_updates": 200_000,
        "real_share": 0.0,
        "log_interval": 1_000,
    },
}
"""What each preset changes."""

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "no_penalty": {"penalty": 0.0},
    "gaussian": {"latent": "gaussian"},
}
"""Ablations."""
