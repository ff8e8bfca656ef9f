"""`metabench reproduce`: repeat a paper's experiment, with the published numbers beside ours."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from metabench.cli.options import Device, Threads
from metabench.cli.output import make_console

app = typer.Typer(add_completion=False)

LOGGED_WIDTH = 400
"""Characters that a table may be wide where no terminal folds it."""


@app.command(
    "reproduce",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog="Every key of the experiment is an option: --seeds 5. With --keys they are listed.",
)
def reproduce(
    context: typer.Context,
    paper: Annotated[
        str, typer.Argument(help="a paper: oswm, twm, meta-dt; or a method with an experiment")
    ],
    out: Annotated[
        Path | None, typer.Option(help="folder for the rows (default: reproduced/PAPER)")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="the first seed")] = 0,
    threads: Threads = None,
    device: Device = "cpu",
    keys: Annotated[
        bool, typer.Option("--keys", help="list the experiment's keys and run nothing")
    ] = False,
) -> None:
    """Repeat a paper's experiment. A stopped run continues.

    Exit status: 0 done, 2 a name or value is wrong, 130 interrupted.
    """
    from metabench.cli.arguments import read_options
    from metabench.cli.interrupt import catch_interrupt
    from metabench.cli.progress import show_training_progress
    from metabench.runs import pretraining
    from metabench.runs.executors.local import check_device

    console = make_console()
    found, config = pretraining.reproduction_of(paper, read_options(context.args))
    if keys:
        table = Table("key", "default", "what it is")
        for key, field in type(config).model_fields.items():
            table.add_row(
                key.replace("_", "-"), f"{getattr(type(config)(), key)}", field.description
            )
        console.print(table)
        return
    check_device(device)
    name = found.name if ".py:" in paper else paper
    folder = out or Path("reproduced") / name
    with show_training_progress(console, name) as progress, catch_interrupt() as cancelled:
        rows = pretraining.reproduce(
            found,
            config,
            folder,
            seed=seed,
            device=device,
            threads=threads or os.cpu_count() or 1,
            progress=progress,
            cancelled=cancelled,
        )
    for kind in dict.fromkeys(tuple(row) for row in rows):  # rows of equal columns share a table
        _print_rows([row for row in rows if tuple(row) == kind], console)
    console.print(f"wrote {folder / pretraining.ROWS}", soft_wrap=True, highlight=False)


def _print_rows(rows: Sequence[Mapping[str, object]], console: Console) -> None:
    """A table of what differs from row to row; what is the same in all stands below."""
    same = {
        name: value for name, value in rows[0].items() if all(row[name] == value for row in rows)
    }
    if len(rows) == 1:  # of which everything is the same: only what it lacks is left out
        same = {name: value for name, value in same.items() if value is None}
    told = [name for name in rows[0] if name not in same]
    shared = [(name, value) for name, value in same.items() if value is not None]
    common = ", ".join(f"{name.replace('_', ' ')} {_format_value(value)}" for name, value in shared)
    table = Table(
        *(name.replace("_", " ") for name in told), caption=f"all: {common}" if common else None
    )
    for row in rows:
        table.add_row(*(_format_value(row[name]) for name in told))
    screen = console if console.is_terminal else Console(width=LOGGED_WIDTH)
    screen.print(table)


def _format_value(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
