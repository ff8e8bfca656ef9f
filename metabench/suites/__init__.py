"""Suites: named, versioned families of tasks with explicit numbers, splits, data recipes and references."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metabench.suites.folders import datasets_folder, suite_names
    from metabench.suites.registry import load_suite, named_suite, read_suite
    from metabench.suites.schema import DatasetEntry, SuiteEntry, TaskEntry
    from metabench.suites.suite import Suite

_HOMES = {
    "DatasetEntry": "metabench.suites.schema",
    "Suite": "metabench.suites.suite",
    "SuiteEntry": "metabench.suites.schema",
    "TaskEntry": "metabench.suites.schema",
    "datasets_folder": "metabench.suites.folders",
    "load_suite": "metabench.suites.registry",
    "named_suite": "metabench.suites.registry",
    "read_suite": "metabench.suites.registry",
    "suite_names": "metabench.suites.folders",
}

__all__ = [
    "DatasetEntry",
    "Suite",
    "SuiteEntry",
    "TaskEntry",
    "datasets_folder",
    "load_suite",
    "named_suite",
    "read_suite",
    "suite_names",
]


def __getattr__(name: str) -> Any:
    """Import on first use: the schema and the families take time that finding and listing suites need not."""
    if name not in _HOMES:
        raise AttributeError(f"module 'metabench.suites' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
