"""`metabench leaderboard`: from records to tables, JSON and the page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metabench.cli import submissions
from metabench.cli.options import PUBLISHED, RecordFolders
from metabench.cli.output import make_console

app = typer.Typer(no_args_is_help=True, help="Build, check and export leaderboards from records.")

Records = Annotated[
    Path, typer.Option("--records", "--results", help="the folder of records, or of results")
]


@app.command()
def build(
    records: Records = PUBLISHED,
    output: Annotated[
        Path, typer.Option("--output", "--out", "-o", help="the folder for the page")
    ] = Path("leaderboard"),
) -> None:
    """Write leaderboard.json, its CSV, the schemas and the page."""
    from metabench.leaderboard.build import build_leaderboard

    board = build_leaderboard(records, output)
    make_console().print(
        f"{len(board.sources)} records, {len({entry.id for entry in board.entries})} rows -> {output / 'index.html'}",
        soft_wrap=True,
        markup=False,
    )


@app.command()
def check(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="[FOLDER]", help="a submission, or a folder of records", show_default=True
        ),
    ] = PUBLISHED,
    published: Annotated[
        Path,
        typer.Option(
            help="the published records; only these may belong to an archived version of a suite"
        ),
    ] = PUBLISHED,
) -> None:
    """Check records against schema, digest, suite and quotas, and the methods' cards.

    Prints one line for each problem; exit status 1 if there is any. A missing track or shot count is no problem.
    """
    from metabench.leaderboard.records import find_records_folder, list_record_paths
    from metabench.leaderboard.submission.check import check_records

    console = make_console()
    count = 0
    for finding in check_records(folder, published=published):
        count += 1
        console.print(finding, soft_wrap=True, markup=False, highlight=False)
    if count:
        raise typer.Exit(1)
    console.print(f"{len(list_record_paths(find_records_folder(folder)))} records, nothing found")


@app.command()
def add(
    results: Annotated[
        Path,
        typer.Argument(metavar="RESULTS", help="a submission, a results folder, or one record"),
    ],
    records: Annotated[Path, typer.Option("--records", help="the published records")] = PUBLISHED,
    replace: Annotated[
        bool, typer.Option("--replace", help="let new records replace older ones")
    ] = False,
) -> None:
    """Check finished records and copy them into the leaderboard: all of them, or none if one has a problem."""
    from metabench.leaderboard.submission.add import add_records

    console = make_console()
    addition = add_records(results, records, replace=replace)
    for finding in addition.findings:
        console.print(finding, soft_wrap=True, markup=False, highlight=False)
    if addition.findings:
        raise typer.Exit(1)
    for name in addition.cards:
        console.print(f"with the card of {name}", soft_wrap=True, markup=False, highlight=False)
    console.print(
        f"{len(addition.added)} added to {records}, {len(addition.unchanged)} there already",
        soft_wrap=True,
    )


app.command("new-card")(submissions.new_card)
app.command()(submissions.submit)
app.command()(submissions.verify)


@app.command()
def fill(
    documents: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Markdown files with marks")
    ],
    leaderboard: Annotated[
        Path, typer.Option(help="the aggregates that `leaderboard build` wrote")
    ] = Path("leaderboard/leaderboard.json"),
) -> None:
    """Write published tables and scores into documents, between marks such as <!-- table: core cpu 8 -->."""
    from metabench.errors import DataError
    from metabench.leaderboard.export.document_tables import fill_document
    from metabench.leaderboard.records import load_leaderboard
    from metabench.system.writing import write_whole

    board = load_leaderboard(leaderboard)
    for path in documents:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: cannot be read: {error}; expected a Markdown file") from error
        filled = fill_document(text, board)
        if filled != text:
            write_whole(path, filled)
        typer.echo(f"{path}: {'as it was' if filled == text else 'written'}")


@app.command()
def export(
    form: Annotated[
        str,
        typer.Option(
            "--format", "-f", help="csv, json, latex, markdown, model-index or every-eval-ever"
        ),
    ] = "markdown",
    records: RecordFolders = None,
    suite: Annotated[str | None, typer.Option(help="only this suite")] = None,
    dataset: Annotated[str | None, typer.Option(help="only this dataset")] = None,
    method: Annotated[
        str | None, typer.Option(help="only this method, with all its variants")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="only this preset")] = None,
    split: Annotated[str | None, typer.Option(help="only this split")] = None,
    track: Annotated[str | None, typer.Option(help="only this track")] = None,
    shots: Annotated[int | None, typer.Option(help="only this number of shots")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "--out", "-o", help="a file (default: print)")
    ] = None,
) -> None:
    """Export the aggregates as CSV, JSON, LaTeX or Markdown."""
    from metabench.leaderboard.export.formats import export_entries, select_entries
    from metabench.leaderboard.records import read_folders
    from metabench.leaderboard.scores.aggregate import aggregate
    from metabench.system.writing import write_whole

    entries = aggregate(record for _, record in read_folders(records or [PUBLISHED]))
    entries = select_entries(
        entries,
        suite=suite,
        dataset=dataset,
        method=method,
        preset=preset,
        split=split,
        track=track,
        shots=shots,
    )
    text = export_entries(entries, form)
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_whole(output, text)
