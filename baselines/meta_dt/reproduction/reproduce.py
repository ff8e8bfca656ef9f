"""Published numbers of Meta-DT beside those of our records, or of a fresh run, and what differs.

The rows are of three kinds: mean returns in test tasks; what differs between a published table and us; and the returns
of random actions and of the teacher, between which returns can be judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from metabench import (
    TrainingRun,
    evaluate,
    load_data,
    load_leaderboard,
    load_method,
    load_suite,
)

from ..config import build_presets
from .config import VERSION, ReproduceConfig, split_names
from .quoted import AGAIN, OTHER_DATA, PAPER, SHOTS, Source
from .released import train_on_released
from .returns import Returns, compute_interval

STAGE = "reproduction"


@dataclass(frozen=True)
class Ours:
    """What a method returns here, in one suite and track.

    Attributes:
        data: the dataset that it learned from.
        preset: its budget.
        fresh: whether it was trained here and now, and is no published record.
        mean: mean return over seeds.
        low, high: 95 % interval over seeds; None with one seed.
        seeds: how many.
        updates: gradient steps of one training; None where they are not known.
    """

    data: str
    preset: str
    fresh: bool
    mean: float
    low: float | None
    high: float | None
    seeds: int
    updates: float | None = None


_FRESH = " (fresh)"
"""Marks the preset of a training that was made here and now."""

Place = tuple[str, str, str]
"""Method, suite, track."""


def reproduce(config: ReproduceConfig, run: TrainingRun) -> list[dict[str, Any]]:
    """The rows of all three tables; a stopped run goes on with the training that it was stopped in.

    Raises:
        DataError: the leaderboard's file is missing or of another version, or released files do not fit.
    """
    if config.released:
        rows = train_on_released(config, run)
        return [*rows, _describe_bounds(config.released_suite)]
    ours: dict[Place, list[Ours]] = {}
    if config.leaderboard:
        _add_published(ours, config.leaderboard)
    _add_fresh(ours, config, run)
    sources = [AGAIN, OTHER_DATA, *([PAPER] if config.unverified else [])]
    suites = split_names(config.suites)
    numbers: list[dict[str, Any]] = []
    differences: list[dict[str, Any]] = []
    for source in sources:
        rows = _list_numbers(source, suites, ours)
        numbers += [{"row": len(numbers) + place, **row} for place, row in enumerate(rows, 1)]
        if rows:
            first = len(numbers) - len(rows) + 1
            differences += _list_differences(source, f"{first}-{len(numbers)}", rows)
    return [*numbers, *differences, *(_describe_bounds(suite) for suite in suites)]


def _add_published(ours: dict[Place, list[Ours]], path: str) -> None:
    for entry in load_leaderboard(path).entries:
        plain = not entry.overrides and entry.split == "test" and entry.outdated is None
        if (
            plain
            and entry.suite_version == VERSION
            and entry.shots == SHOTS.get(entry.track)
            and entry.seeds
            and entry.mean_return is not None
        ):
            low, high = entry.mean_return.interval or (None, None)
            found = Ours(
                entry.dataset,
                entry.preset,
                False,
                entry.mean_return.mean,
                low,
                high,
                len(entry.seeds),
                entry.costs.updates,
            )
            ours.setdefault((entry.method, entry.suite, entry.track), []).append(found)


def _add_fresh(ours: dict[Place, list[Ours]], config: ReproduceConfig, run: TrainingRun) -> None:
    trainings = [
        (suite, run.seed + number)
        for suite in split_names(config.fresh)
        for number in range(config.seeds)
    ]
    returns = Returns()
    for update in run.steps(STAGE, len(trainings), returns=returns):
        suite, seed = trainings[update - 1]
        method = load_method("meta-dt", preset=config.preset, suite=suite)
        policy = method.train(load_data(suite, config.dataset), run.branch(f"{suite}-{seed}", seed))
        for track, shots in SHOTS.items():
            (block,) = evaluate(policy, suite, track, shots=[shots], seed=seed).blocks
            mean = float(np.mean([row.total_return for row in block.rows]))
            returns.values.setdefault(f"{suite} {track}", []).append(mean)
    for key, values in returns.values.items():
        suite, track = key.split()
        low, high = compute_interval(values)
        own = build_presets(suite)[config.preset]
        found = Ours(
            config.dataset,
            config.preset,
            True,
            float(np.mean(values)),
            low,
            high,
            len(values),
            own.updates + own.model_updates,
        )
        ours.setdefault(("meta-dt", suite, track), []).append(found)


def _list_numbers(
    source: Source, suites: Sequence[str], ours: Mapping[Place, Sequence[Ours]]
) -> list[dict[str, Any]]:
    rows = []
    for method, by_suite in source.numbers.items():
        for suite in suites:
            if suite not in by_suite:
                continue
            quoted, spread = by_suite[suite]
            row = {
                "suite": suite,
                "method": method,
                "quoted": quoted,
                "spread": spread,
                "trust": source.trust,
            }
            found: Sequence[Ours | None] = ours.get((method, suite, source.track)) or [None]
            rows += [{**row, **_fill_columns(each)} for each in found]
    return rows


def _fill_columns(ours: Ours | None) -> dict[str, Any]:
    """A quoted number stays where we have none beside it."""
    if ours is None:
        return dict.fromkeys(("ours", "low", "high", "seeds", "data", "preset", "updates"))
    columns = {"ours": ours.mean, "low": ours.low, "high": ours.high, "seeds": ours.seeds}
    preset = f"{ours.preset}{_FRESH}" if ours.fresh else ours.preset
    return {**columns, "data": ours.data, "preset": preset, "updates": ours.updates}


def _list_differences(
    source: Source, numbers: str, rows: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    data = ", ".join(dict.fromkeys(row["data"] for row in rows if row["data"])) or "no record"
    apart = "one model for all tracks, unless the variant separate_zero_shot was run"
    pairs = {
        "source": (source.title, "published records, or a fresh run"),
        "track": (source.track, f"{source.track}, {SHOTS[source.track]} shots; {apart}"),
        "data": (source.data, data),
        "tasks": (source.tasks, source.tasks_here),
        "budget": (source.budget, "updates: of world model and policy together, by our records"),
        "protocol": (
            source.protocol,
            "target return from training tasks; nothing chosen on test tasks",
        ),
        "spread": (source.spread, "low and high: Student's 95 % interval over seeds"),
    }
    return [
        {"rows": numbers, "what differs": what, "there": there, "here": here}
        for what, (there, here) in pairs.items()
    ]


def _describe_bounds(name: str) -> dict[str, Any]:
    """Mean returns of random actions and of the teacher in the test tasks of the suite's `VERSION`."""
    references = [task.reference for task in load_suite(f"{name}-v{VERSION}").split("test")]
    return {
        "test tasks of": name,
        "random": float(np.mean([reference.random for reference in references])),
        "teacher": float(np.mean([reference.expert for reference in references])),
    }
