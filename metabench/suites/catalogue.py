"""Suites in summary: what lists and descriptions show."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from metabench.errors import MetabenchError
from metabench.suites.registry import load_suite, suite_names
from metabench.suites.suite import Suite


@dataclass(frozen=True)
class SuiteSummary:
    """One line of a list of suites.

    Attributes:
        name: the suite's name.
        version: its version; 0 where it is broken.
        title: its title.
        internal: it is for tests.
        tasks: number of tasks by split.
        datasets: names of its datasets.
        problem: why it cannot be used, in one line; None for a valid suite.
    """

    name: str
    version: int
    title: str
    internal: bool
    tasks: Mapping[str, int]
    datasets: tuple[str, ...]
    problem: str | None = None


def suite_summaries(internal: bool = False) -> list[SuiteSummary]:
    """All suites by name, broken ones with what is wrong; those for tests only if `internal`."""
    summaries = [_summary(name) for name in suite_names()]
    return [summary for summary in summaries if internal or not summary.internal]


def describe_suite(suite: Suite) -> dict[str, Any]:
    """Everything about `suite` that fits a page, as JSON content."""
    entry, spaces = suite.entry, suite.spaces
    module = inspect.getmodule(type(suite.family))
    actions: dict[str, Any] = {"discrete": spaces.num_actions} if spaces.discrete else {}
    return {
        "name": suite.name,
        "version": entry.version,
        "title": entry.title,
        "rules": inspect.cleandoc((module.__doc__ if module else None) or suite.family.__doc__ or ""),
        "family": entry.family,
        "horizon": entry.horizon,
        "observation_dim": spaces.observation_dim,
        "actions": actions or {"low": list(spaces.action_low), "high": list(spaces.action_high)},
        "distribution": entry.distribution,
        "headline": entry.headline,
        "seen_tasks": entry.seen_tasks,
        "episodes": entry.evaluation.episodes,
        "supports": entry.evaluation.supports,
        "splits": {name: _split(suite, name) for name in suite.splits},
        "datasets": {name: dataset.model_dump(mode="json") for name, dataset in entry.datasets.items()},
        "digest": suite.digest,
        "folder": str(suite.folder),
    }


def _summary(name: str) -> SuiteSummary:
    try:
        suite = load_suite(name)
    except MetabenchError as error:
        return SuiteSummary(name, 0, "", False, {}, (), str(error))
    tasks = {split: len(suite.split(split)) for split in suite.splits}
    entry = suite.entry
    return SuiteSummary(name, entry.version, entry.title, entry.internal, tasks, tuple(entry.datasets))


def _split(suite: Suite, name: str) -> dict[str, Any]:
    tasks = suite.split(name)
    return {
        "tasks": len(tasks),
        "validation_tasks": sum(task.validation for task in tasks),
        "mean_random_return": fmean(task.reference.random for task in tasks),
        "mean_expert_return": fmean(task.reference.expert for task in tasks),
    }
