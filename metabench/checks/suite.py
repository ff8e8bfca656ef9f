"""The conformance check of suites: runs environment, tasks and teacher through their contract, in seconds."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from metabench.checks.finding import Finding, run_check
from metabench.checks.method import iterate_method_checks
from metabench.checks.suite_environment import LaneChecks, SuiteCheck
from metabench.checks.suite_tasks import TaskChecks
from metabench.checks.suite_teacher import TeacherChecks
from metabench.errors import UnknownNameError
from metabench.methods.former_names import refuse_former_name
from metabench.methods.registry import list_methods
from metabench.suites import Suite, list_suites, load_suite
from metabench.suites.folders import is_suite_name

NEEDED = ("available", "steps", "deterministic")
"""Checks without which the later ones mean nothing."""


def check_suite(suite: Suite | str) -> list[Finding]:
    """Run every check on a suite, or the suite of a name or folder; see `iterate_suite_checks`."""
    return list(iterate_suite_checks(suite))


def iterate_suite_checks(suite: Suite | str) -> Iterator[Finding]:
    """Run the checks one after another: environment, tasks, teacher; reading suite.toml has checked it already.

    Args:
        suite: a suite, its name, or the folder of its suite.toml with a slash: `./my-suite`.

    Yields:
        One finding a check. Where lanes cannot be stepped, or not twice alike, the checks that need it are left out.

    Raises:
        UnknownNameError: no such suite.
        DataError: its suite.toml is broken.
        MetabenchError: its plugin cannot be loaded.
    """
    suite = load_suite(suite) if isinstance(suite, str) else suite
    for title, expected, check in _list_checks(suite):
        finding = run_check(suite.name, title, expected, check)
        yield finding
        if title in NEEDED and not finding.passed:
            return


def iterate_named_checks(name: str, *, preset: str = "tiny") -> Iterator[Finding]:
    """Run the checks of what `name` names: a method, a suite, or both where both are called so.

    Args:
        name: a method's or suite's name, `path/to/file.py:Class`, or a suite's folder.
        preset: which budget to train a method with.

    Raises:
        UnknownNameError: nothing has this name.
        MetabenchError: it cannot be loaded, or a method had this name once.
    """
    is_folder = "/" in name and ".py:" not in name and Path(name).is_dir()
    is_suite = is_folder or is_suite_name(name)
    is_method = not is_folder and (".py:" in name or name.partition("/")[0] in list_methods())
    if not is_suite and not is_method:
        refuse_former_name(name.partition("/")[0], list_methods())
        raise UnknownNameError("method or suite", name, {*list_methods(), *list_suites()})
    method_checks = iterate_method_checks(name, preset=preset) if is_method else iter(())
    return chain(method_checks, iterate_suite_checks(name) if is_suite else ())


def _list_checks(suite: Suite) -> Iterator[SuiteCheck]:
    yield (
        "available",
        "the environments of all scored tasks can be had here",
        lambda: suite.check_available(),
    )
    lanes = LaneChecks(suite)
    yield from lanes.list_checks()
    yield from TaskChecks(suite, lanes).list_checks()
    yield from TeacherChecks(suite).list_checks()
