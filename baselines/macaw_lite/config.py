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
        description="on a support, in training as at test; 0: nothing is adapted, the control",
    )
    inner_rate: float = Field(
        0.1, gt=0, description="size of these steps; the outer loop goes on from there"
    )
    meta_training: bool = Field(
        True,
        description="the loss after the steps is what training lowers; false: imitation of all tasks at once",
    )
    advantage_weight: float = Field(
        1.0,
        ge=0,
        description="actions of a support are weighted by the exponential of this times their advantage, of mean 0 and "
        "deviation 1; 0: all alike",
    )
    largest_weight: float = Field(20.0, gt=1, description="upper bound of these exponentials")
    ridge: float = Field(
        1.0,
        gt=0,
        description="penalty of the regression that gives the values, for features a step",
    )
    unadapted_weight: float = Field(
        0.2,
        ge=0,
        description="of the loss without any step, beside that after them: what acts without a support",
    )
    support_noise: float = Field(
        0.5,
        ge=0,
        description="deviation of the noise on actions (scaled to [-1, 1]) in the policy's own support episodes, with "
        "discrete actions the chance of a random one; without any, there is nothing in them to learn from",
    )
    support_episodes: int = Field(
        3, ge=1, description="largest number of logged episodes that a support in training is of"
    )
    tasks_per_update: int = Field(8, ge=1, description="tasks a batch")
    support_transitions: int = Field(
        64, ge=2, description="drawn from the support's episodes in training; at test it is whole"
    )
    query_transitions: int = Field(
        64, ge=2, description="of the same task, that the loss after the steps is measured on"
    )
    learning_rate: float = Field(
        1e-3, gt=0, description="Adam's, of the outer loop, decayed to zero by a half cosine"
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
