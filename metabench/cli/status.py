"""`metabench status`: which cells are done, running, failed and left."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from metabench.cli.output import make_console
from metabench.errors import MetabenchError

if TYPE_CHECKING:
    from metabench.runs.status import CellStatus


def status(
    target: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RESULTS|SWEEP.toml]",
            help="a results folder, or a sweep file (default: results)",
        ),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(help="the results folder; with a sweep file: the folder that it fills"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print every cell as JSON")] = False,
) -> None:
    """Show the state of cells; any number of machines may be running them.

    A results folder shows the cells that have begun. Only a sweep file shows which are left.
    """
    from metabench.runs.request import RunRequest
    from metabench.runs.status import inspect_planned_cells, inspect_results
    from metabench.runs.sweep import is_sweep_file, plan_sweep, read_sweep

    if target is not None and is_sweep_file(target.name):
        request = RunRequest([], [], [], results=results or Path("results"))
        cells = inspect_planned_cells(plan_sweep(read_sweep(target), request))
    elif target is not None and results is not None:
        raise MetabenchError(
            f"two results folders, {target} and --results {results}; expected one, or a sweep file (sweep.toml)"
        )
    else:
        cells = inspect_results(target or results or Path("results"))
    if as_json:
        typer.echo(json.dumps([_plain(cell) for cell in cells]))
    else:
        _show(cells, make_console())


def _show(cells: Sequence[CellStatus], console: Console) -> None:
    from metabench.runs.estimate import duration
    from metabench.runs.status import STATES

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("cells", overflow="fold")
    shown = [state for state in STATES if any(cell.state == state for cell in cells)]
    for state in shown:
        table.add_column(state, justify="right")
    table.add_column("time", justify="right", no_wrap=True)
    groups: dict[str, list[CellStatus]] = {}
    for cell in cells:
        groups.setdefault(cell.label.rpartition(" seed ")[0], []).append(cell)
    for label, members in groups.items():
        counts = [sum(cell.state == state for cell in members) for state in shown]
        seconds = sum(cell.seconds for cell in members)
        table.add_row(escape(label), *(str(count or "") for count in counts), duration(seconds))
    if cells:
        console.print(table)
    for cell in cells:
        line = _line(cell)
        if line:
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    words = (
        ", ".join(f"{sum(cell.state == state for cell in cells)} {state}" for state in shown)
        or "none"
    )
    typer.echo(f"cells: {words}; {duration(sum(cell.seconds for cell in cells))} so far")


def _line(cell: CellStatus) -> str:
    """What there is to say of a single cell; nothing of those that are done or left."""
    from metabench.runs.estimate import duration

    if cell.state in ("failed", "corrupt"):
        return f"{cell.state} {cell.label}: {cell.reason}"
    if cell.progress is None:
        return ""
    progress = cell.progress
    place = f", {progress.done} of {progress.total}" if progress.total else ""
    metrics = "".join(f", {name} {value:.4g}" for name, value in list(progress.metrics.items())[:3])
    ago = duration(max(0.0, time.time() - progress.updated))
    where = f"on {progress.host}, " if cell.state == "running" else ""
    return (
        f"{cell.state} {cell.label}: {progress.stage}{place}{metrics}; "
        f"{where}{duration(cell.seconds)} so far, last heard of {ago} ago"
    )


def _plain(cell: CellStatus) -> dict[str, object]:
    return {
        "cell": cell.label,
        "state": cell.state,
        "record": str(cell.record),
        "seconds": cell.seconds,
        "reason": cell.reason,
        "progress": None
        if cell.progress is None
        else cell.progress.model_dump(mode="json", exclude={"cell"}),
    }
