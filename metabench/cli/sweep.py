"""`metabench sweep`: run the cells of a sweep file, in its order."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metabench.cli.options import Device, DryRun, Results, Threads, Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from metabench.runs.cells import BuildProgress, PlannedCell


def sweep(
    file: Annotated[Path, typer.Argument(help="a TOML file with [[part]]: suites, datasets, methods, seeds, preset")],
    results: Results = Path("results"),
    workers: Workers = 1,
    threads: Threads = None,
    device: Device = "cpu",
    dry_run: DryRun = False,
) -> None:
    """Run the cells of a sweep file, part by part; finished ones are skipped, interrupted ones go on.

    All parts are checked first; a part's data is built when its turn comes.
    """
    from metabench.cli.run import run_planned
    from metabench.runs.cells import plan_cells
    from metabench.runs.sweep import SweepPart, read_sweep

    def planner(part: SweepPart) -> Callable[[bool, Callable[[], None], BuildProgress | None], Sequence[PlannedCell]]:
        return lambda build, check, progress: plan_cells(
            part.suites,
            part.datasets,
            part.methods,
            preset=part.preset,
            seeds=part.seeds,
            overrides=part.overrides,
            results=results,
            build=build,
            check=check,
            progress=progress,
        )

    plans = [planner(part) for part in read_sweep(file).part]
    for plan in plans:
        plan(False, lambda: None, None)
    failed = False
    for plan in plans:
        try:
            run_planned(plan, workers=workers, threads=threads, device=device, dry_run=dry_run)
        except typer.Exit:
            failed = True
    if failed:
        raise typer.Exit(1)
