"""The configuration of unicorn-plus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from ..unicorn.config import UnicornConfig


class UnicornPlusConfig(UnicornConfig):
    """How the policy believes; it trains as unicorn does."""

    temper: float = Field(
        0.1,
        gt=0,
        le=1,
        description="exponent of a transition's likelihood: outcomes of one episode say less than as many of many",
    )
    probe_steps: int = Field(
        3,
        ge=0,
        description="first steps of a scored episode without support that are acted by a drawn code: who does not "
        "move learns nothing",
    )
    posterior_exploration: bool = Field(
        True,
        description="codes that support episodes are acted by are drawn from the belief; else from all training "
        "tasks alike, as IDAQ does",
    )
    support_codes: bool = Field(
        True, description="the encoder's codes of the support episodes may be right as well"
    )


VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "bc": {"backbone": "bc"},
    "random_exploration": {"posterior_exploration": False},
    "no_support_codes": {"support_codes": False},
    "no_own_transitions": {"own_transitions": False},
    "relabelled": {"relabelled": 0.5},
}
"""Ablations."""
