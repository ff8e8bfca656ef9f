"""BOReL's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from ..common.actor_critic.config import ActorCriticConfig


class BorelConfig(ActorCriticConfig):
    """Belief, its decoders, relabelled rewards, and the actor-critic on observation and belief."""

    latent_dim: int = Field(5, ge=1, description="length of the latent task variable of the belief")
    memory_width: int = Field(64, ge=1, description="units of the GRU that reads transitions")
    embedding_width: int = Field(
        64, ge=1, description="units of both layers that a transition goes through before the GRU"
    )
    decoder_width: int = Field(64, ge=1, description="units of both hidden layers of the decoders")
    belief_learning_rate: float = Field(
        3e-3, gt=0, description="Adam's learning rate for belief and decoders"
    )
    belief_divergence_weight: float = Field(
        0.1,
        ge=0,
        description="weight of the divergence between a belief and the belief one step before, against a "
        "trajectory's summed errors",
    )
    change_weight: float = Field(
        1.0,
        ge=0,
        description="weight of errors in the changes of observations, against errors in rewards; 0: rewards alone, "
        "as released",
    )
    episodes: int = Field(
        2,
        ge=1,
        description="episodes of one task in a trajectory; the belief survives the resets between them",
    )
    tasks_per_update: int = Field(8, ge=1, description="tasks a batch of trajectories")
    trajectories_per_task: int = Field(2, ge=1, description="trajectories of each of these tasks")
    prefixes: int = Field(
        8,
        ge=1,
        description="randomly drawn prefixes of each trajectory; the whole trajectory is decoded from each",
    )
    decoded: int = Field(
        16, ge=1, description="randomly drawn steps of the whole trajectory that are decoded"
    )
    belief_updates: int = Field(2_000, ge=1, description="updates of belief and decoders")
    relabelled: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of trajectories that come from another task, with rewards from a learned model of this "
        "task; behaviour then does not reveal the task. Correct only if tasks differ in rewards alone",
    )
    reward_updates: int = Field(
        2_000, ge=1, description="updates of the reward model, if anything is relabelled"
    )
    kept_steps: int = Field(
        2_000_000,
        ge=1,
        description="largest number of steps whose beliefs are kept for the actor-critic; each takes 8 bytes times "
        "latent_dim; all tasks have the same number of trajectories",
    )
    kept_trajectories: int = Field(
        200, ge=1, description="largest number of trajectories of each task that are kept"
    )
    batch_size: int = Field(512, ge=1, description="transitions a batch of the actor-critic")
    updates: int = Field(10_000, ge=1, description="updates of the actor-critic")
    log_interval: int = Field(
        200, ge=1, description="updates between two rows of the training curve"
    )


VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "td3bc": {"backbone": "td3bc"},
    "bc": {"backbone": "bc"},
    "published_backbone": {
        "backbone": "brac",
        "entropy_weight": 0.2,
        "divergence_weight": 0.0,
        "largest_divergence_weight": 0.0,
    },
    "relabelled": {"relabelled": 0.5},
    "one_episode": {"episodes": 1},
    "rewards_only": {"change_weight": 0.0},
}
"""Ablations and rivals; `one_episode`: the belief never learns what a reset is; `relabelled`: for suites whose tasks
differ by nothing but rewards."""

BUDGETS: Mapping[str, Mapping[str, Any]] = {
    "tiny": {
        "actor_width": 16,
        "memory_width": 16,
        "embedding_width": 8,
        "decoder_width": 16,
        "tasks_per_update": 4,
        "trajectories_per_task": 2,
        "prefixes": 4,
        "decoded": 8,
        "belief_updates": 20,
        "reward_updates": 20,
        "kept_trajectories": 10,
        "batch_size": 32,
        "updates": 20,
        "log_interval": 5,
    },
    "demo": {"belief_updates": 600, "reward_updates": 500, "updates": 2_000},
    "cpu": {},
    "long": {
        "belief_updates": 30_000,
        "reward_updates": 10_000,
        "updates": 100_000,
        "log_interval": 2_000,
    },
    "paper": {
        **VARIANTS["published_backbone"],
        "actor_width": 256,
        "actor_learning_rate": 3e-4,
        "learning_rate_decay": False,
        "memory_width": 128,
        "decoder_width": 32,
        "belief_learning_rate": 3e-4,
        "belief_divergence_weight": 0.05,
        "change_weight": 0.0,
        "episodes": 2,
        "trajectories_per_task": 8,
        "prefixes": 64,
        "decoded": 64,
        "belief_updates": 100_000,
        "reward_updates": 20_000,
        "kept_steps": 10_000_000,
        "kept_trajectories": 1_000,
        "batch_size": 4_096,
        "updates": 1_000_000,
        "log_interval": 2_000,
    },
}
"""What each preset changes."""

SHORT: Mapping[str, Any] = {"episodes": 4, "belief_updates": 5_000}

SUITES: Mapping[str, Mapping[str, Any]] = {
    "point-robot": {**SHORT, "discount": 0.9},
    "point-robot-sparse": {**SHORT, "discount": 0.9},
    "point-robot-wind": {**SHORT, "discount": 0.9},
    "darkroom": SHORT,
    "darkroom-permuted": SHORT,
    "key-to-door": SHORT,
}
"""Where episodes are short, trajectories are of as many as three shots and the scored one make, and a GRU reads more of
them in the time. Discounts are the papers'."""
