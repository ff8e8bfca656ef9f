"""The configuration of an ensemble, with a context and without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from metabench import Config


class EnsembleConfig(Config):
    """Sizes and training of probabilistic networks side by side."""

    members: int = Field(7, ge=1, description="networks")
    elites: int = Field(
        5, ge=1, description="those that are asked, the best by their errors on held-out data"
    )
    width: int = Field(128, ge=1, description="units of each hidden layer")
    depth: int = Field(2, ge=1, description="hidden layers")
    action_gating: bool = Field(
        False,
        description="the first hidden layer is multiplied by a linear function of the action (Oh et al. 2015)",
    )
    learning_rate: float = Field(1e-3, gt=0, description="Adam's")
    learning_rate_decay: bool = Field(
        True, description="the learning rate falls to zero along half a cosine"
    )
    weight_decay: float = Field(
        1e-4, ge=0, description="of the last layer; of earlier ones less, a quarter of it first"
    )
    variance_weight: float = Field(
        1.0,
        ge=0,
        le=1,
        description="beta: likelihoods are weighed by the predicted variance to this power (Seitzer et al. 2022); "
        "0 as published, 1: means learn by squared errors",
    )
    bound_penalty: float = Field(
        0.01, ge=0, description="of the learned bounds of the log-variances"
    )
    loss_steps: Literal[1, 3, 5] = Field(
        1, description="open-loop steps that the loss looks ahead (Oh et al. 2015)"
    )
    batch: int = Field(256, ge=1, description="transitions an update and member")
    tasks_per_update: int = Field(16, ge=1, description="tasks that they are of")
    updates: int = Field(5_000, ge=1, description="most updates")
    held_out: int = Field(
        1_000, ge=1, description="held-out transitions that members are judged by"
    )
    judged_every: int = Field(250, ge=1, description="updates between two judgements")
    patience: int = Field(
        10, ge=1, description="judgements without an improvement after which training stops"
    )
    improvement: float = Field(
        0.01, ge=0, lt=1, description="share of the error that counts as an improvement"
    )
    reach: float = Field(
        1.5,
        ge=1,
        description="imagined states and rewards stay within so many half ranges of the data's middle",
    )

    @model_validator(mode="after")
    def _bound_elites(self) -> Self:
        if self.elites > self.members:
            raise ValueError(
                f"elites: expected at most members {self.members}, found {self.elites}"
            )
        return self


class ContextEnsembleConfig(EnsembleConfig):
    """An ensemble that is told a code of the task, read from windows of steps (CaDM)."""

    code_dim: int = Field(10, ge=1, description="length of the task's code")
    code_gating: bool = Field(
        True, description="the first hidden layer is multiplied by a linear function of the code"
    )
    window: int = Field(10, ge=1, description="steps of a window, which the encoder reads together")
    encoder_widths: tuple[int, ...] = Field(
        (128, 64), min_length=1, description="units of the encoder's hidden layers"
    )
    context_windows: int = Field(
        8, ge=1, description="most windows of a task that a code is the mean of in training"
    )
    empty_contexts: float = Field(
        0.1, ge=0, lt=1, description="share of contexts without any step, whose code is zero"
    )
    learned_codes: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of contexts in whose place a code stands that is learned for the training task itself: the "
        "encoder learns from these what codes are to say; 0 as published",
    )
    code_weight: float = Field(
        0.1, ge=0, description="of the encoder's squared distance from the learned codes"
    )
    backward_weight: float = Field(
        0.5, ge=0, description="of the loss of the model backward in time; 0: there is none"
    )
    reading: Literal["encoder", "belief"] = Field(
        "belief",
        description="how the code is found when acting: by the encoder alone (CaDM), or as the expectation of a belief "
        "over codes, by how likely the ensemble makes what was seen under each",
    )
    temper: float = Field(0.1, gt=0, le=1, description="belief: exponent of a step's likelihood")
    drawn_exploration: bool = Field(
        True, description="belief: support episodes are acted as if a drawn code were true"
    )


TINY: Mapping[str, Any] = {
    "width": 16,
    "batch": 32,
    "tasks_per_update": 4,
    "updates": 40,
    "judged_every": 10,
    "held_out": 64,
}
"""Of every ensemble in the preset `tiny`."""

TINY_CONTEXT: Mapping[str, Any] = {
    "encoder_widths": (16,),
    "context_windows": 3,
    "window": 4,
    "code_dim": 4,
}
"""And of one with a context."""
