"""`metabench new`: begin a plugin."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Begin a plugin package.")


@app.callback()
def _new() -> None:
    """Begin a plugin package."""


@app.command()
def method(
    name: Annotated[str, typer.Argument(help="the method's name: lower case, digits and hyphens")],
    folder: Annotated[Path | None, typer.Option(help="where to write it  [default: ./NAME]")] = None,
) -> None:
    """Write a working method as a package of its own: it installs, learns, and passes its check."""
    from metabench.methods.scaffold import write_plugin

    target = folder or Path(name)
    for path in write_plugin(name, target):
        typer.echo(f"wrote {path}")
    typer.echo(f"next: pip install -e {target} && metabench check {name}")
