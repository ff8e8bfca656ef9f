"""MACAW-lite's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from metabench import Config


class MacawLiteConfig(Config):
    """Network, inner steps on a support, and the outer loop that learns where they start from."""

    width: int = Field(128, ge=1, description="units of each hidden layer")
    depth: int = Field(2, ge=1, description="number of hidden layers")
    gradient_steps: int = Field(
        5,
        ge=0,
        description="steps on a support, in training and at test; 0: nothing is adapted (a control)",
    )
    inner_rate: float = Field(
        0.1, gt=0, description="initial size of these steps; the outer loop learns it further"
    )
    meta_training: bool = Field(
        True,
        description="training minimises the loss after the steps; false: imitation of all tasks at once",
    )
    advantage_weight: float = Field(
        1.0,
        ge=0,
        description="actions of a support are weighted by the exponential of this times their advantage (mean 0, "
        "standard deviation 1); 0: all equally",
    )
    largest_weight: float = Field(20.0, gt=1, description="upper bound of these exponentials")
    ridge: float = Field(
        1.0,
        gt=0,
        description="penalty of the regression that estimates the values, for features of one step",
    )
    unadapted_weight: float = Field(
        0.2,
        ge=0,
        description="weight of the loss before any step, beside the loss after the steps; it trains the policy that "
        "acts without support",
    )
    support_noise: float = Field(
        0.5,
        ge=0,
        description="standard deviation of the noise on actions (scaled to [-1, 1]) in the policy's own support "
        "episodes; for discrete actions the probability of a random one; without noise nothing can be "
        "learned from these episodes",
    )
    support_episodes: int = Field(
        3, ge=1, description="largest number of logged episodes in a training support"
    )
    tasks_per_update: int = Field(8, ge=1, description="tasks a batch")
    support_transitions: int = Field(
        64,
        ge=2,
        description="transitions drawn from the support's episodes in training; at test all are used",
    )
    query_transitions: int = Field(
        64, ge=2, description="transitions of the same task for the loss after the steps"
    )
    learning_rate: float = Field(
        1e-3,
        gt=0,
        description="Adam's learning rate for the outer loop, decayed to zero by a half cosine",
    )
    updates: int = Field(5_000, ge=1, description="updates of the outer loop")
    log_interval: int = Field(
        200, ge=1, description="updates between two rows of the training curve"
    )


VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "zero_steps": {"gradient_steps": 0},
    "no_meta_training": {"meta_training": False},
    "imitation": {"advantage_weight": 0.0},
    "no_noise": {"support_noise": 0.0},
}
"""Controls; `imitation`: the support's actions count alike, whatever came of them; `no_noise`: so few shots change
nothing, because the error of the policy's own actions is zero."""

BUDGETS: Mapping[str, Mapping[str, Any]] = {
    "tiny": {
        "width": 16,
        "tasks_per_update": 4,
        "support_transitions": 16,
        "query_transitions": 16,
        "updates": 20,
        "log_interval": 5,
    },
    "demo": {"updates": 1_000},
    "cpu": {},
    "long": {"updates": 50_000, "log_interval": 2_000},
    "paper": {
        "depth": 3,
        "gradient_steps": 1,
        "tasks_per_update": 5,
        "support_transitions": 256,
        "query_transitions": 256,
        "learning_rate": 1e-4,
        "updates": 1_000_000,
        "log_interval": 2_000,
    },
}
"""What each preset changes; the paper's sizes but for its weights, which are made from latent vectors."""
