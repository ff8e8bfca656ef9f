"""Showing how cells get on: bars in a terminal, occasional lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import TaskID, TextColumn
from rich.table import Column

from metabench.cli.progress import make_bar
from metabench.runs.executors.events import Event
from metabench.runs.planned_cell import PlannedCell

LINE_SECONDS = 20.0
"""Least time between two lines of one cell where there is no terminal."""

METRICS_WIDTH = 110
"""Columns of a terminal from which there is room for losses beside a cell's name and stage."""


class Display(Protocol):
    """Listens to events while it is entered."""

    def __enter__(self) -> Self:
        """Begin to show."""
        ...

    def __exit__(self, *exception: object) -> None:
        """Leave the screen in order."""
        ...

    def hear(self, event: Event) -> None:
        """Show an event of a cell."""
        ...

    def show_building(self, what: str, done: int, total: int) -> None:
        """Show how far the building of data is."""
        ...


def make_display(console: Console, cells: Callable[[], Sequence[PlannedCell]]) -> Display:
    """Bars if `console` is a terminal, else lines; `cells` gives the planned cells once there are any."""
    return Bars(console, cells) if console.is_terminal else Lines(console, cells)


class Bars:
    """One bar for all cells, and one for each that runs: updates, time left, name and stage, and losses if they fit."""

    def __init__(self, console: Console, cells: Callable[[], Sequence[PlannedCell]]) -> None:
        """Show on `console`."""
        self._cells = cells
        metrics = TextColumn("{task.fields[metrics]}", table_column=Column(no_wrap=True))
        self._progress = make_bar(console, *[metrics] * (console.width >= METRICS_WIDTH))
        self._bars: dict[int | str, TaskID] = {}
        self._stages: dict[int, str] = {}

    def __enter__(self) -> Self:
        """Begin to show."""
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Remove the bars."""
        self._progress.stop()

    def show_building(self, what: str, done: int, total: int) -> None:
        """Show how far the building of data is."""
        self._update(what, f"building {what}", done, total, {})
        if done >= total:
            self._remove(what)

    def hear(self, event: Event) -> None:
        """Show an event of a cell."""
        cells = self._cells()
        label = cells[event.index].label
        if "all" not in self._bars:
            count = sum(cell.state != "finished" for cell in cells)
            self._bars["all"] = self._progress.add_task("cells", total=count, metrics="")
        if event.kind == "progress":
            if (
                self._stages.get(event.index) != event.stage
            ):  # a new bar, so that the time left is that of the stage
                self._remove(event.index)
                self._stages[event.index] = event.stage
            name = _shorten(cells, event.index)
            self._update(
                event.index, f"{name}  {event.stage}", event.done, event.total, event.metrics
            )
        elif event.kind != "started":
            self._remove(event.index)
            self._progress.advance(self._bars["all"])
            colour = {"finished": "green", "failed": "red"}.get(event.kind, "yellow")
            reason = f": {escape(event.message)}" if event.message else ""
            self._progress.console.print(
                f"[{colour}]{event.kind}[/] {escape(label)}{reason}", highlight=False
            )

    def _update(
        self, key: int | str, text: str, done: int, total: int, metrics: Mapping[str, float]
    ) -> None:
        description, metric_words = escape(text), _format_metrics(metrics)
        known_total = total or None  # None draws a bar that only moves
        if key not in self._bars:
            self._bars[key] = self._progress.add_task(
                description, total=known_total, completed=done, metrics=metric_words
            )
        self._progress.update(
            self._bars[key],
            description=description,
            completed=done,
            total=known_total,
            metrics=metric_words,
        )

    def _remove(self, key: int | str) -> None:
        if key in self._bars:
            self._progress.remove_task(self._bars.pop(key))


def _shorten(cells: Sequence[PlannedCell], index: int) -> str:
    """A cell's name without what all of them share: `meta-dt seed 3` where there is one suite and one dataset."""
    cell = cells[index].cell
    told = [
        *[cell.suite] * (len({each.cell.suite for each in cells}) > 1),
        *[cell.dataset] * (len({each.cell.dataset for each in cells}) > 1),
        cells[index].label.removeprefix(f"{cell.suite} {cell.dataset} "),
    ]
    return " ".join(told)


class Lines:
    """A line when a cell starts and ends, and one now and then between."""

    def __init__(self, console: Console, cells: Callable[[], Sequence[PlannedCell]]) -> None:
        """Print on `console`."""
        self._console = console
        self._cells = cells
        self._last: dict[int | str, float] = {}
        self._started: dict[int, float] = {}

    def __enter__(self) -> Self:
        """Nothing to begin."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing to leave."""

    def show_building(self, what: str, done: int, total: int) -> None:
        """Say now and then how far the building of data is."""
        if self._is_due(what) or done >= total:
            self._print(f"building {what}: {done} of {total}")

    def hear(self, event: Event) -> None:
        """Say what happened to a cell."""
        label = self._cells()[event.index].label
        if event.kind == "started":
            self._started[event.index] = self._last[event.index] = time.monotonic()
            self._print(f"{label}: started")
        elif event.kind == "progress":
            if self._is_due(event.index):
                parts = [
                    f"{label}: {event.stage}",
                    f"{event.done} of {event.total}",
                    _format_metrics(event.metrics),
                ]
                self._print(", ".join(part for part in parts if part))
        else:
            seconds = time.monotonic() - self._started.get(event.index, time.monotonic())
            reason = f": {event.message}" if event.message else f" after {seconds:.1f} s"
            self._print(f"{label}: {event.kind}{reason}")

    def _is_due(self, key: int | str) -> bool:
        now = time.monotonic()
        if now - self._last.setdefault(key, now) < LINE_SECONDS:
            return False
        self._last[key] = now
        return True

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def _format_metrics(metrics: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in list(metrics.items())[:3])
