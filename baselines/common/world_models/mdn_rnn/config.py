"""The configuration of an MDN-RNN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, model_validator

from metabench import Config


class MdnRnnConfig(Config):
    """Sizes, what is read, and training."""

    width: int = Field(128, ge=1, description="units of the LSTM")
    mixtures: int = Field(5, ge=1, description="Gaussians of each outcome: coordinates and reward")
    least_deviation: float = Field(
        0.02, gt=0, description="of a Gaussian, of outcomes whose deviation is 1"
    )
    variance_weight: float = Field(
        1.0,
        ge=0,
        le=1,
        description="beta: likelihoods are weighed by the predicted variance to this power (Seitzer et al. 2022); "
        "0 as published",
    )
    sequence: int = Field(128, ge=2, description="steps of a training sequence, all of one task")
    segment: int = Field(
        24,
        ge=1,
        description="steps of each part of the support that is read; shorter episodes are read as a whole",
    )
    support_steps: int = Field(
        96, ge=0, description="most steps of a support that are read, before the lane's own"
    )
    batch: int = Field(16, ge=1, description="sequences an update")
    updates: int = Field(2_500, ge=1, description="updates of the model")
    learning_rate: float = Field(3e-3, gt=0, description="Adam's, at first")
    learning_rate_decay: bool = Field(
        True, description="the learning rate falls to zero along half a cosine"
    )
    gradient_clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    judged_every: int = Field(
        250, ge=1, description="updates between two measurements on validation tasks"
    )
    reach: float = Field(
        1.5,
        ge=1,
        description="imagined states and rewards stay within so many half ranges of the data's middle",
    )

    @model_validator(mode="after")
    def _leave_room(self) -> Self:
        if self.support_steps >= self.sequence:
            raise ValueError(
                f"support_steps: expected less than sequence {self.sequence}, found {self.support_steps}"
            )
        return self


TINY: Mapping[str, Any] = {
    "width": 16,
    "mixtures": 2,
    "sequence": 24,
    "segment": 8,
    "support_steps": 16,
    "batch": 8,
    "updates": 30,
    "judged_every": 10,
}
"""Of every MDN-RNN in the preset `tiny`."""
