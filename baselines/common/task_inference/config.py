"""What all methods with a context encoder are configured by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from ..actor_critic.config import ActorCriticConfig

Exploration = Literal["none", "random-first", "training-codes"]


class TaskInferenceConfig(ActorCriticConfig):
    """Context encoder, actor-critic, and how support is collected and read."""

    code_dim: int = Field(8, ge=1, description="length of the task's code")
    encoder_width: int = Field(64, ge=1, description="units of each hidden layer of the encoder")
    encoder_depth: int = Field(2, ge=1, description="number of its hidden layers")
    encoder_learning_rate: float = Field(
        1e-3, gt=0, description="Adam's learning rate for the encoder and its loss"
    )
    next_observation: bool = Field(
        True, description="the encoder sees the next observation, not only the reward"
    )
    tasks_per_update: int = Field(8, ge=2, description="tasks a batch")
    replacement: bool = Field(
        True,
        description="tasks of a batch are drawn with replacement; without it no two contexts share a task, and a "
        "metric loss only pushes codes apart (as in the released code of FOCAL and CSRO)",
    )
    transitions_per_task: int = Field(
        64, ge=1, description="transitions of each task, for the actor-critic"
    )
    context_length: int = Field(64, ge=1, description="largest number of transitions in a context")
    empty_contexts: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="share of contexts without any transition, which have code zero; an episode without support "
        "starts with this code",
    )
    whole_contexts: bool = Field(
        False,
        description="all contexts have the largest length; otherwise a context has one transition or more",
    )
    own_transitions: bool = Field(
        False,
        description="the code also uses the running episode; otherwise it uses the support alone, as published. The "
        "policy's own transitions differ from the data: on point-robot's validation tasks they cost "
        "unicorn 52 points at zero shots and 3 after logged ones (4,000 updates, one seed)",
    )
    exploration: Exploration = Field(
        "none",
        description="how support episodes are acted: like any other; the first one at random (CSRO); or each with "
        "the code of a random training task (IDAQ)",
    )
    best_episodes: int | None = Field(
        None,
        ge=1,
        description="the code uses this number of support episodes, those with the highest returns (IDAQ: 1); empty: "
        "all",
    )
    encoder_first: int = Field(
        0,
        ge=0,
        description="updates of the encoder alone, after which it stays as it is; 0: both learn together",
    )
    updates: int = Field(20_000, ge=1, description="updates of the actor-critic")
    log_interval: int = Field(
        200, ge=1, description="updates between two rows of the training curve"
    )

    @model_validator(mode="after")
    def _check_discrete_exploration(self) -> Self:
        if self.exploration == "training-codes" and self.best_episodes is None:
            raise ValueError(
                "exploration=training-codes acts in most support episodes as if in another task; expected best_episodes"
            )
        return self


IDAQ: Mapping[str, Any] = {"exploration": "training-codes", "best_episodes": 1}
"""Exploration and selection as IDAQ has them."""

BUDGETS: Mapping[str, Mapping[str, Any]] = {
    "tiny": {
        "actor_width": 16,
        "encoder_width": 16,
        "tasks_per_update": 4,
        "transitions_per_task": 8,
        "context_length": 8,
        "updates": 20,
        "log_interval": 5,
    },
    "demo": {"updates": 2_000},
    "cpu": {},
    "long": {"updates": 200_000, "log_interval": 2_000},
    "paper": {
        "backbone": "brac",
        "actor_width": 256,
        "actor_depth": 3,
        "actor_learning_rate": 3e-4,
        "learning_rate_decay": False,
        "encoder_width": 200,
        "encoder_depth": 3,
        "encoder_learning_rate": 3e-4,
        "code_dim": 20,
        "tasks_per_update": 16,
        "transitions_per_task": 256,
        "context_length": 256,
        "empty_contexts": 0.0,
        "whole_contexts": True,
        "updates": 200_000,
        "log_interval": 2_000,
    },
}
"""What every method of the family changes by preset."""

SUITES: Mapping[str, Mapping[str, Any]] = {"point-robot": {"discount": 0.9}}
"""What the papers chose for a suite."""
