"""A suite: a named, versioned family of tasks with equal spaces and horizon."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from metabench.envs import (
    BatchedEnvironment,
    BlindPolicy,
    Spaces,
    TaskFamily,
    Teacher,
    load_family,
    read_blind,
)
from metabench.errors import MetabenchError, NoEnvironmentError, UnknownNameError
from metabench.suites.folders import suite_folder
from metabench.suites.headroom import is_one_task, measure_headroom, scale_score
from metabench.suites.recipes.dataset_entry import DatasetEntry
from metabench.suites.schema import FEW_SHOTS, Reference, SuiteEntry, TaskEntry
from metabench.system.source_code import (
    digest_sources,
    find_foreign_sources,
    find_package_source,
)


@dataclass(frozen=True)
class Suite:
    """A validated suite.toml and its folder, which also has the card and the teacher's weights.

    Attributes:
        entry: the content of suite.toml.
        folder: the folder of suite.toml.
        archived: an earlier version: it can be read and scores its own records, but nothing runs in it.
    """

    entry: SuiteEntry
    folder: Path
    archived: bool = False

    @property
    def name(self) -> str:
        """The suite's name: `point-robot`."""
        return self.entry.name

    @property
    def identity(self) -> str:
        """Name and version: `point-robot-v1`."""
        return f"{self.entry.name}-v{self.entry.version}"

    @property
    def argument(self) -> str:
        """Its name for the command line and `load_suite`: the suite's name, or its folder if it lies in one."""
        if self.archived:
            return self.identity
        try:
            registered = suite_folder(self.name)
        except MetabenchError:
            registered = None
        return self.name if registered == self.folder else str(self.folder)

    @functools.cached_property
    def digest(self) -> str:
        """`sha256:...` of everything that results depend on: rules, tasks, references and quotas, not the data."""
        # No result depends on the law of tasks that are not there yet; `distribution` says the same in words.
        excluded = {"datasets", "teachers", "title", "task_distribution", "task_in_observation"}
        # Digests in records published before a key existed stay what they were: where it says nothing, it is left out.
        excluded |= {key for key in ("spaces", "success") if getattr(self.entry, key) is None}
        content = self.entry.model_dump(mode="json", exclude=excluded)
        if self.entry.evaluation.few_shot == FEW_SHOTS:
            del content["evaluation"]["few_shot"]
        for task in content["task"]:
            if task["success"] is None:
                del task["success"]
            for reference in (task["reference"], task.get("success", {})):
                if reference.get("blind", 0.0) is None:
                    del reference["blind"]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()

    @functools.cached_property
    def sources(self) -> tuple[Path, ...]:
        """Where the code of its family lies that does not come with metabench; empty for one that does, or is archived.

        Raises:
            MetabenchError: a package that a task names is not installed, or the source is in no file.
        """
        if self.archived:
            return ()
        packages = {
            name for task in self.entry.task for name in self.family.list_packages(task.parameters)
        }
        named = (find_package_source(name) for name in sorted(packages))
        return tuple(dict.fromkeys((*find_foreign_sources([type(self.family)]), *named)))

    @property
    def code_digest(self) -> str | None:
        """The hash of that code, which is part of the suite's cells; None where it has none."""
        return digest_sources(self.sources)

    @functools.cached_property
    def family(self) -> TaskFamily:
        """The task family; raises `MetabenchError` if the suite is archived."""
        if self.archived:
            raise MetabenchError(
                f"{self.identity} is archived: its tasks and records can be read, but nothing runs in it; to run, use "
                f"{self.name!r}"
            )
        return load_family(self.entry.family, self.entry.spaces)

    @functools.cached_property
    def spaces(self) -> Spaces:
        """Observation and action spaces and the horizon, equal in all tasks."""
        return self.family.spaces(self.entry.horizon)

    @property
    def tasks(self) -> tuple[TaskEntry, ...]:
        """All tasks, in the order of their ids."""
        return self.entry.task

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have tasks: `train`, `test`, perhaps `test-far`."""
        return tuple(
            name for name in ("train", "test", "test-far") if self.split(name, allow_empty=True)
        )

    def split(self, name: str, allow_empty: bool = False) -> tuple[TaskEntry, ...]:
        """Tasks of split `name`; raises `UnknownNameError` if there is none, unless `allow_empty`."""
        tasks = tuple(task for task in self.entry.task if task.split == name)
        if not tasks and not allow_empty:
            raise UnknownNameError(f"split of suite {self.name}", name, self.splits)
        return tasks

    def dataset(self, name: str) -> DatasetEntry:
        """The recipe of dataset `name`; raises `UnknownNameError`."""
        if name not in self.entry.datasets:
            raise UnknownNameError(f"dataset of suite {self.name}", name, self.entry.datasets)
        return self.entry.datasets[name]

    def dataset_tasks(self, name: str) -> tuple[TaskEntry, ...]:
        """Tasks that dataset `name` covers, in the order of their ids."""
        splits = self.dataset(name).splits
        return tuple(task for task in self.entry.task if task.split in splits)

    def find_datasets(self, *, expert_labels: bool, stages: bool) -> tuple[str, ...]:
        """Names of the datasets, or only of those with expert labels or with stages of learning."""
        return tuple(
            name
            for name, recipe in self.entry.datasets.items()
            if (recipe.labels_of is not None or not expert_labels)
            and (recipe.stages is not None or not stages)
        )

    def environment(self) -> BatchedEnvironment:
        """A new batched simulator of the suite's family."""
        return self.family.environment(self.entry.horizon)

    def check_available(self) -> None:
        """Raise `MetabenchError` if the environment of a scored task is missing here; training does not need it.

        Raises:
            NoEnvironmentError: the suite names no environment.
            MetabenchError: it cannot be had here.
        """
        family = self.family
        for task in self.entry.task:
            if task.split != "train":
                try:
                    family.check_available(task.parameters, self.entry.horizon)
                except MetabenchError as error:
                    kind = (
                        NoEnvironmentError
                        if isinstance(error, NoEnvironmentError)
                        else MetabenchError
                    )
                    raise kind(f"suite {self.name}: task {task.id}: {error}") from error

    @functools.cached_property
    def teachers_folder(self) -> Path:
        """The folder of the teachers' weights: the suite's own `teachers/`, or that of the suite it names."""
        owner = self.folder if self.entry.teachers is None else suite_folder(self.entry.teachers)
        return owner / "teachers"

    def teacher(self) -> Teacher:
        """The suite's teacher, with the weights of `teachers_folder` where its family has any."""
        return self.family.teacher(self.teachers_folder, self.entry.horizon)

    @property
    def references_folder(self) -> Path:
        """The folder of its blind policy, never shared; it need not exist. No digest covers it."""
        return self.folder / "references"

    def blind(self) -> BlindPolicy | None:
        """The best policy that knows neither task nor past; None if the suite ships none.

        Raises:
            DataError: its file is damaged.
        """
        return read_blind(self.references_folder, self.family, self.entry.horizon)

    def normalised(self, tasks: Sequence[int], returns: Sequence[float]) -> list[float]:
        """Scores 100 (R - random) / (expert - random) of `returns`, the i-th in task `tasks[i]`."""
        if len(tasks) != len(returns):
            raise MetabenchError(
                f"{len(tasks)} tasks and {len(returns)} returns: expected the same number of both"
            )
        return _scale(returns, [self.entry.task[task].reference for task in tasks])

    def score_success(self, tasks: Sequence[int], successes: Sequence[float]) -> list[float]:
        """Scores of successes, 0 or 1 by the suite's rule, the i-th in task `tasks[i]`.

        100 (success - random) / (expert - random) by the references of success; in per cent where there are none.
        """
        references = [self.entry.task[task].success or _PER_CENT for task in tasks]
        return _scale(successes, references)

    def headroom(self, split: str) -> float | None:
        """The value of knowing the task on `split`: 100 minus the mean over tasks of the blind policy's score.

        0 if the observation shows the task, or if all tasks are the same.
        None if a task has no blind reference for the suite's score.
        """
        if self.entry.task_in_observation or is_one_task([each.parameters for each in self.tasks]):
            return 0.0
        return measure_headroom(
            [each.model_dump() if each else {} for each in self._find_references(split).values()]
        )

    def list_tasks_without_blind(self, split: str) -> list[int]:
        """The split's tasks without a blind reference of what scores are made of: their headroom is not known."""
        found = self._find_references(split)
        return [task for task, each in found.items() if each is None or each.blind is None]

    def _find_references(self, split: str) -> dict[int, Reference | None]:
        """What scores of a split's tasks are scaled by."""
        by_success = self.entry.headline == "success"
        return {
            task.id: task.success if by_success else task.reference for task in self.split(split)
        }

    def unit(self, task: int) -> str | None:
        """The environment that `task` shares with other tasks, if a suite has several environments; else None.

        Verdicts over tasks then use the environments as units, because goals of one environment are not independent.
        """
        names = {str(each.parameters.get("environment")) for each in self.tasks}
        return str(self.tasks[task].parameters.get("environment")) if len(names) > 1 else None


_PER_CENT = Reference(random=0.0, expert=1.0)


def _scale(values: Sequence[float], references: Sequence[Reference]) -> list[float]:
    """Scores, 0 where a value is that of random actions and 100 where it is the expert's."""
    return [
        scale_score(value, reference.random, reference.expert)
        for value, reference in zip(values, references, strict=True)
    ]
