"""`metabench suite`: make suites of what there is, and keep earlier versions of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metabench.cli.progress import watch_work

app = typer.Typer(
    no_args_is_help=True, help="Make suites from recorded data, and archive versions."
)


@app.callback()
def _suite() -> None:
    """Make suites from recorded data, and archive versions."""


@app.command("from-minari")
def from_minari(
    train: Annotated[
        list[str], typer.Argument(metavar="ID...", help="Minari ids of the training tasks' data")
    ],
    test: Annotated[
        list[str],
        typer.Option(
            "--test", metavar="ID", help="Minari id of a test task's data; may be repeated"
        ),
    ],
    name: Annotated[
        str | None, typer.Option(help="the suite's name (default: the namespace of the ids)")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="the folder to write (default: ./NAME)")] = None,
    horizon: Annotated[
        int | None,
        typer.Option(min=1, help="longer episodes are cut (default: the data's time limit)"),
    ] = None,
    hide: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY", help="leave out this entry of the observations; may be repeated"
        ),
    ] = None,
    environment: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="the Gymnasium id for tasks whose data name none, such as Hopper-v5"
        ),
    ] = None,
    download: Annotated[
        bool,
        typer.Option("--download", help="fetch missing or broken datasets (uses the network)"),
    ] = False,
) -> None:
    """Check that spaces and horizons of Minari datasets agree, and write a suite that has these datasets as tasks."""
    from metabench.data.foreign.suite_from_minari import suite_from_minari
    from metabench.errors import MetabenchError, NoEnvironmentError
    from metabench.suites import load_suite

    with watch_work("reading Minari datasets"):
        folder = suite_from_minari(
            train,
            test,
            name=name,
            out=out,
            horizon=horizon,
            hide=hide or (),
            environment=environment,
            download=download,
        )
    suite = load_suite(folder)
    dataset = next(iter(suite.entry.datasets))
    typer.echo(f"wrote {folder}: {len(suite.tasks)} tasks, horizon {suite.entry.horizon}")
    argument = folder if folder.is_absolute() else f"./{folder}"
    typer.echo(f"next: metabench data build {argument}")
    try:
        suite.check_available()
    except MetabenchError as error:
        typer.echo(f"methods can train on it and predict it, but not act in it: {error}")
        if not isinstance(error, NoEnvironmentError):  # with what is missing it can be
            return
        typer.echo(
            f"next: metabench run {argument} --dataset {dataset} --method kernel-model --preset tiny"
        )
        return
    typer.echo(
        f"next: metabench run {argument} --dataset {dataset} --method bc,prompt-dt --preset tiny"
    )


@app.command()
def archive(
    suite: Annotated[
        str, typer.Argument(metavar="SUITE", help="the suite's name, or its folder: ./my-suite")
    ],
) -> None:
    """Keep a suite's present definition as an earlier version and raise `version` in suite.toml.

    Its records stay readable, are scored by it and shown as archived. New records use the next version.
    """
    from metabench.suites import load_suite
    from metabench.suites.edit_toml import archive_suite_version

    loaded = load_suite(suite)
    typer.echo(f"kept {loaded.identity} as {archive_suite_version(loaded)}")
    typer.echo(
        f"{loaded.folder / 'suite.toml'}: version = {loaded.entry.version + 1}; now change the suite, then"
    )
    typer.echo(f"next: metabench data references {suite} --write")
    typer.echo(f"next: metabench data build {suite} --force --write-manifest")
