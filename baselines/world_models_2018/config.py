"""The configuration of world-models-2018: an MDN-RNN, a linear controller, and how it is found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from ..common.world_models.mdn_rnn.config import TINY, MdnRnnConfig


class WorldModels2018Config(MdnRnnConfig):
    """Model, controller and search."""

    temperature: float = Field(
        1.15,
        gt=0,
        description="of dreams: logarithms of the mixtures' weights are divided by it, variances multiplied",
    )
    reads_hidden: bool = Field(
        True, description="the controller reads the hidden state beside the observation"
    )
    generations: int = Field(250, ge=1, description="generations of the search")
    population: int = Field(24, ge=2, description="controllers of each")
    dreams: int = Field(
        24,
        ge=1,
        description="dreams that each controller is judged by, of as many tasks and supports",
    )
    dream_steps: int | None = Field(
        None, ge=1, description="steps of a dream; None: as long as an episode"
    )
    first_deviation: float = Field(
        0.5, gt=0, description="standard deviation of the controllers' numbers, at first"
    )
    largest_full_search: int = Field(
        500,
        ge=1,
        description="with more numbers than this the search learns their variances alone, without covariances",
    )
    log_interval: int = Field(10, ge=1, description="generations between two rows of the curve")


BUDGETS: Mapping[str, Mapping[str, Any]] = {
    "tiny": {
        **TINY,
        "generations": 6,
        "population": 6,
        "dreams": 4,
        "log_interval": 2,
        # Eigenvectors of covariances that are nearly alike depend on last bits; tests compare results of processors.
        "largest_full_search": 1,
    },
    "demo": {"updates": 500, "generations": 50},
    "cpu": {},
    "long": {"updates": 30_000, "judged_every": 1_000, "generations": 2_000},
    "paper": {
        "width": 256,
        "variance_weight": 0.0,
        "learning_rate": 1e-3,
        "batch": 100,
        "sequence": 999,
        "support_steps": 900,
        "updates": 4_000,
        "population": 64,
        "dreams": 16,
        "first_deviation": 0.1,
        "generations": 1_800,
        "largest_full_search": 2_000,
    },
}
"""What each preset changes."""

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "temperature_low": {"temperature": 0.1},
    "temperature_one": {"temperature": 1.0},
    "temperature_high": {"temperature": 1.5},
    "observation_alone": {"reads_hidden": False},
    "one_gaussian": {"mixtures": 1},
}
"""Ablations."""
