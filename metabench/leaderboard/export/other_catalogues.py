"""Entries in the formats of other catalogues of results: Hugging Face's model index, and every_eval_ever."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from metabench.evaluation.statistics import CONFIDENCE
from metabench.leaderboard.scores.models import Estimate, LeaderboardEntry
from metabench.system.wording import say_count

EVERY_EVAL_EVER = "0.3.0"
"""Version of the every_eval_ever schema that is written."""

UNBOUNDED = "Infinity"
"""How every_eval_ever writes that a metric has no bound; JSON has no number for it."""


class ExchangedMetric(NamedTuple):
    """One of an entry's numbers, as other catalogues name it.

    Attributes:
        field: of `LeaderboardEntry`.
        identifier: for machines.
        name: for people.
        unit: of the values.
        bounded: whether it lies between 0 and 100.
    """

    field: str
    identifier: str
    name: str
    unit: str
    bounded: bool = False


METRICS = (
    ExchangedMetric(
        "headline",
        "metabench.score",
        "score (mean over tasks; 0 random, 100 teacher), which methods are ranked by",
        "points",
    ),
    ExchangedMetric(
        "normalised_return",
        "metabench.normalised_return",
        "normalised return (mean over tasks; 0 random, 100 teacher)",
        "points",
    ),
    ExchangedMetric("mean_return", "metabench.mean_return", "mean return", "return"),
    ExchangedMetric("success_any", "metabench.success_any", "success at any step", "percent", True),
    ExchangedMetric(
        "success_last", "metabench.success_last", "success at the last step", "percent", True
    ),
)


def format_as_model_index(entries: Sequence[LeaderboardEntry]) -> str:
    """The `model-index` of a Hugging Face model card, as a YAML block: a model for each method, preset and version.

    Entries without a complete seed have no numbers and stay out.
    """
    import yaml

    models = [
        {"name": _name_model(group[0]), "results": [_make_index_result(entry) for entry in group]}
        for group in _group_by_model(entries)
    ]
    return (
        f"---\n{yaml.safe_dump({'model-index': models}, sort_keys=False, allow_unicode=True)}---\n"
    )


def format_as_every_eval_ever(entries: Sequence[LeaderboardEntry]) -> str:
    """JSON Lines: a log of the every_eval_ever format for each method, preset and version.

    Entries without a complete seed have no scores and stay out. Times are those of the newest record, so that the
    same entries give the same text.
    """
    logs = [_make_log(group) for group in _group_by_model(entries)]
    return "".join(json.dumps(log, ensure_ascii=False, allow_nan=False) + "\n" for log in logs)


def _group_by_model(entries: Iterable[LeaderboardEntry]) -> list[list[LeaderboardEntry]]:
    """What other catalogues call a model: a method as configured by one preset, wherever it was trained."""
    groups: dict[tuple[Any, ...], list[LeaderboardEntry]] = {}
    for entry in entries:
        if entry.seeds:
            # As text: mappings are no keys, and equal ones must have one order.
            overrides = json.dumps(entry.overrides, sort_keys=True)
            key = (entry.method, entry.method_version, overrides, entry.preset, entry.protocol)
            groups.setdefault(key, []).append(entry)
    return list(groups.values())


def _name_model(entry: LeaderboardEntry) -> str:
    return f"{entry.label}, version {entry.method_version}, preset {entry.preset}"


def _name_dataset(entry: LeaderboardEntry) -> str:
    return f"metabench/{entry.suite}/{entry.dataset}-v{entry.dataset_version}"


def _name_track(entry: LeaderboardEntry) -> str:
    shots = f", {say_count(entry.shots, 'shot')}" if entry.shots else ""
    return f"{entry.suite}-v{entry.suite_version} {entry.split} {entry.track}{shots}"


def _list_metrics(entry: LeaderboardEntry) -> list[tuple[ExchangedMetric, Estimate]]:
    found = [(metric, getattr(entry, metric.field)) for metric in METRICS]
    return [(metric, value) for metric, value in found if value is not None]


def _make_index_result(entry: LeaderboardEntry) -> dict[str, Any]:
    return {
        "task": {
            "type": "reinforcement-learning",
            "name": f"offline meta-RL, {_name_track(entry)}",
        },
        "dataset": {
            "type": _name_dataset(entry),
            "name": f"{entry.suite}-v{entry.suite_version}, {entry.dataset} data",
            "config": f"{entry.track}-{entry.shots}",
            "split": entry.split,
            "revision": entry.dataset_digest,
        },
        "metrics": [
            {
                "type": metric.identifier,
                "name": metric.name,
                "value": value.mean,
                "verified": False,
                **_describe_interval(value),
            }
            for metric, value in _list_metrics(entry)
        ],
    }


def _describe_interval(value: Estimate) -> dict[str, Any]:
    if value.interval is None:
        return {}
    low, high = value.interval
    return {"args": {"confidence": CONFIDENCE, "low": low, "high": high}}


def _make_log(group: Sequence[LeaderboardEntry]) -> dict[str, Any]:
    first = group[0]
    created = max(entry.created for entry in group)
    seconds = str(int(datetime.fromisoformat(created).timestamp()))
    model = f"metabench/{_make_slug(f'{first.label}-v{first.method_version}-{first.preset}')}"
    return {
        "schema_version": EVERY_EVAL_EVER,
        "evaluation_id": f"metabench-protocol-{first.protocol}/{model}/{seconds}",
        "evaluation_timestamp": created,
        "retrieved_timestamp": seconds,
        "source_metadata": {
            "source_name": "metabench leaderboard",
            "source_type": "documentation",
            "source_organization_name": "metabench",
            "evaluator_relationship": "other",
        },
        "eval_library": {
            "name": "metabench",
            "version": _read_version(),
            "additional_details": {"protocol": first.protocol},
        },
        "model_info": {
            "name": _name_model(first),
            "id": model,
            "developer": "metabench",
            "additional_details": {
                "deployment_type": "self_deployed",
                "model_availability": "unknown",
                "method": first.method,
                "method_version": str(first.method_version),
                "preset": first.preset,
                "overrides": json.dumps(first.overrides, sort_keys=True),
                "privileged": json.dumps(first.privileged),
            },
        },
        "evaluation_results": [
            _make_log_result(entry, metric, value)
            for entry in group
            for metric, value in _list_metrics(entry)
        ],
    }


def _make_log_result(
    entry: LeaderboardEntry, metric: ExchangedMetric, value: Estimate
) -> dict[str, Any]:
    uncertainty: dict[str, Any] = {"num_samples": len(entry.seeds)}
    if value.interval is not None:
        low, high = value.interval
        uncertainty["confidence_interval"] = {
            "lower": low,
            "upper": high,
            "confidence_level": CONFIDENCE,
            "method": "Student's t over training seeds",
        }
    return {
        "evaluation_result_id": f"{entry.id}/{entry.split}/{entry.track}/{entry.shots}/{metric.field}",
        "evaluation_name": _name_track(entry),
        "evaluation_timestamp": entry.created,
        "source_data": {
            "dataset_name": _name_dataset(entry),
            "source_type": "other",
            "additional_details": {
                "dataset_digest": entry.dataset_digest,
                "suite_digest": entry.suite_digest,
            },
        },
        "metric_config": {
            "evaluation_description": f"{metric.name} over test tasks and episodes: {_name_track(entry)}",
            "metric_id": metric.identifier,
            "metric_name": metric.name,
            "metric_unit": metric.unit,
            "lower_is_better": False,
            "score_type": "continuous",
            "min_score": 0.0 if metric.bounded else f"-{UNBOUNDED}",
            "max_score": 100.0 if metric.bounded else UNBOUNDED,
        },
        "score_details": {
            "score": value.mean,
            "details": _make_details(entry),
            "uncertainty": uncertainty,
        },
    }


def _make_details(entry: LeaderboardEntry) -> Mapping[str, str]:
    return {
        "split": entry.split,
        "track": entry.track,
        "shots": str(entry.shots),
        "seeds": " ".join(str(seed.seed) for seed in entry.seeds),
        "config_digest": entry.config_digest,
        "parameters": str(entry.parameters),
        "metric": entry.metric,
        **{
            f"costs_{name}": str(value)
            for name, value in entry.costs.model_dump().items()
            if value is not None
        },
        "devices": "; ".join(entry.devices),
        "missing": "; ".join(entry.missing),
    }


def _make_slug(text: str) -> str:
    """Letters, digits, dots and hyphens only: what may stand in the name of a model."""
    # What may not stay becomes a space, and runs of spaces one hyphen.
    kept = [
        letter if (letter.isascii() and letter.isalnum()) or letter in "._" else " "
        for letter in text
    ]
    return "-".join("".join(kept).split())


def _read_version() -> str:
    from importlib.metadata import version

    return version("metabench")
