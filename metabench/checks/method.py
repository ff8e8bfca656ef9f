"""The conformance check: runs a method through its contract on two tiny suites, in seconds."""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import ValidationError

from metabench.checks.finding import Finding, run_check
from metabench.checks.method_policy import PolicyChecks
from metabench.checks.method_training import TrainingChecks
from metabench.methods.contract import Config, Method
from metabench.methods.given_methods import name_method_class
from metabench.methods.registry import load_method, load_method_class
from metabench.suites import load_suite

CONTINUOUS_SUITE = "tiny"
DISCRETE_SUITE = "tiny-discrete"

NEEDED = ("trains", "acts", "saves")
"""Checks without which the later ones mean nothing."""


def check_method(spec: str | type[Method], *, preset: str = "tiny") -> list[Finding]:
    """Run every check on the method `spec`, a name or a class; see `iterate_method_checks`."""
    name = spec if isinstance(spec, str) else name_method_class(spec)
    return list(iterate_method_checks(name, preset=preset))


def iterate_method_checks(spec: str, *, preset: str = "tiny") -> Iterator[Finding]:
    """Run the checks one after another: configuration, training, acting, saving, evaluation.

    Args:
        spec: a method's name, or `path/to/file.py:Class`, either with `/VARIANT`.
        preset: which budget to train with.

    Yields:
        One finding a check. Where a method does not train or act at all, the checks that need it are left out.

    Raises:
        UnknownNameError: no such method or preset.
        MetabenchError: the method cannot be imported.
    """
    method = load_method(spec, preset=preset, suite=CONTINUOUS_SUITE)
    for title, expected, check in _list_configuration_checks(spec):
        yield run_check("", title, expected, check)
    suites = [CONTINUOUS_SUITE] * method.continuous_actions + [
        DISCRETE_SUITE
    ] * method.discrete_actions
    for name in suites:
        yield from _check_on_suite(spec, preset, name)


def _check_on_suite(spec: str, preset: str, name: str) -> Iterator[Finding]:
    suite = load_suite(name)
    with tempfile.TemporaryDirectory(prefix="metabench-check-") as scratch:
        training = TrainingChecks(spec, preset, suite, Path(scratch))
        for title, expected, check in training.list_checks():
            finding = run_check(name, title, expected, check)
            yield finding
            if title in NEEDED and not finding.passed:
                return
        acting = PolicyChecks(training, Path(scratch))
        for title, expected, check in acting.list_checks():
            finding = run_check(name, title, expected, check)
            yield finding
            if title in NEEDED and not finding.passed:
                return


def _list_configuration_checks(spec: str) -> Iterator[tuple[str, str, Callable[[], str | None]]]:
    method, _ = load_method_class(spec)
    presets = {
        f"{suite}/{name}": config
        for suite in (CONTINUOUS_SUITE, DISCRETE_SUITE)
        for name, config in method.presets(suite).items()
    }
    yield (
        "actions declared",
        "continuous_actions or discrete_actions is true",
        lambda: None if method.continuous_actions or method.discrete_actions else "both are false",
    )
    yield (
        "frozen",
        "assigning to a key of a configuration raises",
        lambda: _find_bad(_check_frozen, presets),
    )
    yield (
        "round trip",
        "a configuration is the same after JSON and back",
        lambda: _find_bad(_check_round_trip, presets),
    )
    yield (
        "documented",
        "every configuration key has a description",
        lambda: _check_documented(method),
    )
    yield (
        "variants",
        "every variant is a valid configuration",
        lambda: _check_variants(spec, method),
    )


def _find_bad(check: Callable[[Config], str | None], presets: dict[str, Config]) -> str | None:
    problems = ((name, check(config)) for name, config in presets.items())
    return next((f"preset {name}: {problem}" for name, problem in problems if problem), None)


def _check_frozen(config: Config) -> str | None:
    for key in type(config).model_fields:
        try:
            setattr(config, key, getattr(config, key))
        except ValidationError:
            continue
        return f"{key} can be assigned to"
    return None


def _check_round_trip(config: Config) -> str | None:
    content = json.loads(config.model_dump_json())
    again = type(config).model_validate(content)
    if again == config:
        return None
    changed = [key for key in content if getattr(again, key) != getattr(config, key)]
    return f"{', '.join(changed)} changed"


def _check_documented(method: type[Method]) -> str | None:
    bare = [key for key, field in method.config_class.model_fields.items() if not field.description]
    return f"no Field(description=...) for {', '.join(bare)}" if bare else None


def _check_variants(spec: str, method: type[Method]) -> str | None:
    path, separator, rest = spec.rpartition(".py:")
    base = path + separator + rest.partition("/")[0]
    for variant, suite in itertools.product(method.variants, (CONTINUOUS_SUITE, DISCRETE_SUITE)):
        for preset in method.presets(suite):
            load_method(f"{base}/{variant}", preset=preset, suite=suite)
    return None
