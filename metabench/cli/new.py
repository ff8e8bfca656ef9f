"""`metabench new`: begin a plugin."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(no_args_is_help=True, help="Start a plugin package.")

Folder = Annotated[Path | None, typer.Option(help="where to write it (default: ./NAME)")]


@app.callback()
def _new() -> None:
    """Start a plugin package."""


@app.command()
def method(
    name: Annotated[str, typer.Argument(help="the method's name: lower case, digits and hyphens")],
    folder: Folder = None,
    kind: Annotated[
        Literal["plain", "actor-critic"],
        typer.Option(
            help="plain: a small method with all its parts; actor-critic: only an encoder's loss, the rest is shared"
        ),
    ] = "plain",
) -> None:
    """Write a package with a working method. It installs, learns, and passes its check."""
    from metabench.methods.scaffold import write_plugin

    target = folder or Path(name)
    for path in write_plugin(name, target, kind):
        typer.echo(f"wrote {path}")
    typer.echo(f"next: pip install -e {target} && metabench check {name}")


@app.command()
def suite(
    name: Annotated[str, typer.Argument(help="the suite's name: lower case, digits and hyphens")],
    folder: Folder = None,
) -> None:
    """Write a package with a working suite: physics, teacher, tasks and data. It passes its check."""
    from metabench.suites.scaffold import write_suite_plugin

    target = folder or Path(name)
    for path in write_suite_plugin(name, target):
        typer.echo(f"wrote {path}")
    typer.echo(f"next: pip install -e {target} && metabench check {name}")
