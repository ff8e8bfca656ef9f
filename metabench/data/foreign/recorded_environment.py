"""The environment that a Minari dataset says it comes from, as far as it is one that is registered here."""

from __future__ import annotations

import warnings
from typing import Any

from metabench.data.storage.recorded_minari import RecordedDataset
from metabench.envs.gymnasium.family import find_registered_environment

OBSERVERS = frozenset(
    {
        ("gymnasium", "HumanRendering"),
        ("gymnasium", "OrderEnforcing"),
        ("gymnasium", "PassiveEnvChecker"),
        ("gymnasium", "RecordEpisodeStatistics"),
        ("gymnasium", "RecordVideo"),
        ("gymnasium", "RenderCollection"),
        ("gymnasium", "TimeLimit"),
        ("minari", "DataCollector"),
        ("stable_baselines3", "Monitor"),
    }
)
"""Packages and wrappers of theirs that only look on, or end episodes where a suite's horizon does."""


def find_environment(source: RecordedDataset) -> tuple[dict[str, Any], str | None]:
    """A task's parameters, and why it has no environment, if it has none.

    Wrappers that only look on are left out, with a warning; one that may change what is observed, done or earned is
    not applied, and the task has no environment then.
    """
    spec = source.env_spec
    without = {"recorded": source.name}
    if not spec:
        return without, "the dataset names no environment"
    name, arguments = spec.get("id"), spec.get("kwargs") or {}
    lookers, others = _sort_wrappers(spec.get("additional_wrappers"))
    if others:
        return (
            without,
            f"the dataset's environment {name!r} is wrapped in {' and '.join(others)}, which may change what is "
            "observed, done or earned, and is not applied here",
        )
    found = find_registered_environment(name, spec.get("entry_point"))
    if found is None or not isinstance(arguments, dict):
        return without, f"no environment {name!r} is registered here"
    plain = {key: value for key, value in arguments.items() if key != "render_mode"}
    if _holds_null(plain):
        return (
            without,
            f"an argument of the dataset's environment {name!r} is null, which TOML cannot say",
        )
    if lookers:
        warnings.warn(
            f"Minari dataset {source.name!r}: its environment's wrapper {' and '.join(lookers)} only looks on: it is "
            "left out",
            stacklevel=2,
        )
    return {"environment": found, "arguments": plain} if plain else {"environment": found}, None


def _sort_wrappers(wrappers: Any) -> tuple[list[str], list[str]]:
    """Names of wrappers that only look on, and of all others."""
    lookers: list[str] = []
    others: list[str] = []
    for wrapper in wrappers if isinstance(wrappers, list) else []:
        told = wrapper if isinstance(wrapper, dict) else {}
        package, _, _ = str(told.get("entry_point")).partition(":")[0].partition(".")
        _, _, name = str(told.get("entry_point")).rpartition(":")
        known = (package, name) in OBSERVERS
        (lookers if known else others).append(
            name if told.get("entry_point") else repr(wrapper)[:60]
        )
    return lookers, others


def _holds_null(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_null, value.values()))
    return any(map(_holds_null, value)) if isinstance(value, list) else value is None
