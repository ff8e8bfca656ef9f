"""The strict schema of suite.toml: what a suite is, in explicit numbers."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

SplitName = Literal["train", "test", "test-far"]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=64)]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Reference(_Strict):
    """Mean returns of a task over at least 100 episodes: what 0 and 100 mean in the normalised score."""

    random: float = Field(description="mean return of uniformly random actions")
    expert: float = Field(description="mean return of the shipped teacher's expert behaviour")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.expert <= self.random:
            raise ValueError("reference.expert must be above reference.random")
        return self


class TaskEntry(_Strict):
    """One task: one MDP, fixed by explicit numbers."""

    id: int = Field(ge=0, description="position in the suite, counted from 0 without gaps")
    split: SplitName
    validation: bool = Field(default=False, description="a training task that methods hold out to choose by")
    parameters: dict[str, Any] = Field(description="the numbers that fix the task; the family checks them")
    reference: Reference


class EvaluationEntry(_Strict):
    """Quotas of the protocol."""

    episodes: int = Field(ge=1, description="E: scored episodes a test task")
    supports: int = Field(ge=1, description="R: independent supports a test task; divides E")

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.episodes % self.supports:
            raise ValueError(f"supports ({self.supports}) must divide episodes ({self.episodes})")
        return self


class DatasetEntry(_Strict):
    """One quality of logged data, made by rolling out the teacher."""

    version: int = Field(default=1, ge=1)
    trajectories: int = Field(ge=1, description="trajectories a task")
    behaviours: dict[str, float] = Field(
        min_length=1, description="share of trajectories of each behaviour: `random` or a teacher behaviour"
    )
    splits: tuple[SplitName, ...] = Field(default=("train", "test"), description="splits whose tasks it covers")
    seed: int = Field(default=0, ge=0)
    digest: Digest | None = Field(default=None, description="hash of the decoded arrays, in a fixed order")

    @model_validator(mode="after")
    def _shares(self) -> Self:
        if any(share <= 0 for share in self.behaviours.values()):
            raise ValueError("behaviours must have positive shares")
        if not math.isclose(sum(self.behaviours.values()), 1.0, abs_tol=1e-9):
            raise ValueError(f"behaviours must sum to 1, not {sum(self.behaviours.values()):g}")
        for name, share in self.behaviours.items():
            count = share * self.trajectories
            if not math.isclose(count, round(count), abs_tol=1e-6):
                raise ValueError(f"behaviour {name!r} must be a whole number of trajectories, not {count:g}")
        return self


class SuiteEntry(_Strict):
    """All of suite.toml."""

    format: Literal[1] = Field(description="version of this schema")
    name: Name
    version: int = Field(ge=1)
    title: str = Field(min_length=1, max_length=120)
    family: Name
    horizon: int = Field(ge=1)
    headline: Literal["normalised", "success"] = "normalised"
    seen_tasks: bool = Field(
        default=False, description="test tasks are also training tasks: kept out of overall tables"
    )
    teachers: Name | None = Field(
        default=None, description="the suite of the same family whose teachers/ folder is used; by default its own"
    )
    internal: bool = Field(default=False, description="for tests: not listed by default and not in leaderboards")
    distribution: str = Field(min_length=1, description="the task distribution, in words and numbers")
    evaluation: EvaluationEntry
    datasets: dict[Name, DatasetEntry] = Field(min_length=1)
    task: tuple[TaskEntry, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if [task.id for task in self.task] != list(range(len(self.task))):
            raise ValueError("task ids must count from 0 without gaps, in order")
        for split in ("train", "test"):
            if not any(task.split == split for task in self.task):
                raise ValueError(f"at least one task must have split {split!r}")
        if any(task.validation and task.split != "train" for task in self.task):
            raise ValueError("only training tasks can be validation tasks")
        if not self.seen_tasks:
            if not any(task.validation for task in self.task):
                raise ValueError("at least one training task must have validation = true")
            if all(task.validation for task in self.task if task.split == "train"):
                raise ValueError("at least one training task must not be a validation task")
            seen = {repr(sorted(task.parameters.items())) for task in self.task if task.split == "train"}
            for task in self.task:
                if task.split != "train" and repr(sorted(task.parameters.items())) in seen:
                    raise ValueError(f"task {task.id} ({task.split}) is also a training task; set seen_tasks = true")
        for name, dataset in self.datasets.items():
            missing = {"train", "test"} - set(dataset.splits)
            if missing:
                raise ValueError(f"datasets.{name}.splits must include {sorted(missing)[0]!r}")
        return self
