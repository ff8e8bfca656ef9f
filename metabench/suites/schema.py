"""The strict schema of suite.toml: what a suite is, in explicit numbers."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from metabench.envs.declared_spaces import DeclaredSpaces
from metabench.suites.headroom import measure_headroom
from metabench.suites.recipes.dataset_entry import DatasetEntry, Name, SplitName
from metabench.suites.recipes.kinds import complete_labelled
from metabench.suites.task_distribution import Alternatives, check_order
from metabench.system.strict_model import StrictModel

FEW_SHOTS = (1, 3, 5)
"""Shot counts of few-shot in every suite."""

MANY_SHOTS = 20
"""One more where episodes are short."""

LEAST_HEADROOM = -5.0
"""Of a split. Where there is nothing to find out, the blind policy is as good as the expert, in single tasks better;
references are means of samples. If it is better in the mean, the expert is none."""


class Reference(StrictModel):
    """Means of a task over at least 100 episodes: what 0 and 100 mean in the score."""

    random: float = Field(description="of uniformly random actions")
    expert: float = Field(description="of the shipped teacher's expert behaviour")
    blind: float | None = Field(
        default=None, description="of the best policy that knows neither task nor past"
    )

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.expert <= self.random:
            raise ValueError(
                f"expert ({self.expert:g}) must be above random ({self.random:g}): scores lie between them"
            )
        return self


class TaskEntry(StrictModel):
    """One task: one MDP, fixed by explicit numbers."""

    id: int = Field(ge=0, description="position in the suite, counted from 0 without gaps")
    split: SplitName = Field(description="the split of the task")
    validation: bool = Field(
        default=False, description="a training task that methods hold out to choose by"
    )
    parameters: dict[str, Any] = Field(
        description="the numbers that fix the task; the family checks them"
    )
    reference: Reference = Field(description="returns; without blind where success is the score")
    success: Reference | None = Field(
        default=None, description="shares of episodes with success, by the suite's rule"
    )


class EvaluationEntry(StrictModel):
    """Quotas of the protocol."""

    episodes: int = Field(ge=1, description="E: scored episodes a test task")
    supports: int = Field(ge=1, description="R: independent supports a test task; divides E")
    few_shot: tuple[int, ...] = Field(
        default=FEW_SHOTS,
        description="shot counts of few-shot on the test tasks; beyond the first three where episodes are short",
    )

    @model_validator(mode="after")
    def _check_quotas(self) -> Self:
        if self.episodes % self.supports:
            raise ValueError(f"supports ({self.supports}) must divide episodes ({self.episodes})")
        if self.few_shot not in (FEW_SHOTS, (*FEW_SHOTS, MANY_SHOTS)):
            usual = ", ".join(map(str, FEW_SHOTS))
            raise ValueError(f"few_shot must be [{usual}] or [{usual}, {MANY_SHOTS}]")
        return self


class SuiteEntry(StrictModel):
    """All of suite.toml."""

    format: Literal[1] = Field(description="version of this schema")
    name: Name = Field(description="the suite's name")
    version: int = Field(ge=1, description="rises whenever tasks, rules or references change")
    title: str = Field(
        min_length=1, max_length=120, description="the question of the suite, in one line"
    )
    family: Name = Field(description="the task family that simulates it")
    horizon: int = Field(ge=1, description="largest number of steps of an episode")
    headline: Literal["normalised", "success"] = Field(
        default="normalised", description="the quantity that is scored: the return, or success"
    )
    success: Literal["last", "any"] | None = Field(
        default=None,
        description="which step's success counts; the score is then scaled by each task's references of success",
    )
    seen_tasks: bool = Field(
        default=False,
        description="test tasks are also training tasks; the suite stays out of overall tables",
    )
    task_in_observation: bool = Field(
        default=False,
        description="the observation shows the task, so the suite does not test finding it out",
    )
    teachers: Name | None = Field(
        default=None,
        description="the suite of the same family whose teachers/ folder is used; by default this suite",
    )
    spaces: DeclaredSpaces | None = Field(
        default=None, description="for families whose environments do not fix them"
    )
    internal: bool = Field(
        default=False,
        description="a suite for tests: not listed by default and not in leaderboards",
    )
    distribution: str = Field(
        min_length=1, description="the task distribution, in words and numbers"
    )
    task_distribution: dict[SplitName, Alternatives] | None = Field(
        default=None,
        description="the same as laws; verification draws fresh tasks of a split by them",
    )
    evaluation: EvaluationEntry
    datasets: dict[Name, DatasetEntry] = Field(min_length=1)
    task: tuple[TaskEntry, ...] = Field(min_length=2)

    @model_validator(mode="before")
    @classmethod
    def _complete_datasets(cls, content: Any) -> Any:
        if not isinstance(content, dict) or not isinstance(content.get("datasets"), dict):
            return content
        return {**content, "datasets": complete_labelled(content["datasets"])}

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        if [task.id for task in self.task] != list(range(len(self.task))):
            raise ValueError("task ids must count from 0 without gaps, in order")
        for split in ("train", "test"):
            if not any(task.split == split for task in self.task):
                raise ValueError(f"at least one task must have split {split!r}")
        for split, alternatives in (self.task_distribution or {}).items():
            if not any(task.split == split for task in self.task):
                raise ValueError(f"task_distribution.{split}: no task has this split")
            check_order(alternatives)
        self._check_references()
        if self.seen_tasks and self.task_distribution:
            raise ValueError(
                "task_distribution: all tasks are seen in training, there are no fresh ones"
            )
        if any(task.validation and task.split != "train" for task in self.task):
            raise ValueError("only training tasks can be validation tasks")
        if not self.seen_tasks:
            if not any(task.validation for task in self.task):
                raise ValueError("at least one training task must have validation = true")
            if all(task.validation for task in self.task if task.split == "train"):
                raise ValueError("at least one training task must not be a validation task")
            self._check_repeats()
        for name, dataset in self.datasets.items():
            # What others recorded, they may have recorded of the training tasks alone.
            needed = {"train", "test"} if dataset.minari is None else {"train"}
            missing = needed - set(dataset.splits)
            if missing:
                raise ValueError(f"datasets.{name}.splits must include {sorted(missing)[0]!r}")
            if dataset.minari is not None:
                covered = {task.id for task in self.task if task.split in dataset.splits}
                odd = sorted(covered ^ set(dataset.minari))
                if odd:
                    problem = (
                        "is missing"
                        if odd[0] in covered
                        else f"is no task of {', '.join(dataset.splits)}"
                    )
                    raise ValueError(
                        f"datasets.{name}.minari must name each task's dataset: task {odd[0]} {problem}"
                    )
        return self

    def _check_references(self) -> None:
        if self.success is not None and self.headline != "success":
            raise ValueError("success names a rule, but headline is not 'success'")
        for task in self.task:
            if (task.success is None) != (self.success is None):
                found = "none" if task.success is None else "one, but the suite names no rule"
                raise ValueError(
                    f"task {task.id}: expected a reference of success where the suite has a rule, found {found}"
                )

        by_success = self.headline == "success"
        for split in ("train", "test", "test-far"):
            tasks = [task for task in self.task if task.split == split]
            scaled_by = [task.success if by_success else task.reference for task in tasks]
            references = [each.model_dump() if each else {} for each in scaled_by]
            headroom = measure_headroom(references) if tasks else None
            if headroom is None or headroom >= LEAST_HEADROOM:
                continue
            # The first task is named: in a suite of one weak teacher it is one of many.
            worst = next(
                task.id
                for task, each in zip(tasks, references, strict=True)
                if each["blind"] > each["expert"]
            )
            raise ValueError(
                f"split {split!r}: expert must be above blind, which scores {100.0 - headroom:.1f} in the mean over "
                f"its tasks, and is better than the expert in task {worst}"
            )

    def _check_repeats(self) -> None:
        """A task stands once: twice it would count twice, and be seen in training if it is a training task."""
        seen: dict[str, TaskEntry] = {}
        for task in self.task:
            first = seen.setdefault(repr(sorted(task.parameters.items())), task)
            if first is not task:
                also = (
                    f"is also a training task ({first.id}); set seen_tasks = true"
                    if first.split == "train" != task.split
                    else f"repeats the parameters of task {first.id}"
                )
                raise ValueError(f"task {task.id} ({task.split}) {also}")
