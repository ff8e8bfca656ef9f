"""The errors that users meet: one line that names the thing and the nearest valid choice."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError


class MetabenchError(Exception):
    """A mistake in the user's input: the CLI prints its one-line message and exits with status 2."""


class UnknownNameError(MetabenchError):
    """A name that nothing is registered under."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        """Name the `kind` of thing, the unknown `name`, and the nearest of the `known` names."""
        choices = sorted(known)
        nearest = difflib.get_close_matches(name, choices, n=1, cutoff=0.4)
        if nearest:
            hint = f"did you mean {nearest[0]!r}?"
        elif choices:
            hint = f"known: {', '.join(choices)}"
        else:
            hint = "none is known"
        super().__init__(f"unknown {kind} {name!r:.200}; {hint}")
        self.kind = kind
        self.name = name


class DataError(MetabenchError):
    """Stored data (a Minari folder, a store, a checkpoint, a record) that is damaged or does not fit."""


class StorageError(MetabenchError):
    """A file that cannot be written (no space, no permission, a failing disk); the message says what to do."""


class ClaimedError(MetabenchError):
    """Another process is running the cell, here or on another machine. Nothing is wrong with the cell."""


class MethodError(MetabenchError):
    """A method or policy that broke its contract; the message names method, lane and step."""


class DependentLanesError(MethodError):
    """A policy that acts otherwise in a lane because of what other lanes see; the message names task and step."""


class SimulationError(MetabenchError):
    """A lane whose simulation diverged; the message names task, lane and step."""

    def __init__(
        self,
        lane: int,
        step: int,
        parameters: Mapping[str, Any] | None = None,
        task: str | None = None,
    ) -> None:
        """Name the lane, the step (counted from 1) and, if known, the task: as `task`, or by its parameters."""
        if task is None and parameters is not None:
            task = f"task {dict(parameters)!r:.200}"
        super().__init__(
            f"the simulation of lane {lane} diverged at step {step}{f' in {task}' if task else ''}"
        )
        self.lane = lane
        self.step = step
        self.parameters = parameters
        self.task = task

    def in_task(self, suite: str, task: int) -> SimulationError:
        """The same error with the task named by suite and id: its parameters may be too many to read."""
        return SimulationError(
            self.lane, self.step, self.parameters, f"task {task} of suite {suite}"
        )

    def __reduce__(self) -> tuple[type[SimulationError], tuple[Any, ...]]:
        """Pickle by what it is made of."""
        return type(self), (self.lane, self.step, self.parameters, self.task)


class InvalidActionError(MetabenchError):
    """An environment got actions outside its spaces; the message says which, and what was expected."""


class NoEnvironmentError(MetabenchError):
    """Tasks that are known from recorded data only: they can be trained on and predicted, not acted in."""


class NoRendererError(MetabenchError):
    """This machine cannot render MuJoCo: neither EGL nor OSMesa works."""


class CancelledError(MetabenchError):
    """The run was asked to stop; its checkpoints are kept."""


class PolicyProcessError(MetabenchError):
    """An error in a policy's own process; the message completes the name of the call: `raised ValueError: ...`."""


PROBLEMS: Mapping[str, str] = {
    "missing": "this key is missing",
    "extra_forbidden": "there is no such key",
    "tuple_type": "expected a list",
    "list_type": "expected a list",
    "dict_type": "expected keys and values",
    "model_type": "expected keys and values",
    "model_attributes_type": "expected keys and values",
    "string_type": "expected a text",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "finite_number": "expected a finite number",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "greater_than": "expected more than {gt}",
    "greater_than_equal": "expected at least {ge}",
    "less_than": "expected less than {lt}",
    "less_than_equal": "expected at most {le}",
    "too_short": "expected at least {min_length} of them, found {actual_length}",
    "too_long": "expected at most {max_length} of them, found {actual_length}",
    "literal_error": "expected {expected}",
}
"""Plain words for what pydantic finds, by its name for it; its own words otherwise."""


def key_and_problem(error: ValidationError) -> tuple[str, str]:
    """The first thing that pydantic found wrong.

    Returns:
        The key (`task.3.parameters`), empty if it is the content as a whole; and what is wrong there, with what was
        found where the problem does not say it: `expected more than 0, found -1`.
    """
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    words = PROBLEMS.get(first["type"], first["msg"].removeprefix("Value error, "))
    if first["type"] in PROBLEMS:
        words = words.format(**first.get("ctx", {}))
    tells = ("missing", "value_error", "json_invalid", "too_short", "too_long")
    return key, words + ("" if first["type"] in tells else f", found {_short(first['input'])}")


def first_problem(error: ValidationError, whole: str = "(whole file)") -> str:
    """The same as one text: `task.3.parameters: expected ...`; `whole` is the key of the content as a whole."""
    key, problem = key_and_problem(error)
    return f"{key or whole}: {problem}"


def _short(value: Any) -> str:
    """A value as a short text, however large or deep it is."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = 60
    try:
        return f"{short.repr(value):.80}"
    except ValueError:  # an integer of thousands of digits
        return type(value).__name__
