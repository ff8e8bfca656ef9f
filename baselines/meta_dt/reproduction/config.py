"""What to reproduce."""

from __future__ import annotations

import difflib
from typing import Literal

from pydantic import Field, field_validator

from metabench import Config

SUITES = (
    "point-robot",
    "cheetah-vel",
    "cheetah-dir",
    "ant-dir",
    "hopper-param",
    "walker-param",
    "reach",
)
"""The paper's suites that are here under the same name."""

VERSION = 1
"""Of the suites: their test tasks are the paper's alone; later versions have more of them, and other bodies."""


class ReproduceConfig(Config):
    """What to compare; names are separated by commas."""

    suites: str = Field(default=",".join(SUITES), description="suites to show")
    leaderboard: str = Field(
        default="leaderboard/leaderboard.json",
        description="file of our published numbers; empty: none",
    )
    fresh: str = Field(
        default="", description="suites to train meta-dt in again, beside the published records"
    )
    dataset: str = Field(default="medium", description="`fresh`: dataset to train on")
    preset: Literal["tiny", "demo", "cpu", "long", "paper"] = Field(
        default="demo", description="`fresh`, `released`: budget of training"
    )
    seeds: int = Field(
        default=1, ge=1, description="`fresh`, `released`: trainings of a method in each suite"
    )
    released: str = Field(
        default="",
        description="folder of the group's released files dataset_task_<i>.pkl: import them, train meta-dt and "
        "prompt-dt on them, and show only their returns on the published test tasks",
    )
    released_suite: str = Field(
        default="point-robot", description="`released`: the suite of these tasks"
    )
    action_scale: float = Field(
        default=0.1, description="`released`: factor that converts actions to the suite's units"
    )
    variant: str = Field(
        default="", description="`released`: variant of meta-dt to train, such as released_code"
    )
    unverified: bool = Field(
        default=False,
        description="also show numbers of the paper's own table, which nobody compared with the paper",
    )

    @field_validator("suites", "fresh", "released_suite")
    @classmethod
    def _refuse_unknown_names(cls, value: str) -> str:
        """Refuse unknown names."""
        for name in split_names(value):
            if name not in SUITES:
                nearest = difflib.get_close_matches(name, SUITES, n=1, cutoff=0.4)
                hint = f"did you mean {nearest[0]!r}?" if nearest else f"known: {', '.join(SUITES)}"
                raise ValueError(f"unknown name {name!r}; {hint}")
        return value


def split_names(value: str) -> list[str]:
    """The parts of a list with commas."""
    return [part.strip() for part in value.split(",") if part.strip()]
