"""The configurations of explore-then-fit and goal-mpc: pets, and what is made of a task's rewards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from ..pets.config import BUDGETS as PETS_BUDGETS
from ..pets.config import VARIANTS as PETS_VARIANTS
from ..pets.config import PetsConfig


class ExploreThenFitConfig(PetsConfig):
    """An ensemble, and a reward that is regressed on what was earned in the task."""

    explores: Literal["rewards", "states", "nothing"] = Field(
        "rewards",
        description="what support episodes are acted for: steps whose reward the fit is unsure of, states that the "
        "ensemble's members disagree about (Plan2Explore), or what pays most so far",
    )
    noise: float = Field(
        0.1,
        gt=0,
        description="standard deviation of a reward around its fit, in the training data's: small ones trust few steps",
    )


class GoalConfig(PetsConfig):
    """An ensemble; what costs is the distance to the best place that was seen."""

    explores: Literal["states", "nothing"] = Field(
        "states",
        description="what support episodes are acted for: states that the ensemble's members disagree about, or the "
        "best place so far",
    )


BUDGETS: Mapping[str, Mapping[str, Any]] = PETS_BUDGETS
"""What each preset changes."""

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    **PETS_VARIANTS,
    "disagreement": {"explores": "states"},
    "no_exploration": {"explores": "nothing"},
}
"""Ablations of explore-then-fit."""

GOAL_VARIANTS: Mapping[str, Mapping[str, Any]] = {
    **PETS_VARIANTS,
    "no_exploration": {"explores": "nothing"},
}
"""And of goal-mpc."""
