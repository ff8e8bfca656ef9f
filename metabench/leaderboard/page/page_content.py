"""What the page is told of a leaderboard: suites, contenders, entries and overall tables, ready for JSON."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from metabench.leaderboard.export.text_tables import BOARD_NOTE
from metabench.leaderboard.page.prediction_content import describe_prediction_board
from metabench.leaderboard.scores.archived_protocols import is_archived
from metabench.leaderboard.scores.models import Estimate, LeaderboardEntry, Profile
from metabench.leaderboard.scores.standings import distinguish_labels
from metabench.leaderboard.scores.tables import (
    Leaderboard,
    Standing,
    SuiteSummary,
)

DIGITS = 3
"""Decimals of what is drawn or shown and not downloaded."""

_LONGEST_PARAMETERS = 4
"""A task of more numbers than these is not described by them."""

# fmt: off
_ENTRY_FIELDS = (
    "id", "split", "track", "shots", "metric", "place", "rank", "first", "headline", "worst", "adaptation",
    "normalisedReturn", "return", "successAny", "successLast", "difference", "differenceInterval",
    "seedInterval", "improvement", "verdict", "seeds", "costs", "collection", "tasks", "profile", "band",
    "bootstrap", "gap", "clipped", "missing",
)
# fmt: on


def make_page_content(board: Leaderboard, records: str | None) -> dict[str, Any]:
    """The aggregates as the page reads them: contenders once, and entries as lists of `entryFields`.

    What the page's downloads hold is as in leaderboard.json; what is only drawn has three decimals.
    """
    seeds: dict[str, list[list[Any]]] = {}  # of each contender its [seed, path of the record]
    for source in board.sources:
        seeds.setdefault(source.contender, []).append([source.seed, source.path])
    standings = {
        (standing.entry, each.split, each.track, each.shots): standing
        for each in board.boards
        for standing in each.standings
    }
    contenders: dict[str, dict[str, Any]] = {}
    entries = []
    labels = _label_contenders(board)
    for entry in board.entries:
        if entry.id not in contenders:
            contenders[entry.id] = _describe_contender(
                entry, labels[entry.id], seeds.get(entry.id, [])
            )
        content = _describe_entry(entry, standings[entry.id, entry.split, entry.track, entry.shots])
        entries.append(
            [content[name] for name in _ENTRY_FIELDS]
        )  # its keys are told once, as `entryFields`
    return {
        "records": records,
        "protocol": board.protocol,
        "updated": board.updated,
        "revision": board.revision,
        "digest": board.digest,
        "methods": {name: method.model_dump(mode="json") for name, method in board.methods.items()},
        "boardNote": BOARD_NOTE,
        "archivedProtocols": sorted(
            protocol for protocol in _list_protocols(board) if is_archived(protocol)
        ),
        "seedsForAVerdict": board.seeds_for_a_verdict,
        "tasksForAVerdict": board.tasks_for_a_verdict,
        "thresholds": next(
            (entry.profile.thresholds for entry in board.entries if entry.profile), ()
        ),
        "suites": {
            f"{suite.name}-v{suite.version}": _describe_suite(suite) for suite in board.suites
        },
        "contenders": contenders,
        "entryFields": _ENTRY_FIELDS,
        "entries": entries,
        "overall": [
            overall.model_dump(mode="json", exclude={"rows": {"__all__": {"overrides"}}})
            for overall in board.overall
        ],
        "predictions": [describe_prediction_board(each) for each in board.predictions],
    }


def _list_protocols(board: Leaderboard) -> set[str]:
    predicted = {each.protocol for each in board.predictions}
    return predicted | {entry.protocol for entry in board.entries}


def _label_contenders(board: Leaderboard) -> dict[str, str]:
    """A label for each contender that no other one in its tables has."""
    groups: dict[tuple[Any, ...], dict[str, LeaderboardEntry]] = {}
    for entry in board.entries:
        key = (
            entry.suite,
            entry.suite_digest,
            entry.dataset,
            entry.dataset_digest,
            entry.protocol,
            entry.preset,
        )
        groups.setdefault(key, {})[entry.id] = entry
    return {
        name: label
        for group in groups.values()
        for name, label in distinguish_labels(list(group.values())).items()
    }


def _describe_suite(suite: SuiteSummary) -> dict[str, Any]:
    described = {
        task: _format_parameters(parameters) for task, parameters in suite.parameters.items()
    }
    return {
        **suite.model_dump(mode="json", exclude={"name", "parameters"}),
        "parameters": described,
    }


def _describe_contender(
    entry: LeaderboardEntry, label: str, seeds: list[list[Any]]
) -> dict[str, Any]:
    return {
        "suite": entry.suite,
        "suiteVersion": entry.suite_version,
        "suiteDigest": entry.suite_digest[7:15],  # eight digits, after "sha256:"
        "dataset": entry.dataset,
        "datasetVersion": entry.dataset_version,
        "datasetDigest": entry.dataset_digest[7:15],
        "published": entry.data_as_published,
        "method": entry.method,
        "methodVersion": entry.method_version,
        "label": label,
        "overrides": entry.overrides,
        "preset": entry.preset,
        "config": entry.config_digest[7:15],
        "protocol": entry.protocol,
        "privileged": entry.privileged,
        "usesExpertLabels": entry.uses_expert_labels,
        "outdated": entry.outdated,
        "archived": entry.archived,
        "protocolArchived": entry.protocol_archived,
        "parameters": entry.parameters,
        "devices": entry.devices,
        "command": None
        if entry.archived or entry.protocol_archived
        else _make_command(entry, [seed for seed, _ in seeds]),
        "records": seeds,
    }


def _describe_entry(entry: LeaderboardEntry, standing: Standing) -> dict[str, Any]:
    return {
        "id": entry.id,
        "split": entry.split,
        "track": entry.track,
        "shots": entry.shots,
        "metric": entry.metric,
        "place": standing.place,
        "rank": standing.rank,
        "first": standing.first,
        "headline": _list_estimate(entry.headline, None),
        "worst": entry.worst_task
        and [entry.worst_task.task, _list_estimate(entry.worst_task.score, None)],
        "adaptation": _list_estimate(entry.adaptation, None),
        "normalisedReturn": _list_estimate(entry.normalised_return)
        if entry.metric != "normalised"
        else None,
        "return": _list_estimate(entry.mean_return, None),
        "successAny": _list_estimate(entry.success_any),
        "successLast": _list_estimate(entry.success_last),
        "difference": standing.difference,
        "differenceInterval": standing.interval,
        "seedInterval": standing.seed_interval,
        "improvement": standing.probability_of_improvement,
        "verdict": standing.verdict,
        "seeds": [
            [
                seed.seed,
                *_round_all((seed.headline, min(seed.task_scores), seed.mean_return)),
            ]
            for seed in entry.seeds
        ],
        "costs": list(entry.costs.model_dump().values()),
        "collection": [_list_estimate(value) for value in entry.collection],
        "tasks": [[task.task, _list_estimate(task.score)] for task in entry.tasks],
        "profile": _round_all(100.0 * share for share in entry.profile.shares)
        if entry.profile
        else None,
        "band": _list_band(entry.profile),
        "bootstrap": _list_estimate(entry.bootstrap.iqm if entry.bootstrap else None),
        "gap": _list_estimate(entry.bootstrap.optimality_gap if entry.bootstrap else None),
        "clipped": entry.clipped,
        "missing": entry.missing,
    }


def _list_band(profile: Profile | None) -> list[list[int]] | None:
    """Whole per cent: a band is drawn, and of 10,000 records it would be most of the page otherwise."""
    if profile is None or profile.low is None or profile.high is None:
        return None
    return [[round(100.0 * share) for share in side] for side in (profile.low, profile.high)]


def _list_estimate(estimate: Estimate | None, digits: int | None = DIGITS) -> list[float] | None:
    if estimate is None:
        return None
    values = (estimate.mean, *(estimate.interval or ()))
    return list(values) if digits is None else _round_all(values, digits)


def _round_all(values: Iterable[float], digits: int = DIGITS) -> list[float]:
    return [round(value, digits) for value in values]


def _make_command(entry: LeaderboardEntry, seeds: Sequence[int]) -> str:
    """What runs this row again, and nothing else."""
    parts = ["metabench", "run", entry.suite, "--dataset", entry.dataset, "--method", entry.method]
    parts += ["--preset", entry.preset, "--seeds", _format_seeds(seeds)]
    if "/" not in entry.method or len(entry.overrides) > 1:  # otherwise the variant's name says it
        for key, value in sorted(entry.overrides.items()):
            parts += ["--set", f"{key}={json.dumps(value, ensure_ascii=False)}"]
    return shlex.join(parts)


def _format_seeds(seeds: Sequence[int]) -> str:
    """As `--seeds` reads it: `5` for seeds 0 to 4, otherwise a list with at least one comma."""
    if list(seeds) == list(range(len(seeds))):
        return str(len(seeds))
    listed = ",".join(map(str, seeds))
    return listed + "," if len(seeds) == 1 else listed


def _format_parameters(parameters: Mapping[str, Any]) -> str | None:
    """`goal 0.31, 0.92`; None if these are too many numbers to read. Names of environments are left out."""
    parts = []
    count = 0
    for name, value in parameters.items():
        numbers = value if isinstance(value, list) else [value]
        count += len(numbers)
        if all(isinstance(number, int | float) for number in numbers):
            parts.append(
                f"{name.replace('_', ' ')} " + ", ".join(f"{number:.3g}" for number in numbers)
            )
        elif any(isinstance(number, list) for number in numbers):
            return None
    return "; ".join(parts) if parts and count <= _LONGEST_PARAMETERS else None
