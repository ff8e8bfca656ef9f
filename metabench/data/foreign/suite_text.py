"""A suite.toml and a card as text, from what Minari datasets say of their tasks."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from metabench.data.making.recorded import Losses
from metabench.data.storage.recorded_minari import RecordedDataset
from metabench.envs import DeclaredSpaces

VALIDATION_SHARE = 10
"""One training task in so many is for validation, at least one."""

SUPPORT = 3
"""Logged trajectories of a test task that the logged-shot track needs."""


@dataclass(frozen=True)
class DraftTask:
    """What one Minari dataset says of its task.

    Attributes:
        source: the dataset.
        parameters: of the suite's task.
        note: why it has no environment, if it has none.
        reference: ends of the normalised score, and where they come from.
    """

    source: RecordedDataset
    parameters: Mapping[str, Any]
    note: str | None
    reference: tuple[float, float, str]


@dataclass(frozen=True)
class Draft:
    """All that a suite.toml needs.

    Attributes:
        name: the suite's name.
        spaces: those of all tasks.
        tasks: first the training tasks, then the test tasks.
        training: how many of them are training tasks.
        horizon: the suite's horizon.
        losses: what of the recorded data is cut and clipped.
    """

    name: str
    spaces: DeclaredSpaces
    tasks: tuple[DraftTask, ...]
    training: int
    horizon: int
    losses: Losses

    @property
    def dataset(self) -> str:
        """What the data is called: `medium`, which the logged-shot track draws from, if there is enough for that."""
        return (
            "medium"
            if all(task.source.count >= SUPPORT for task in self.tasks[self.training :])
            else "recorded"
        )

    @property
    def seen_tasks(self) -> bool:
        """Whether a test task has the parameters of a training task."""
        train = [task.parameters for task in self.tasks[: self.training]]
        return any(task.parameters in train for task in self.tasks[self.training :])

    def write_toml(self) -> str:
        """The text of suite.toml."""
        notes = iter(self.losses.describe(self.horizon))
        lines = [
            "# Recorded tasks, each the Minari dataset named below, written by `metabench suite from-minari`.",
            "# All of it may be edited; `metabench describe` says whether it is still valid.",
            "format = 1",
            f"name = {_format_value(self.name)}",
            "version = 1",
            f"title = {_format_value(f'{len(self.tasks)} tasks recorded in Minari datasets')}",
            'family = "gymnasium"',
            f"horizon = {self.horizon}",
            *(
                ["seen_tasks = true  # a test task has the environment of a training task"]
                if self.seen_tasks
                else []
            ),
            f"distribution = {_format_value(f'those of {self.training} training and {self._testing} test datasets')}",
            "",
            "[spaces]",
            *(
                f"{key} = {_format_value(value)}"
                for key, value in self.spaces.model_dump(mode="json").items()
                if value
            ),
            "",
            "[evaluation]",
            "episodes = 20",
            "supports = 4",
            "",
            f"[datasets.{self.dataset}]",
            f"trajectories = {max(task.source.count for task in self.tasks)}  # at most so many a task",
            *([f"cut = true  # {next(notes)}"] if self.losses.cut else []),
            *([f"clip = true  # {next(notes)}"] if self.losses.clipped else []),
            "",
            f"[datasets.{self.dataset}.minari]",
            *(
                f"{number} = {_format_value(task.source.name)}"
                for number, task in enumerate(self.tasks)
            ),
        ]
        for number, task in enumerate(self.tasks):
            lines += ["", *self._format_task(number, task)]
        return "\n".join(lines) + "\n"

    def write_card_text(self) -> str:
        """The text of README.md."""
        rows = [
            f"| {number} | `{self._choose_split(number)}` | `{task.source.name}` | "
            f"{task.note or task.parameters['environment']} |"
            for number, task in enumerate(self.tasks)
        ]
        return "\n".join(
            [
                f"# {self.name}",
                "",
                f"{len(self.tasks)} tasks recorded in Minari datasets; horizon {self.horizon}. "
                "The ends of the normalised score, and where they come from, are in `suite.toml`.",
                "",
                "| task | split | Minari dataset | environment |",
                "|---|---|---|---|",
                *rows,
                "",
                f"The dataset `{self.dataset}` holds the recorded trajectories.",
                "",
                "<!-- numbers -->",
                "<!-- /numbers -->",
                "",
            ]
        )

    @property
    def _testing(self) -> int:
        return len(self.tasks) - self.training

    def _choose_split(self, number: int) -> str:
        return "train" if number < self.training else "test"

    def _format_task(self, number: int, task: DraftTask) -> list[str]:
        validation = number < max(1, self.training // VALIDATION_SHARE) and not self.seen_tasks
        random, expert, origin = task.reference
        return [
            "[[task]]",
            f"id = {number}",
            f'split = "{self._choose_split(number)}"',
            *["validation = true"] * validation,
            *[f"# {task.note}: methods can train on its data, but not act in it"]
            * (task.note is not None),
            f"parameters = {_format_value(task.parameters)}",
            f"# {origin}",
            f"reference = {{ random = {random!r}, expert = {expert!r} }}",
        ]


def _format_value(value: Any) -> str:
    """Plain content as TOML, on one line."""
    if isinstance(value, Mapping):
        return (
            "{ "
            + ", ".join(
                f"{_format_key(key)} = {_format_value(item)}" for key, item in value.items()
            )
            + " }"
        )
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_format_value, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _format_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=False)
