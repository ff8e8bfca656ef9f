"""`metabench run`: plan cells, run what is left of them, show the tables."""

from __future__ import annotations

import itertools
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metabench.cli.options import (
    BUSY,
    Device,
    DryRun,
    Isolate,
    MemoryLimit,
    Results,
    Threads,
    TimeLimit,
    warn_of_gaps,
)
from metabench.cli.output import make_console
from metabench.cli.run_tables import print_note, show_outcome, show_plan
from metabench.errors import CancelledError, MetabenchError

if TYPE_CHECKING:
    from metabench.runs.planned_cell import PlannedCell


_FOLDERS = re.compile(r"""(^|[=,"'\[ ])~?/(?:[^/,:="']*/)*""")
"""The folders of a whole path: `/home/me/` of `/home/me/mine.py:Mine/variant`."""


def run(
    suites: Annotated[
        list[str],
        typer.Argument(
            metavar="SUITE...",
            help="suites: names, or folders (./my-suite); or one sweep file (FILE.toml)",
        ),
    ],
    dataset: Annotated[
        list[str] | None,
        typer.Option("--dataset", "-d", help="datasets: medium,expert (default: medium)"),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method", "-m", help="methods: bc,meta-dt,meta-dt/no_context or path/to/file.py:Class"
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="budget and size: tiny, demo, cpu, long, paper (default: cpu)"),
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(help="a number of seeds (5) or a list (0,3,4) (default: 1)")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="a configuration key; may be repeated"),
    ] = None,
    track: Annotated[
        list[str] | None,
        typer.Option(
            help="only these tracks: zero-shot,few-shot,logged-shot,prediction (default: all)"
        ),
    ] = None,
    split: Annotated[
        list[str] | None,
        typer.Option(
            help="only these splits: test,test-far; or validation alone, to choose a configuration (never ranked) "
            "(default: all that are ranked)"
        ),
    ] = None,
    results: Results = Path("results"),
    executor: Annotated[
        str,
        typer.Option(
            help="who runs the cells: local (processes here), ray or slurm (shared folders, many machines)"
        ),
    ] = "local",
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="cells at once, each in its own process (default: 1; ray, slurm: all that fit)",
        ),
    ] = None,
    threads: Threads = None,
    device: Device = "cpu",
    cells_per_gpu: Annotated[
        int | None,
        typer.Option(
            min=1, help="with --device cuda: use all GPUs, with this number of cells on each"
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            help="ray: the cluster's head, HOST:PORT (default: $RAY_ADDRESS, or Ray on this machine)"
        ),
    ] = None,
    slurm: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="slurm: an option of sbatch: partition=gpu, mem=8G, time=MINUTES",
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="start again and ignore checkpoints; records and policies stay until the new ones exist",
        ),
    ] = False,
    isolate: Isolate = False,
    time_limit: TimeLimit = None,
    memory_limit: MemoryLimit = None,
    tensorboard: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="write training curves and scores for TensorBoard into this folder",
        ),
    ] = None,
    wait: Annotated[
        bool,
        typer.Option("--wait", help="wait until other processes finish the cells that they run"),
    ] = False,
    dry_run: DryRun = False,
) -> None:
    r"""Train and evaluate methods on suites. Each cell writes one record.

    Finished cells are skipped, and interrupted cells continue where they were. `metabench status` shows their progress.
    A cell that exceeds its limits is ended and fails. If you run it again, its time counts from zero.
    If a method's code cannot be imported, the method is left out, and the others run.
    With ray and slurm, all machines must see --results and $METABENCH_HOME under the same paths.

    A sweep file (metabench run FILE.toml) lists the cells in parts. The parts run in their order:

    tracks = ["zero-shot"]                    # optional, of all parts

    [\[part]]                                  # as many as you like
    suites = ["point-robot", "./my-suite"]    # paths are relative to the file
    datasets = ["medium"]                     # the default
    methods = ["bc", "my_method.py:MyMethod"]
    seeds = 3                                 # a number, or a list: [0, 3]
    preset = "cpu"                            # or several: ["tiny", "cpu"]
    overrides = { width = 64 }                # configuration keys and values
    grid = { learning_rate = [0.001, 0.01] }  # every combination of these

    Exit status: 0 all cells are done, 1 a cell failed, 2 a name or value is wrong or a method was left out, 3 another
    process runs some cells, 130 stopped.
    """
    from metabench.cli.arguments import read_names, read_overrides, read_seeds
    from metabench.cli.interrupt import catch_interrupt
    from metabench.cli.run_display import make_display
    from metabench.runs.executors.choice import choose_executor
    from metabench.runs.executors.run_cells import run_cells
    from metabench.runs.isolation.limits import read_limits
    from metabench.runs.plan import plan_cells
    from metabench.runs.prepare import prepare_data
    from metabench.runs.request import RunRequest
    from metabench.runs.run import make_settings
    from metabench.runs.sweep import is_sweep_file, plan_sweep, read_sweep
    from metabench.runs.tensorboard import check_tensorboard

    sweep = None
    if any(is_sweep_file(name) for name in suites):
        _check_sweep_alone(suites, dataset, method, preset, seeds, set_, track)
        sweep = read_sweep(Path(suites[0]))
    else:
        _check_methods_given(method)
    request = RunRequest(
        suites=read_names(suites, "SUITE"),
        datasets=read_names(dataset or ["medium"], "--dataset"),
        methods=read_names(method or [], "--method"),
        preset=preset or "cpu",
        seeds=read_seeds(seeds or "1"),
        overrides=read_overrides(set_ or []),
        tracks=None if track is None else read_names(track, "--track"),
        splits=None if split is None else read_names(split, "--split"),
        results=results,
        overwrite=overwrite,
        executor=executor,
        workers=workers,
        cells_per_gpu=cells_per_gpu,
        address=address,
        slurm=read_overrides(slurm or [], "--slurm"),
        device=device,
        threads=threads,
        isolate=isolate,
        limits=read_limits(time_limit, memory_limit),
        tensorboard=tensorboard,
        wait=wait,
        command=record_command(sys.argv),
    )
    engine = choose_executor(request)

    left_out: dict[str, str] = {}

    def leave_out(method: str, error: MetabenchError) -> None:
        if method not in left_out:
            left_out[method] = " ".join(str(error).split())
            print_note(f"error: {left_out[method]}")

    def plan() -> Sequence[PlannedCell]:
        if sweep is not None:
            return plan_sweep(sweep, request, leave_out)
        return plan_cells(request, leave_out)

    console = make_console()
    planned = plan()
    if left_out and not planned:
        raise typer.Exit(2)
    settings = make_settings(request, engine, planned)
    engine.check(settings)
    if tensorboard is not None:
        check_tensorboard()
    if dry_run:
        show_plan(planned, results, workers or 1, console)
        raise typer.Exit(2 if left_out else 0)
    with make_display(console, lambda: planned) as display:
        if prepare_data(planned, display.show_building):
            planned = plan()
        for warning in dict.fromkeys(warning for cell in planned for warning in cell.warnings):
            print_note(f"warning: {warning}")
        for cell in planned:
            if cell.state == "waiting" and cell.note:
                print_note(f"{cell.label}: {cell.note}")
        if isolate:
            warn_of_gaps()
        with catch_interrupt(
            lambda: print_note("stopping; press Ctrl-C again to stop at once")
        ) as cancelled:
            outcome = run_cells(
                planned, settings, executor=engine, listener=display.hear, cancelled=cancelled
            )
    show_outcome(planned, outcome, tensorboard, console)
    if outcome.stopped:
        command = "the same command without --overwrite" if overwrite else "the same command"
        raise CancelledError(f"{command} continues from here")
    if outcome.failed:
        raise typer.Exit(1)
    if left_out or outcome.busy:
        raise typer.Exit(2 if left_out else BUSY)


def _check_methods_given(method: list[str] | None) -> None:
    """Suites need methods beside them; what there is is told."""
    from metabench.methods.registry import list_methods

    if not method:
        raise MetabenchError(
            "--method: expected at least one name (or a sweep file in place of the suites): "
            f"{', '.join(list_methods())} or path/to/file.py:Class"
        )


def _check_sweep_alone(suites: Sequence[str], *options: object) -> None:
    """A sweep file says itself what these options say."""
    names = ("--dataset", "--method", "--preset", "--seeds", "--set", "--track")
    if len(suites) > 1:
        raise MetabenchError(
            f"expected one sweep file or names of suites, found {' '.join(suites)}"
        )
    for name, value in zip(names, options, strict=True):
        if value is not None:
            raise MetabenchError(
                f"{name} is for suites; the sweep file {suites[0]} already says what to run"
            )


def record_command(arguments: Sequence[str]) -> str:
    """What was typed, for the record, without the folder of the results and other places on this machine."""
    kept = [Path(arguments[0]).name]
    for before, word in itertools.pairwise(arguments):
        if "--results" not in (before, word) and not word.startswith("--results="):
            kept.append(word)
    return shlex.join(_FOLDERS.sub(r"\1", word) for word in kept)
