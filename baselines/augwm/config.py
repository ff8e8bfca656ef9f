"""The configuration of augwm: mopo, and how far changes are scaled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, model_validator

from ..common.world_models.dyna.config import VARIANTS as SHARED_VARIANTS
from ..common.world_models.dyna.config import DynaConfig


class AugwmConfig(DynaConfig):
    """Ensemble, actor-critic, and the scaling of changes."""

    least_scale: float = Field(
        0.5,
        lt=1,
        description="changes of each coordinate are multiplied by at least this in a branch",
    )
    largest_scale: float = Field(1.5, gt=1, description="and by at most this")
    scale_coordinates: bool = Field(
        True, description="each coordinate has a factor of its own; else all have the same one"
    )
    scale_ridge: float = Field(
        2.0,
        gt=0,
        description="of fitted factors: so many changes of the usual size count as found to be as expected",
    )

    @model_validator(mode="after")
    def _need_freedom(self) -> Self:
        if self.largest_scale - self.least_scale < 1e-3:
            raise ValueError(
                f"least_scale: expected less than largest_scale {self.largest_scale:g} by 0.001 or more, found "
                f"{self.least_scale:g}"
            )
        return self


VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "one_factor": {"scale_coordinates": False},
    "wide": {"least_scale": 0.0, "largest_scale": 2.0},
    "no_penalty": {"penalty": 0.0},
    **SHARED_VARIANTS,
}
"""Ablations."""
