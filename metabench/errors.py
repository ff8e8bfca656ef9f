"""The errors that users meet: one line that names the thing and the nearest valid choice."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any


class MetabenchError(Exception):
    """A mistake in what the user gave: the CLI prints its one line and exits with status 2."""


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
        super().__init__(f"unknown {kind} {name!r}; {hint}")
        self.kind = kind
        self.name = name


class DataError(MetabenchError):
    """Stored data (a Minari folder, a store, a checkpoint, a record) that is damaged or does not fit."""


class MethodError(MetabenchError):
    """A method or policy that broke its contract; the message names method, lane and step."""


class SimulationError(MetabenchError):
    """A lane whose simulation diverged; the message names task, lane and step."""

    def __init__(
        self, lane: int, step: int, parameters: Mapping[str, Any] | None = None, task: str | None = None
    ) -> None:
        """Name the lane, the step (counted from 1) and, if known, the task: as `task`, or by its parameters."""
        if task is None and parameters is not None:
            task = f"task {dict(parameters)!r:.200}"
        super().__init__(f"the simulation of lane {lane} diverged at step {step}{f' in {task}' if task else ''}")
        self.lane = lane
        self.step = step
        self.parameters = parameters
        self.task = task

    def in_task(self, suite: str, task: int) -> SimulationError:
        """The same error with the task named by suite and id: its parameters may be too many to read."""
        return SimulationError(self.lane, self.step, self.parameters, f"task {task} of suite {suite}")

    def __reduce__(self) -> tuple[type[SimulationError], tuple[Any, ...]]:
        """Pickle by what it is made of."""
        return type(self), (self.lane, self.step, self.parameters, self.task)


class CancelledError(MetabenchError):
    """The run was asked to stop; what had been checkpointed is kept."""


class PolicyProcessError(MetabenchError):
    """What went wrong in a policy's own process; the message goes on from the call: `raised ValueError: ...`."""
