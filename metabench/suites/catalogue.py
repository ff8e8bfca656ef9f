"""Suites in summary: what lists and descriptions show."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from metabench.errors import MetabenchError
from metabench.suites.folders import (
    imported_folder,
    list_archived_versions,
    list_suites,
    suite_folder,
)
from metabench.suites.headroom import is_one_task, measure_headroom
from metabench.suites.recipes.kinds import complete_behaviours, complete_labelled, describe_recipe

if TYPE_CHECKING:
    from metabench.suites.suite import Suite


@dataclass(frozen=True)
class SuiteListing:
    """One line of a list of suites.

    Attributes:
        name: the suite's name.
        version: its version; 0 where it is broken.
        title: its title.
        internal: it is for tests.
        tasks: number of tasks by split.
        datasets: name to recipe of each dataset, those of suite.toml and those that were imported here.
        archived: its earlier versions that are kept.
        headroom: what knowing the task is worth on the test tasks; None where it was not measured.
        problem: why it cannot be used, in one line; None where nothing was found.
    """

    name: str
    version: int
    title: str
    internal: bool
    tasks: Mapping[str, int]
    datasets: Mapping[str, Mapping[str, Any]]
    archived: tuple[int, ...] = ()
    headroom: float | None = None
    problem: str | None = None


def list_suite_summaries(internal: bool = False) -> list[SuiteListing]:
    """All suites by name, broken ones with what is wrong; those for tests only if `internal`.

    The files are read, not validated, which would import their task families; `load_suite` validates.
    """
    summaries = [_summarise(name) for name in list_suites()]
    return [summary for summary in summaries if internal or not summary.internal]


def describe_suite(suite: Suite) -> dict[str, Any]:
    """Everything about `suite` that fits a page, as JSON content."""
    entry, spaces = suite.entry, suite.spaces
    actions: dict[str, Any] = {"discrete": spaces.num_actions} if spaces.discrete else {}
    return {
        "name": suite.name,
        "version": entry.version,
        "title": entry.title,
        "rules": suite.family.rules,
        "family": entry.family,
        "horizon": entry.horizon,
        "observation_dim": spaces.observation_dim,
        "actions": actions or {"low": list(spaces.action_low), "high": list(spaces.action_high)},
        "distribution": entry.distribution,
        "headline": entry.headline,
        "seen_tasks": entry.seen_tasks,
        "episodes": entry.evaluation.episodes,
        "supports": entry.evaluation.supports,
        "task_in_observation": entry.task_in_observation,
        "headroom": {name: suite.headroom(name) for name in suite.splits if name != "train"},
        "tasks_without_blind": {
            name: suite.list_tasks_without_blind(name) for name in suite.splits if name != "train"
        },
        "few_shot": list(entry.evaluation.few_shot),
        "splits": {name: _describe_split(suite, name) for name in suite.splits},
        "datasets": {
            name: {
                **(recipe := dataset.model_dump(mode="json")),
                "description": describe_recipe(recipe),
            }
            for name, dataset in entry.datasets.items()
        },
        "archived_versions": list(list_archived_versions(suite.folder)),
        "digest": suite.digest,
        "folder": str(suite.folder),
    }


def _summarise(name: str) -> SuiteListing:
    try:
        folder = suite_folder(name)
        return _read_summary(name, folder)
    except MetabenchError as error:
        return SuiteListing(name, 0, "", False, {}, {}, problem=str(error))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError):
        return SuiteListing(name, 0, "", False, {}, {}, problem=_find_problem(name, folder))


def _read_summary(name: str, folder: Path) -> SuiteListing:
    content = tomllib.loads((folder / "suite.toml").read_text(encoding="utf-8-sig"))
    tasks = dict(Counter(task["split"] for task in content["task"]))
    recipes = {**_read_imported(f"{name}-v{content['version']}"), **content["datasets"]}
    datasets = {
        key: _summarise_recipe(recipe) for key, recipe in complete_labelled(recipes).items()
    }
    return SuiteListing(
        name=name,
        version=content["version"],
        title=content["title"],
        internal=content.get("internal", False),
        tasks=tasks,
        datasets=datasets,
        archived=list_archived_versions(folder),
        headroom=_read_headroom(content),
    )


def _summarise_recipe(recipe: Mapping[str, Any]) -> dict[str, Any]:
    shares = complete_behaviours(recipe) or recipe["behaviours"]
    behaviours = {behaviour: float(share) for behaviour, share in shares.items()}
    return {
        "version": recipe.get("version", 1),
        "trajectories": recipe["trajectories"],
        "behaviours": behaviours,
        "description": describe_recipe({**recipe, "behaviours": behaviours}),
    }


def _read_imported(identity: str) -> Mapping[str, Any]:
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(imported_folder(identity).glob("*.json"))
    }


def _read_headroom(content: Mapping[str, Any]) -> float | None:
    """Of the test tasks, as `Suite.headroom`."""
    one = is_one_task([task["parameters"] for task in content["task"]])
    if content.get("task_in_observation", False) or one:
        return 0.0
    kind = "success" if content.get("headline") == "success" else "reference"
    return measure_headroom(
        [task.get(kind, {}) for task in content["task"] if task["split"] == "test"]
    )


def _find_problem(name: str, folder: Path) -> str:
    """What validation says of a suite.toml, or an imported dataset, that cannot even be listed."""
    from metabench.suites.registry import load_named_suite

    try:
        load_named_suite(name)
    except MetabenchError as error:
        return str(error)
    return f"{folder / 'suite.toml'}: cannot be listed"


def _describe_split(suite: Suite, name: str) -> dict[str, Any]:
    tasks = suite.split(name)
    return {
        "tasks": len(tasks),
        "validation_tasks": sum(task.validation for task in tasks),
        "mean_random_return": fmean(task.reference.random for task in tasks),
        "mean_expert_return": fmean(task.reference.expert for task in tasks),
    }
