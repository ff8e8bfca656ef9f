"""The strict schema of a dataset's recipe in suite.toml."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from metabench.suites.recipes.kinds import MIXTURE, complete_behaviours
from metabench.system.strict_model import StrictModel

SplitName = Literal["train", "test", "test-far"]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=64)]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
MINARI_ID = r"^([A-Za-z0-9_-]+/)*[A-Za-z0-9_-]+-v[0-9]+$"
MinariId = Annotated[str, Field(pattern=MINARI_ID, max_length=200)]
StageCount = Annotated[int, Field(ge=2)]
Checkpoints = Annotated[tuple[Name, ...], Field(min_length=2)]


class EpisodeFilter(StrictModel):
    """Which episodes of a Minari dataset are taken; an episode that is cut is judged by what is left of it."""

    min_return: float | None = Field(default=None, description="least undiscounted return")
    max_return: float | None = Field(default=None, description="largest undiscounted return")
    min_steps: int | None = Field(default=None, ge=1, description="least number of steps")
    success: bool | None = Field(
        default=None, description="only those with, or without, success at any step"
    )


class DatasetEntry(StrictModel):
    """One kind of logged data: rolled out (`behaviours`, or `stages` in order) or recorded elsewhere (`minari`)."""

    version: int = Field(default=1, ge=1)
    trajectories: int = Field(
        ge=1,
        description="trajectories a task; of recorded ones this is the largest number, and the first ones are taken",
    )
    behaviours: dict[str, float] = Field(
        min_length=1,
        description="share of trajectories of each behaviour: `random` or a teacher behaviour",
    )
    stages: StageCount | Checkpoints | None = Field(
        default=None,
        description="instead of behaviours: histories, in the order of learning. A number of stages: in stage i of n "
        "each action is the expert's with probability i / (n - 1), else uniformly random. Or teacher behaviours, one a "
        "stage, weakest first",
    )
    labels_of: Name | None = Field(
        default=None,
        description="instead of all others but version and digest: the trajectories of this dataset, with the "
        "expert's action in every state as one more column",
    )
    minari: dict[int, MinariId] | None = Field(
        default=None,
        description="instead of behaviours: the Minari dataset of each task, by the task's id",
    )
    filter: EpisodeFilter | None = Field(default=None, description="selects recorded episodes")
    cut: bool = Field(
        default=False, description="recorded episodes longer than the horizon are cut, not refused"
    )
    clip: bool = Field(
        default=False, description="recorded actions out of bounds are clipped, not refused"
    )
    splits: tuple[SplitName, ...] = Field(
        default=("train", "test"), description="splits whose tasks it covers"
    )
    seed: int = Field(default=0, ge=0, description="seed of the trajectories")
    digest: Digest | None = Field(
        default=None, description="hash of the decoded arrays, in a fixed order"
    )

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, content: Any) -> Any:
        """Histories and recorded trajectories need not write their behaviours down."""
        if not isinstance(content, dict):
            return content
        recorded = content.get("minari") is not None
        for key in ("filter", "cut", "clip"):
            if content.get(key) and not recorded:
                raise ValueError(f"{key} is for recorded trajectories: expected a table minari")
        if recorded and content.get("stages") is not None:
            raise ValueError("expected either stages (rolled out) or minari (recorded), found both")
        known = complete_behaviours(content)
        if known is None:
            return content
        if content.get("behaviours", known) != known:
            either = "minari (recorded)" if recorded else "stages (in order)"
            raise ValueError(f"expected either behaviours (rolled out) or {either}, found both")
        return {**content, "behaviours": known}

    @model_validator(mode="after")
    def _check_stages(self) -> Self:
        if isinstance(self.stages, tuple) and len(set(self.stages)) < len(self.stages):
            raise ValueError("stages must name each behaviour once")
        if self.trajectories % self.stage_count:
            raise ValueError(
                f"trajectories ({self.trajectories}) must be a multiple of the {self.stage_count} stages"
            )
        return self

    @model_validator(mode="after")
    def _check_shares(self) -> Self:
        if any(share <= 0 for share in self.behaviours.values()):
            raise ValueError("behaviours must have positive shares")
        if not math.isclose(sum(self.behaviours.values()), 1.0, abs_tol=1e-9):
            raise ValueError(f"behaviours must sum to 1, not {sum(self.behaviours.values()):g}")
        for name, share in self.behaviours.items():
            count = share * self.trajectories
            if not math.isclose(count, round(count), abs_tol=1e-6):
                raise ValueError(
                    f"behaviour {name!r} must be a whole number of trajectories, not {count:g}"
                )
        return self

    @property
    def stage_count(self) -> int:
        """Number of stages of histories; 1 of data without any order."""
        if self.stages is None:
            return 1
        return self.stages if isinstance(self.stages, int) else len(self.stages)

    @property
    def teacher_behaviours(self) -> frozenset[str]:
        """What the suite's teacher must be able to act as, for the data to be made here."""
        if self.minari is not None:
            return frozenset()
        expert = {"expert"} if MIXTURE in self.behaviours or self.labels_of is not None else set()
        return frozenset({*self.behaviours, *expert} - {"random", MIXTURE})
