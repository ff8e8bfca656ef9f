"""`metabench report`: one HTML page about one run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN",
            help="a record, a folder with one record in it, or the folder of a saved policy",
        ),
    ],
    policy: Annotated[
        Path | None,
        typer.Option(help="folder of the record's saved policy (default: where runs keep it)"),
    ] = None,
    suite: Annotated[
        str | None, typer.Option(help="folder of the run's suite, if it is not installed")
    ] = None,
    output: Annotated[
        Path, typer.Option("--out", "--output", "-o", help="the HTML file to write")
    ] = Path("report.html"),
) -> None:
    """Write one HTML page about a run: scores, training curves, diagnostics, pictures, episodes.

    The page needs no network and no script. The saved policy supplies its pictures and acts in a few test tasks. If
    there is no saved policy, the page says so and has everything else.
    """
    from rich.console import Console

    from metabench.cli.progress import show_progress
    from metabench.report import write_report

    with show_progress(Console(stderr=True), "report") as progress:
        written = write_report(run, output, policy=policy, suite=suite, progress=progress)
    for notice in written.notices:
        typer.echo(f"note: {notice}", err=True)
    typer.echo(f"{written.path}")
