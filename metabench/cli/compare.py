"""`metabench compare`: two methods, by their records."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterable
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from metabench.cli.options import PUBLISHED, RecordFolders
from metabench.cli.output import make_console

if TYPE_CHECKING:
    from metabench.leaderboard.export.text_tables import Sheet

ON_THESE_TASKS = "on these tasks"
"""The column that stands below another one here."""

_INTERVAL_WIDTH = 14
"""Of `[-20.0, +20.0]`."""

_NAME_WIDTH = 10
"""What six columns leave of 80 for the names of suites; they are folded at their hyphens."""


def compare(
    first: Annotated[
        str,
        typer.Argument(
            metavar="A", help="METHOD, METHOD/VARIANT, METHOD@PRESET, METHOD#CONFIG or METHOD#CODE"
        ),
    ],
    second: Annotated[str, typer.Argument(metavar="B", help="the other method, in the same form")],
    records: RecordFolders = None,
    suite: Annotated[
        list[str] | None, typer.Option(help="only these suites, also task by task")
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="only this dataset")] = None,
    preset: Annotated[str | None, typer.Option(help="only this preset")] = None,
    split: Annotated[str, typer.Option(help="test or test-far")] = "test",
    track: Annotated[
        list[str] | None, typer.Option(help="zero-shot, few-shot, logged-shot (default: all)")
    ] = None,
    shots: Annotated[
        str | None, typer.Option(help="numbers of shots (1,3,5) (default: 0 and 3)")
    ] = None,
    details: Annotated[
        bool, typer.Option("--details", help="also task by task, and performance profiles")
    ] = False,
    form: Annotated[
        str, typer.Option("--format", "-f", help="table, json, csv, latex or markdown")
    ] = "table",
    output: Annotated[
        Path | None, typer.Option("--output", "--out", "-o", help="a file (default: print)")
    ] = None,
) -> None:
    """Compare two methods in every suite where both have records: the difference of scores per seed, with its interval.

    To compare different presets, write both out: `compare meta-dt@cpu meta-dt@paper`.
    """
    from metabench.cli.arguments import read_names, read_shots
    from metabench.leaderboard.compare.compare import compare_methods
    from metabench.leaderboard.compare.comparison_sheets import (
        explain_columns,
        make_detail_sheets,
        make_summary_sheets,
    )
    from metabench.leaderboard.compare.export import check_form, export_comparison
    from metabench.leaderboard.compare.selection import Selection
    from metabench.leaderboard.records import read_folders
    from metabench.system.writing import write_whole

    check_form(form, "table")
    suites = None if suite is None else tuple(read_names(suite, "--suite"))
    tracks = None if track is None else tuple(read_names(track, "--track"))
    counts = read_shots(shots)
    selection = Selection(suites, dataset, split, tracks, None if counts is None else tuple(counts))
    report = compare_methods(
        (record for _, record in read_folders(records or [PUBLISHED])),
        first,
        second,
        selection,
        preset=preset,
    )
    if form != "table":
        text = export_comparison(report, form)
    else:
        # To a terminal directly, with its width and colours; into a file as text of a fixed width.
        buffer = io.StringIO()
        console = make_console() if output is None else Console(file=buffer, width=100)
        _print_sheets(make_summary_sheets(report), console)
        if details or suites:
            _print_sheets(make_detail_sheets(report), console)
        for line in explain_columns(report):
            console.print(line, style="dim", markup=False, highlight=False, soft_wrap=True)
        text = buffer.getvalue()
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_whole(output, text)


def _print_sheets(sheets: Iterable[Sheet], console: Console) -> None:
    """Print tables within 80 columns: intervals stand below their numbers, that of these tasks below both."""
    for sheet in map(_stack_intervals, sheets):
        console.print(Text(sheet.title), style="bold")
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
        for heading, side in zip(sheet.headings, sheet.alignment, strict=True):
            # Never broken within: cells have their own line breaks, and a column without room would vanish.
            table.add_column(
                Text(_fold_heading(heading)),
                justify="right" if side == "r" else "left",
                no_wrap=True,
                overflow="fold",
            )
        for name, *values in sheet.rows:
            numbers = [Text(value.replace(" [", "\n[")) for value in values]
            table.add_row(Text("\n".join(wrap(name, _NAME_WIDTH))), *numbers)
        console.print(table)
        for note in sheet.notes:
            console.print(f"  {note}", style="dim", markup=False, highlight=False, soft_wrap=True)
        console.print()


def _stack_intervals(sheet: Sheet) -> Sheet:
    """The same table with the interval on these tasks in the column of the difference, which it is one of."""
    if ON_THESE_TASKS not in sheet.headings:
        return sheet
    place = sheet.headings.index(ON_THESE_TASKS)

    def merge(cells: tuple[str, ...], stacked: str) -> tuple[str, ...]:
        return (*cells[: place - 1], stacked, *cells[place + 1 :])

    return dataclasses.replace(
        sheet,
        headings=merge(sheet.headings, f"{sheet.headings[place - 1]} ({ON_THESE_TASKS})"),
        alignment=sheet.alignment[:place] + sheet.alignment[place + 1 :],
        rows=tuple(merge(row, f"{row[place - 1]}\n{row[place]}") for row in sheet.rows),
    )


def _fold_heading(heading: str) -> str:
    """A method's name in lines as wide as an interval: names are long, and columns six."""
    parts = heading.replace("/", "/\n").replace(" (", "\n(").split("\n")
    # `wrap` breaks at spaces and hyphens only; a space after each underscore lets it break there, too.
    lines = [line for part in parts for line in wrap(part.replace("_", "_ "), _INTERVAL_WIDTH)]
    return "\n".join(line.replace("_ ", "_") for line in lines)
