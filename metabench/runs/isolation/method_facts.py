"""What planning and records need to know of a method, read where its code may be imported: here, or in a process."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from metabench.errors import MetabenchError, MethodError, first_problem
from metabench.methods.configuring import find_overrides
from metabench.methods.contract import Method
from metabench.methods.registry import (
    check_foreign_name,
    find_entry_point,
    find_method_sources,
    is_built_in,
    load_method_class,
    make_method,
)
from metabench.methods.requirements import NAME
from metabench.runs.isolation.channel import DESCRIBE
from metabench.runs.isolation.limits import NO_LIMITS, Limits
from metabench.runs.isolation.process import make_scratch, name_for_process, start_policy_process
from metabench.system.plain_values import make_plain
from metabench.system.source_code import digest_sources, find_package_source, name_module
from metabench.system.strict_model import StrictModel

PATIENCE = 60.0
"""Seconds that a method's import may take where no limit is given: a plan should not be silent for longer."""


class MethodFacts(StrictModel):
    """A method with a configuration, in plain values.

    Attributes:
        name: what it is registered under.
        version: of its results.
        privileged: it is told the task.
        discrete_actions: it takes them.
        continuous_actions: it takes them.
        uses_expert_labels: it is trained with the expert's actions.
        uses_stages: it is trained on histories, in their order.
        predicts: its policies have a world model.
        configuration: all keys and values.
        overrides: those that differ from the preset.
        sources: where its code lies; empty if it comes with metabench.
        pretraining_seconds: how long its pretraining took.
    """

    name: str = Field(pattern=rf"^{NAME.pattern}$")
    version: int
    privileged: bool
    discrete_actions: bool
    continuous_actions: bool
    uses_expert_labels: bool
    uses_stages: bool
    predicts: bool
    configuration: dict[str, Any]
    overrides: dict[str, Any]
    sources: tuple[Path, ...]
    pretraining_seconds: float | None

    @property
    def code(self) -> str | None:
        """The hash of its code; None if it comes with metabench."""
        return digest_sources(self.sources)


def read_facts(method: Method, preset: str, suite: str) -> MethodFacts:
    """The facts of a method that is imported here.

    Raises:
        MetabenchError: its source is in no file, or it has no such preset.
    """
    kind = type(method)
    return MethodFacts(
        name=kind.name,
        version=kind.version,
        privileged=kind.privileged,
        discrete_actions=kind.discrete_actions,
        continuous_actions=kind.continuous_actions,
        uses_expert_labels=kind.uses_expert_labels,
        uses_stages=kind.uses_stages,
        predicts=kind.predicts,
        configuration=method.config.model_dump(mode="json"),
        overrides=find_overrides(method, preset, suite),
        sources=find_method_sources(kind),
        pretraining_seconds=method.pretraining_seconds(),
    )


def refuse_privileged(facts: MethodFacts) -> None:
    """Raise `MetabenchError` if the method, not metabench's own, is told tasks and cannot be kept from them."""
    if facts.privileged:
        raise MetabenchError(
            f"method {facts.name!r} is privileged: it is told the task, and cannot be kept apart; run it without "
            "--isolate"
        )


def find_facts(
    spec: str,
    preset: str,
    suites: Sequence[str],
    overrides: Mapping[str, Any],
    limits: Limits = NO_LIMITS,
    *,
    confined: bool = False,
) -> list[MethodFacts]:
    """The facts of a method for each of some suites; code that does not come with metabench is not imported here.

    Args:
        spec: what `load_method` takes.
        preset: name of one of its presets.
        suites: names of the suites that it is configured for; of none, it is only imported.
        overrides: configuration keys and values.
        limits: what the process that imports the code may take; without any, `PATIENCE`.
        confined: let it see and write as little as a policy that acts.

    Raises:
        MethodError: its code raised something, ended or took too much.
        UnknownNameError: no such method, variant, preset or key.
        MetabenchError: a name or value is invalid.
    """
    plain = {key: make_plain(value, key) for key, value in overrides.items()}
    if is_built_in(spec):
        method, variant = load_method_class(spec)  # once: it looks through all that is installed
        configured = (
            make_method(method, variant, preset=preset, suite=suite, overrides=plain)
            for suite in suites
        )
        return [
            read_facts(each, preset, suite) for each, suite in zip(configured, suites, strict=True)
        ]
    asked = json.dumps({"preset": preset, "suites": list(suites), "overrides": plain})
    known = _ask_facts_once(spec, asked, limits, confined, _look_beside(_find_own_source(spec)))
    if any(facts.code != code for facts, code in known):  # edited in another place
        _ask_facts_once.cache_clear()
        return find_facts(spec, preset, suites, overrides, limits, confined=confined)
    return [facts for facts, _ in known]


@lru_cache(maxsize=256)
def _ask_facts_once(
    spec: str, asked: str, limits: Limits, confined: bool, beside: tuple[object, ...]
) -> tuple[tuple[MethodFacts, str | None], ...]:
    """The facts, and the hash of the code that they are of; asked anew if files beside the code change."""
    del beside
    patient = limits if limits.seconds is not None else replace(limits, seconds=PATIENCE)
    label = f"method {spec!r}: its import or configuration"
    with (
        make_scratch() as scratch,
        start_policy_process(scratch, patient, confined=confined) as process,
    ):
        answer = process.describe(DESCRIBE, {**name_for_process(spec), **json.loads(asked)}, label)
    try:
        found = [MethodFacts.model_validate_json(text) for text in answer["facts"]]
    except (ValidationError, KeyError, TypeError) as error:
        problem = first_problem(error) if isinstance(error, ValidationError) else str(error)
        raise MethodError(f"{label} sent invalid facts: {problem}") from error
    own = _find_own_source(spec)
    for facts in found:
        check_foreign_name(spec, facts.name)
        if not {own, *own.parents} & set(facts.sources):
            raise MethodError(f"{label} does not name its own code, {own}")
    return tuple((facts, facts.code) for facts in found)


def _find_own_source(spec: str) -> Path:
    """Where the code of a foreign method lies, whatever it says of itself.

    Raises:
        UnknownNameError: no such method.
        MetabenchError: no such file or package.
    """
    path, is_file, _ = spec.partition(".py:")
    if not is_file:
        return find_package_source(find_entry_point(spec.partition("/")[0]).module)
    file = Path(path + ".py")
    if not file.is_file():
        raise MetabenchError(f"{file}: no such file; expected path/to/file.py:Class")
    name_module(
        file
    )  # a file that asks for its own method at import would start a process that does so, too
    return file.resolve()


def _look_beside(source: Path) -> tuple[object, ...]:
    """The state of the files that a method may read when it is imported: those of its folder."""
    folder = source if source.is_dir() else source.parent
    found = [(each.name, each.stat()) for each in os.scandir(folder) if each.is_file()]
    states = sorted((name, state.st_mtime_ns, state.st_size) for name, state in found)
    return (folder, *states)
