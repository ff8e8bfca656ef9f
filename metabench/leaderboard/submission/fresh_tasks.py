"""Tasks that did not exist when a policy was trained, drawn from a suite's stated distribution.

The test tasks are public: a plugin can have learnt them by heart. It shows when the same tasks come in other company,
with other seeds, beside copies of them that are moved a little and fresh ones of the same law, in which an honest
policy scores alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from metabench.data.making.references import ENDS, measure_references
from metabench.data.making.roll_out import roll_out
from metabench.errors import MetabenchError
from metabench.evaluation.logged_supports import Supports
from metabench.evaluation.protocol import SUPPORT_DATASET
from metabench.methods.contract import Episode
from metabench.seeding import derive_seed
from metabench.suites import Suite, SuiteEntry, TaskEntry
from metabench.suites.task_distribution import Law, draw_task, move_task

FRESH_A_TASK = 3
"""Fresh tasks a published one: they are compared unpaired, and need numbers. Two were too few once methods
whose scores differ much between tasks were published."""

LEAST_FRESH = 20
"""Fresh tasks of a split that has few published ones."""

MOVED_SHARE = 0.2
"""How far a copy is moved at most: the share of the width of each parameter's law, either way."""

REFERENCE_EPISODES = 100
"""Episodes a task and behaviour that the references of tasks are averaged over."""

MOST_DRAWN = 10
"""Draws a task before a split is given up: nearly every task is one that the teacher beats random actions in."""


@dataclass(frozen=True)
class FreshSuite:
    """A suite of published tasks, moved copies and fresh tasks, side by side.

    Attributes:
        suite: with a name of its own, so that no seed of the published evaluation comes back.
        published: by split, {id of a published task: its id here}.
        moved: by split, {id of a published task: id of its moved copy}; empty where the law leaves nothing to move.
        fresh: by split, ids of the fresh tasks.
    """

    suite: Suite
    published: Mapping[str, Mapping[int, int]]
    moved: Mapping[str, Mapping[int, int]]
    fresh: Mapping[str, tuple[int, ...]]


def list_fresh_splits(suite: Suite) -> tuple[str, ...]:
    """The scored splits whose task distribution `suite` states."""
    return tuple(
        split
        for split in suite.splits
        if split != "train" and split in (suite.entry.task_distribution or {})
    )


def make_fresh_suite(suite: Suite, seed: int, splits: Sequence[str]) -> FreshSuite:
    """A suite like `suite` with the tasks of `splits`, a moved copy of each, and `FRESH_A_TASK` times as many new ones.

    Their references come from the suite's teacher and uniformly random actions, as those of published tasks do. A task
    in which the teacher is no better than random cannot be scored, and another takes its place. The blind policy is no
    part of a score.

    Args:
        suite: a suite with a teacher.
        seed: names the tasks.
        splits: of `list_fresh_splits`; `test` is among them.

    Raises:
        MetabenchError: the suite states no distribution of a split or has no teacher, or its law gives no such tasks.
    """
    for split in splits:
        if split not in list_fresh_splits(suite):
            raise MetabenchError(
                f"suite {suite.name}: suite.toml states no task_distribution.{split} to draw fresh tasks from"
            )
    stated = {str(name): laws for name, laws in (suite.entry.task_distribution or {}).items()}
    entries = _list_kept_tasks(suite)
    published: dict[str, dict[int, int]] = {}
    moved: dict[str, dict[int, int]] = {}
    fresh: dict[str, tuple[int, ...]] = {}
    for split in splits:
        laws, tasks = stated[split], suite.split(split)
        generator = np.random.default_rng(derive_seed("fresh", suite.identity, split, seed))
        published[split] = {task.id: len(entries) + i for i, task in enumerate(tasks)}
        entries += [task.model_dump(exclude={"id"}) for task in tasks]
        copied = [
            task
            for task in tasks
            if move_task(laws, task.parameters, MOVED_SHARE, generator) != task.parameters
        ]
        count = max(LEAST_FRESH, FRESH_A_TASK * len(tasks))
        copiers = [_copier(laws, task) for task in copied]
        drawers = [_drawer(laws, turn) for turn in range(count)]
        moved[split] = {task.id: len(entries) + i for i, task in enumerate(copied)}
        known = [entry["parameters"] for entry in entries]
        entries += _draw_scorable_tasks(suite, split, [*copiers, *drawers], known, generator)
        fresh[split] = tuple(range(len(entries) - count, len(entries)))
    name = f"{suite.name[:40]}-fresh-{seed}"
    return FreshSuite(_replace_tasks(suite, name, entries), published, moved, fresh)


Draw = Callable[[np.random.Generator], dict[str, Any]]
"""Parameters of a task."""


def _copier(laws: tuple[dict[str, Law], ...], task: TaskEntry) -> Draw:
    return lambda generator: move_task(laws, task.parameters, MOVED_SHARE, generator)


def _drawer(laws: tuple[dict[str, Law], ...], turn: int) -> Draw:
    return lambda generator: draw_task(laws, turn, generator)


def _draw_scorable_tasks(
    suite: Suite,
    split: str,
    draws: Sequence[Draw],
    known: Sequence[Mapping[str, Any]],
    generator: np.random.Generator,
) -> list[dict[str, Any]]:
    """A new task of `split` for each of `draws`, not one of `known`, with the references measured in it."""
    found: dict[int, dict[str, Any]] = {}
    taken = {_name_task(parameters) for parameters in known}
    for _ in range(MOST_DRAWN):  # in rounds: only measuring tells which tasks can be scored
        missing = [place for place in range(len(draws)) if place not in found]
        if not missing:
            return [found[place] for place in range(len(draws))]
        try:
            drawn = {place: draws[place](generator) for place in missing}
            for parameters in drawn.values():
                suite.family.check_parameters(parameters)
        except ValueError as error:
            raise MetabenchError(
                f"suite {suite.name}: task_distribution.{split}: {error}"
            ) from error
        new = {}
        for place, parameters in drawn.items():
            if _name_task(parameters) not in taken:  # whole numbers come again
                taken.add(_name_task(parameters))
                new[place] = parameters
        measured = _measure(suite, [*new.values()]) if new else []
        for (place, parameters), references in zip(new.items(), measured, strict=True):
            if all(ends["expert"] > ends["random"] for ends in references.values()):
                found[place] = {"split": split, "parameters": parameters, **references}
    raise MetabenchError(
        f"suite {suite.name}: in {len(draws) - len(found)} of {len(draws)} fresh {split} tasks the teacher is no "
        f"better than random, or they are there already, {MOST_DRAWN} times in a row"
    )


def _name_task(parameters: Mapping[str, Any]) -> str:
    return repr(sorted(parameters.items()))


def _measure(suite: Suite, drawn: Sequence[Mapping[str, Any]]) -> list[dict[str, dict[str, float]]]:
    """The references in tasks with these parameters."""
    # A suite needs references, and training tasks, to be one; these are not used.
    kinds = ("reference",) if suite.entry.success is None else ("reference", "success")
    placeholder = {kind: {"random": 0.0, "expert": 1.0} for kind in kinds}
    entries: list[dict[str, Any]] = [
        {"split": "test", "parameters": parameters, **placeholder} for parameters in drawn
    ]
    draft = _replace_tasks(suite, f"{suite.name[:40]}-draft", [*_list_kept_tasks(suite), *entries])
    return [*measure_references(draft, REFERENCE_EPISODES, ENDS).values()][-len(drawn) :]


def act_fresh_supports(suite: Suite, split: str, shots: int) -> Supports:
    """Supports of `logged-shot` for fresh tasks: episodes of the behaviours that the suite's dataset is made of."""
    behaviours = suite.dataset(SUPPORT_DATASET).behaviours
    names, shares = list(behaviours), np.array(list(behaviours.values()))
    places = [
        (task.id, support, shot)
        for task in suite.split(split)
        for support in range(suite.entry.evaluation.supports)
        for shot in range(shots)
    ]
    seeds = [derive_seed("fresh-support", suite.identity, split, *place) for place in places]
    acted = [
        names[np.random.default_rng(seed).choice(len(names), p=shares / shares.sum())]
        for seed in seeds
    ]
    columns = roll_out(suite, [task for task, _, _ in places], acted, seeds).columns
    supports: dict[tuple[int, int], list[Episode]] = {}
    for i, (task, support, _) in enumerate(places):
        supports.setdefault((task, support), []).append(columns.episode(i))
    return supports


def _list_kept_tasks(suite: Suite) -> list[dict[str, Any]]:
    """Two of its training tasks, which every suite must have."""
    return [
        next(task for task in suite.split("train") if task.validation == wanted).model_dump(
            exclude={"id"}
        )
        for wanted in (False, True)
    ]


def _replace_tasks(suite: Suite, name: str, tasks: Sequence[Mapping[str, Any]]) -> Suite:
    """`suite` under another name, with `tasks` in place of its own."""
    content = {
        **suite.entry.model_dump(exclude={"task_distribution"}),
        "name": name,
        "datasets": {
            key: recipe for key, recipe in suite.entry.datasets.items() if recipe.minari is None
        },
        "task": [{"id": number, **task} for number, task in enumerate(tasks)],
    }
    return Suite(SuiteEntry.model_validate(content), suite.folder)
