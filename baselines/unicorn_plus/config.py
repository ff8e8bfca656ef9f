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
        description="exponent of a transition's likelihood; outcomes of one episode carry less information than the "
        "same number from many episodes",
    )
    probe_steps: int = Field(
        3,
        ge=0,
        description="first steps of a scored episode without support that are acted with a drawn code; a policy that "
        "does not move learns nothing",
    )
    posterior_exploration: bool = Field(
        True,
        description="support episodes are acted with codes drawn from the belief; otherwise with codes of all "
        "training tasks alike, as in IDAQ",
    )
    support_codes: bool = Field(
        True, description="the belief also contains the encoder's codes of the support episodes"
    )


VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "bc": {"backbone": "bc"},
    "random_exploration": {"posterior_exploration": False},
    "no_support_codes": {"support_codes": False},
    "no_own_transitions": {"own_transitions": False},
    "relabelled": {"relabelled": 0.5},
}
"""Ablations."""
