"""What happens to cells, and who makes it happen: the words between executors and those who listen."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, get_args

if TYPE_CHECKING:
    from metabench.runs.planned_cell import PlannedCell
    from metabench.runs.settings import Settings

Kind: TypeAlias = Literal["started", "progress", "finished", "failed", "stopped", "busy"]
ENDS: tuple[Kind, ...] = ("finished", "failed", "stopped", "busy")
"""With one of these a cell ends for this run; `busy`: another process has it."""


@dataclass(frozen=True)
class Event:
    """What happened to a cell.

    Attributes:
        index: which of the planned cells.
        kind: what happened.
        stage: of progress: `training: policy`, `evaluating: test few-shot: scored episodes`.
        done: of progress: updates or steps done.
        total: of progress: updates or steps in all; 0 if unknown.
        metrics: of progress: what was logged last.
        message: one line: why the cell failed, where it stopped or who has it.
    """

    index: int
    kind: Kind
    stage: str = ""
    done: int = 0
    total: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    message: str = ""


Listener: TypeAlias = Callable[[Event], None]
RunCell: TypeAlias = Callable[[int, "PlannedCell", "Settings", Listener, Callable[[], bool]], None]


@dataclass(frozen=True)
class Outcome:
    """Indices of the planned cells by what became of them."""

    finished: tuple[int, ...]
    skipped: tuple[int, ...]
    failed: tuple[int, ...]
    stopped: tuple[int, ...]
    busy: tuple[int, ...] = ()


class Executor(Protocol):
    """Who runs cells: this machine, or an engine that shares them out among many."""

    @property
    def default_threads(self) -> int:
        """Threads a cell where nobody says how many."""
        ...

    def check(self, settings: Settings) -> None:
        """Raise `MetabenchError` if cells cannot be run with these settings."""
        ...

    def run(
        self,
        planned: Sequence[PlannedCell],
        waiting: Sequence[int],
        settings: Settings,
        listener: Listener,
        cancelled: Callable[[], bool],
    ) -> None:
        """Run the cells of the indices in `waiting`; every one that was begun ends with an event."""
        ...


def encode_event(event: Event) -> bytes:
    """An event as JSON, for another process."""
    plain = replace(event, metrics={name: float(value) for name, value in event.metrics.items()})
    return json.dumps(asdict(plain)).encode()


def decode_event(line: bytes, index: int | None) -> Event | None:
    """The event of a line about cell `index`; None if it is none."""
    try:
        content = json.loads(line)
        event = Event(**content)
        known = event.index == index and event.kind in get_args(Kind)
        numbers = {str(name): float(value) for name, value in event.metrics.items()}
        return (
            replace(event, done=int(event.done), total=int(event.total), metrics=numbers)
            if known
            else None
        )
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
