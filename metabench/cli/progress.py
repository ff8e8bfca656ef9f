"""The bar that shows how far a long command is."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column

from metabench.cli.output import make_console

if TYPE_CHECKING:
    from metabench.methods.training_run import TrainingProgress

LINE_SECONDS = 20.0
"""Least time between two lines where there is no terminal."""


def make_bar(console: Console, *details: ProgressColumn) -> Progress:
    """Bars that fit any terminal: bar, count and time left first, then what is done, cut where the line ends.

    Args:
        console: where they are drawn; nothing is where that is no terminal.
        details: columns after the description.
    """
    words = TextColumn("{task.description}", table_column=Column(no_wrap=True, ratio=1))
    return Progress(
        BarColumn(bar_width=12),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        words,
        *details,
        console=console,
        transient=True,
        expand=True,
        disable=not console.is_terminal,
    )


@contextmanager
def show_progress(console: Console, label: str) -> Iterator[Callable[[str, int, int], None]]:
    """A bar that restarts with each stage of the work."""
    with make_bar(console) as bar:
        task = bar.add_task(escape(label), total=None)
        current = ""

        def update(stage: str, done: int, total: int) -> None:
            nonlocal current
            if stage != current:
                current = stage
                bar.reset(task, total=total, description=escape(f"{label}: {stage}"))
            bar.update(task, completed=done)

        yield update


@contextmanager
def watch_work(label: str) -> Iterator[Callable[[str, int, int], None]]:
    """A bar; afterwards, a line for each warning given meanwhile: in between it would tear the bar."""
    with (
        warnings.catch_warnings(record=True) as caught,
        show_progress(make_console(), label) as progress,
    ):
        warnings.simplefilter("always", UserWarning)
        yield progress
    for warning in caught:
        Console(stderr=True).print(
            f"[yellow]warning[/] {warning.message}", soft_wrap=True, highlight=False
        )


@contextmanager
def show_training_progress(console: Console, label: str) -> Iterator[TrainingProgress]:
    """A bar for a training in a terminal, elsewhere a line with the latest losses now and then."""
    spoken = 0.0
    with show_progress(console, label) as bar:

        def update(stage: str, done: int, total: int, metrics: Mapping[str, float]) -> None:
            nonlocal spoken
            bar(stage, done, total)
            if console.is_terminal:
                return
            losses = "  ".join(f"{name} {value:.3g}" for name, value in list(metrics.items())[:4])
            if done == total or time.monotonic() - spoken > LINE_SECONDS:
                spoken = time.monotonic()
                console.print(
                    f"{label} {stage} {done}/{total}  {losses}", soft_wrap=True, highlight=False
                )

        yield update
