"""`metabench run`: plan cells, run what is left of them, show the tables."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from metabench.cli.options import Device, DryRun, Results, Threads, Workers
from metabench.errors import CancelledError

if TYPE_CHECKING:
    from metabench.runs.cells import BuildProgress, PlannedCell
    from metabench.runs.local import Outcome


def run(
    suites: Annotated[list[str], typer.Argument(metavar="SUITE...", help="suites: names, or folders (./my-suite)")],
    dataset: Annotated[list[str], typer.Option("--dataset", "-d", help="datasets: medium,expert")],
    method: Annotated[
        list[str],
        typer.Option("--method", "-m", help="methods: bc,meta-dt,meta-dt/no_context or path/to/file.py:Class"),
    ],
    preset: Annotated[str, typer.Option(help="budget and size: tiny, demo, cpu, paper")] = "cpu",
    seeds: Annotated[str, typer.Option(help="how many (5) or which (0,3,4)")] = "1",
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="a configuration key; may be repeated")
    ] = None,
    track: Annotated[
        list[str] | None, typer.Option(help="only these tracks: zero-shot,few-shot,logged-shot (default: all)")
    ] = None,
    results: Results = Path("results"),
    workers: Workers = 1,
    threads: Threads = None,
    device: Device = "cpu",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="begin anew: forget records, checkpoints and trained policies")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Train and evaluate methods on suites; one record a cell.

    Finished cells are skipped, interrupted ones go on where they were.

    Exit status: 0 all is done, 1 a cell failed, 2 a name or value is wrong, 130 interrupted.
    """
    from metabench.runs.arguments import read_names, read_overrides, read_seeds
    from metabench.runs.cells import plan_cells

    def plan(build: bool, check: Callable[[], None], progress: BuildProgress) -> Sequence[PlannedCell]:
        return plan_cells(
            read_names(suites),
            read_names(dataset),
            read_names(method),
            preset=preset,
            seeds=read_seeds(seeds),
            overrides=read_overrides(set_ or []),
            tracks=None if track is None else read_names(track),
            results=results,
            overwrite=overwrite,
            build=build,
            check=check,
            progress=progress,
        )

    run_planned(plan, workers=workers, threads=threads, device=device, dry_run=dry_run, overwrite=overwrite)


def run_planned(
    plan: Callable[[bool, Callable[[], None], BuildProgress], Sequence[PlannedCell]],
    *,
    workers: int,
    threads: int | None,
    device: str,
    dry_run: bool,
    overwrite: bool = False,
) -> None:
    """Run what `plan` plans and show the tables.

    Args:
        plan: plans the cells; it is told whether to build missing data, a check to make before building, and whom to
            tell how far a build is.
        workers: cells at once.
        threads: threads a worker; None shares the cores out.
        device: where to train.
        dry_run: only show the plan.
        overwrite: forget what earlier runs left.
    """
    from metabench.runs.display import make_display
    from metabench.runs.execute import Settings
    from metabench.runs.interrupt import interruptible
    from metabench.runs.local import check_device, run_cells

    console = Console()
    settings = Settings(
        device=device,
        threads=threads or max(1, (os.cpu_count() or 1) // workers),
        overwrite=overwrite,
        command=shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    )
    planned: Sequence[PlannedCell] = ()
    with make_display(console, lambda: planned) as display:
        planned = plan(not dry_run, lambda: check_device(device), display.building)
        if dry_run:
            _show_plan(planned, console)
            return
        for warning in dict.fromkeys(warning for cell in planned for warning in cell.warnings):
            _say(f"warning: {warning}")
        with interruptible(lambda: _say("stopping; once more to stop at once")) as cancelled:
            outcome = run_cells(planned, settings, workers=workers, listener=display.hear, cancelled=cancelled)
    _show_outcome(planned, outcome, console)
    if outcome.stopped:
        raise CancelledError(f"the same command {'without --overwrite ' * overwrite}goes on from here")
    if outcome.failed:
        raise typer.Exit(1)


def _show_plan(planned: Sequence[PlannedCell], console: Console) -> None:
    for cell in planned:
        note = f" ({cell.note})" if cell.note else ""
        console.print(f"{cell.state:8} {cell.record_path}{note}", markup=False, highlight=False, soft_wrap=True)
    _say_counts({state: sum(cell.state == state for cell in planned) for state in ("waiting", "finished", "corrupt")})


def _show_outcome(planned: Sequence[PlannedCell], outcome: Outcome, console: Console) -> None:
    from metabench.cli.tables import print_tables
    from metabench.leaderboard.aggregate import aggregate
    from metabench.leaderboard.completeness import SuiteShelf
    from metabench.runs.record import read_record
    from metabench.suites import load_suite

    done = sorted({*outcome.finished, *outcome.skipped})
    if done:
        shelf = SuiteShelf(load_suite(folder) for folder in {planned[index].suite_folder for index in done})
        print_tables(aggregate((read_record(planned[index].record_path) for index in done), shelf), console)
    for index in outcome.failed:
        cell = planned[index]
        place = cell.record_path if cell.state == "corrupt" else cell.failure_path
        _say(f"failed: {cell.label}; see {place}")
    _say_counts(
        {
            "done": len(outcome.finished),
            "skipped": len(outcome.skipped),
            "failed": len(outcome.failed),
            "stopped": len(outcome.stopped),
        }
    )


def _say_counts(counts: dict[str, int]) -> None:
    typer.echo("cells: " + ", ".join(f"{count} {what}" for what, count in counts.items()))


def _say(line: str) -> None:
    typer.echo(line, err=True)
