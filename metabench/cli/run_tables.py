"""What `metabench run` shows: the plan before it, and tables and counts after it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

if TYPE_CHECKING:
    from metabench.runs.executors.events import Outcome
    from metabench.runs.planned_cell import PlannedCell


def show_plan(
    planned: Sequence[PlannedCell], results: Path, workers: int, console: Console
) -> None:
    """A line a cell, then how long those that wait may take: as long as earlier cells of their kind."""
    from metabench.runs.estimate import duration, estimate_seconds, find_published_records

    estimates = estimate_seconds(planned, (results, find_published_records()))
    for cell, seconds in zip(planned, estimates, strict=True):
        note = f" ({cell.note})" if cell.note else ""
        time = (
            "" if cell.state != "waiting" else "unknown" if seconds is None else duration(seconds)
        )
        line = f"{cell.state:8} {time:>7} {cell.label}: {cell.record_path}{note}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    waiting = [
        seconds for cell, seconds in zip(planned, estimates, strict=True) if cell.state == "waiting"
    ]
    known = [seconds for seconds in waiting if seconds is not None]
    if known:
        shared = (
            f", {duration(max(sum(known) / workers, *known))} with {workers} workers"
            if workers > 1
            else ""
        )
        unknown = (
            f", and {len(waiting) - len(known)} of unknown length"
            if len(known) < len(waiting)
            else ""
        )
        typer.echo(
            f"earlier cells of their kind, here or published, took {duration(sum(known))} in all{shared}{unknown}"
        )
    _say_counts(
        {
            state: sum(cell.state == state for cell in planned)
            for state in ("waiting", "finished", "corrupt")
        }
    )


def show_outcome(
    planned: Sequence[PlannedCell], outcome: Outcome, tensorboard: Path | None, console: Console
) -> None:
    """The tables of what is done, then what failed, then counts; writes curves of skipped cells for TensorBoard."""
    from metabench.cli.prediction_tables import print_prediction_boards
    from metabench.cli.tables import print_tables
    from metabench.evaluation.protocol import PREDICTION
    from metabench.leaderboard.predictions.boards import (
        PredictedRecord,
        make_prediction_boards,
        note_predictions,
    )
    from metabench.leaderboard.scores.aggregate import aggregate
    from metabench.leaderboard.scores.quotas import SuiteShelf
    from metabench.runs.kept.record import read_record
    from metabench.runs.tensorboard import write_record_curves
    from metabench.suites import load_suite

    done = sorted({*outcome.finished, *outcome.skipped})
    if done:
        suites = {
            folder: load_suite(folder) for folder in {planned[index].suite_folder for index in done}
        }
        records = (read_record(planned[index].record_path) for index in done)
        predicted: list[PredictedRecord] = []
        shelf = SuiteShelf(suites.values())
        asked = {pair for index in done for pair in planned[index].tracks}
        entries = aggregate(note_predictions(records, predicted), shelf)
        print_tables([each for each in entries if (each.split, each.track) in asked], console)
        if any(track == PREDICTION for _, track in asked):
            print_prediction_boards(make_prediction_boards(predicted, shelf), console)
        if tensorboard is not None:
            for cell in (planned[index] for index in outcome.skipped):
                write_record_curves(
                    read_record(cell.record_path), suites[cell.suite_folder], tensorboard
                )
    for index in outcome.failed:
        cell = planned[index]
        place = cell.record_path if cell.state == "corrupt" else cell.failure_path
        print_note(f"failed: {cell.label}" + (f"; see {place}" if place.exists() else ""))
    counts = {
        "done": len(outcome.finished),
        "skipped": len(outcome.skipped),
        "failed": len(outcome.failed),
        "stopped": len(outcome.stopped),
    }
    if outcome.busy:
        counts["busy elsewhere (--wait waits for them)"] = len(outcome.busy)
    _say_counts(counts)


def _say_counts(counts: dict[str, int]) -> None:
    typer.echo("cells: " + ", ".join(f"{count} {what}" for what, count in counts.items()))


def print_note(line: str) -> None:
    """A line beside the output, on standard error."""
    typer.echo(line, err=True)
