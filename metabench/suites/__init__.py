"""Suites: named, versioned families of tasks with explicit numbers, splits, data recipes and references."""

from metabench.suites.registry import datasets_folder, load_suite, read_suite, suite_names
from metabench.suites.schema import DatasetEntry, SuiteEntry, TaskEntry
from metabench.suites.suite import Suite

__all__ = [
    "DatasetEntry",
    "Suite",
    "SuiteEntry",
    "TaskEntry",
    "datasets_folder",
    "load_suite",
    "read_suite",
    "suite_names",
]
