"""Verbs of submissions: an outsider collects records and a card, a maintainer measures them again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metabench.cli.options import warn_of_gaps
from metabench.cli.output import make_console
from metabench.errors import DataError


def new_card(
    name: Annotated[
        str, typer.Argument(metavar="METHOD", help="the method's name, without variant")
    ],
    output: Annotated[Path, typer.Option("--output", "--out", "-o", help="the file")] = Path(
        "card.toml"
    ),
) -> None:
    """Write a method card for you to fill in: who made the method, where it is, what it was given."""
    from metabench.leaderboard.method_card import make_card_template
    from metabench.system.writing import write_whole

    if output.exists():
        raise DataError(f"{output}: exists already; --output names another file")
    write_whole(output, make_card_template(name))
    typer.echo(
        f"{output}: fill it in, then: metabench leaderboard submit RESULTS --card {output} --out FOLDER"
    )


def submit(
    results: Annotated[
        Path, typer.Argument(metavar="RESULTS", help="a results folder, or one record")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="the folder to make")],
    card: Annotated[
        list[Path] | None, typer.Option(help="the method's card; may be repeated for other methods")
    ] = None,
    checkpoints: Annotated[
        bool,
        typer.Option(
            "--checkpoints", help="include the saved policies; others can then verify the rows"
        ),
    ] = False,
    policies: Annotated[
        Path | None,
        typer.Option(help="their folder, with the records' paths (default: where runs keep them)"),
    ] = None,
) -> None:
    """Check records, cards and policies, and collect them in a folder for a pull request."""
    from metabench.leaderboard.submission.bundle import make_submission

    console = make_console()
    made = make_submission(results, card or [], out, with_policies=checkpoints, policies=policies)
    for line in (*made.findings, *(f"not there: {text}" for text in made.missing)):
        console.print(line, soft_wrap=True, markup=False, highlight=False)
    if made.findings:
        raise typer.Exit(1)
    if made.left_out:
        console.print(
            f"left out, because they have no card here: {', '.join(made.left_out)}",
            soft_wrap=True,
            markup=False,
        )
    console.print(f"{made.records} records -> {out}", soft_wrap=True, markup=False, highlight=False)


def verify(
    records: Annotated[
        Path, typer.Argument(metavar="RECORD|FOLDER", help="a record, a submission, or a folder")
    ],
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="a saved policy, or a folder of policies (default: the submission's, or where runs keep them)"
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="path/to/file.py:Class, for a method that is not installed under its name"
        ),
    ] = None,
    retrain: Annotated[
        bool, typer.Option("--retrain", help="repeat the training instead of reading a policy")
    ] = False,
    device: Annotated[
        str | None, typer.Option(help="where to train (default: as the record)")
    ] = None,
    fresh_tasks: Annotated[
        int | None,
        typer.Option(
            metavar="SEED",
            min=0,
            help="score it in moved and fresh tasks of the suite's distribution as well",
        ),
    ] = None,
    isolate: Annotated[
        bool,
        typer.Option("--isolate/--no-isolate", help="let the policy act in a separate process"),
    ] = True,
) -> None:
    """Re-evaluate records: one line for each comparison; exit status 1 if one differs or cannot be tested.

    With the same machine type, threads and versions as the record, the rows
    must be equal. Otherwise they may differ within the interval of the mean difference.

    The command runs the code of the method that you name here, or that is
    installed under the record's name. It never runs code of a submission.
    """
    from metabench.cli.progress import show_progress
    from metabench.leaderboard.submission.verify import Verifier

    console = make_console()
    if isolate:
        warn_of_gaps()
    agreed = True
    with show_progress(console, "measuring") as progress:
        verifier = Verifier(
            checkpoint, method, isolate, retrain, device, fresh_tasks, progress=progress
        )
        for found in verifier.verify(records):
            agreed &= found.agrees
            console.print(
                f"{found.path}: {found.rule}", soft_wrap=True, markup=False, highlight=False
            )
            for verdict in found.verdicts:
                word = {True: "agrees", False: "DIFFERS", None: "unknown"}[verdict.agrees]
                line = f"  {word:<7}  {verdict.subject}: {verdict.text}"
                console.print(line, soft_wrap=True, markup=False, highlight=False)
    if not agreed:
        raise typer.Exit(1)
