"""`metabench data import`: other people's files as Minari datasets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from metabench.cli.output import make_console
from metabench.cli.progress import watch_work

if TYPE_CHECKING:
    from metabench.data.foreign.write_minari import Imported

app = typer.Typer(
    no_args_is_help=True, help="Import other people's files as Minari datasets, one for each task."
)

SuiteOfData: TypeAlias = Annotated[
    str,
    typer.Option(
        "--suite", help="the suite that the data belong to; an existing suite must fit the data"
    ),
]
Horizon: TypeAlias = Annotated[
    int | None,
    typer.Option(min=1, help="the largest number of steps of an episode (default: the suite's)"),
]
MinariId: TypeAlias = Annotated[
    str | None,
    typer.Option("--id", help="the Minari id (default: SUITE/task-{task}-v0)", show_default=False),
]
ActionBound: TypeAlias = Annotated[
    float | None,
    typer.Option(help="continuous actions lie within ± this (default: the suite's bounds, or 1)"),
]
NumActions: TypeAlias = Annotated[
    int | None, typer.Option(min=1, help="the number of discrete actions (default: the suite's)")
]
Environment: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="ID",
        help="the Gymnasium id of the logged environment, such as Hopper-v5; its time limit is the horizon",
    ),
]
KeepLast: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--keep-last",
        help="keep an episode's last step, although the file has no observation after it: repeat the last observation",
    ),
]
Force: TypeAlias = Annotated[bool, typer.Option("--force", help="replace existing data")]


@app.command()
def d4rl(
    file: Annotated[
        Path, typer.Argument(help="the HDF5 file; also looked for in $D4RL_DATASET_DIR")
    ],
    suite: SuiteOfData,
    task: Annotated[int, typer.Option(min=0, help="the task's id in the suite")],
    horizon: Horizon = None,
    environment: Environment = None,
    dataset_id: MinariId = None,
    action_bound: ActionBound = None,
    num_actions: NumActions = None,
    keep_last: KeepLast = False,
    sha256: Annotated[
        str | None, typer.Option(help="the file's expected hash, checked first")
    ] = None,
    force: Force = False,
) -> None:
    """Import a D4RL HDF5 file as the data of one task."""
    from metabench.data.foreign.d4rl import import_d4rl
    from metabench.data.foreign.options import ImportOptions

    options = ImportOptions(
        suite,
        horizon,
        dataset_id,
        action_bound,
        num_actions,
        keep_last,
        force,
        environment=environment,
    )
    with watch_work(file.name) as progress:
        imported = import_d4rl(file, task, options, sha256=sha256, progress=progress)
    _print_imported([imported])


@app.command("meta-dt")
def meta_dt(
    folder: Annotated[Path, typer.Argument(help="the folder of dataset_task_<i>.pkl")],
    suite: SuiteOfData,
    horizon: Horizon = None,
    dataset_id: MinariId = None,
    action_bound: ActionBound = None,
    num_actions: NumActions = None,
    keep_last: KeepLast = False,
    action_scale: Annotated[
        float, typer.Option(help="factor that converts the actions to the suite's units")
    ] = 1.0,
    dataset: Annotated[
        str, typer.Option(help="name of the dataset, if the suite exists")
    ] = "released",
    force: Force = False,
) -> None:
    """Import the Meta-DT group's released pickles, one for each task: all of them, or none.

    If the suite exists, they become a dataset of it, and every method can train on it. First its simulator repeats
    the logged actions, and must give the logged observations and rewards.
    """
    from metabench.data.foreign.meta_dt import import_meta_dt
    from metabench.data.foreign.options import ImportOptions
    from metabench.suites import list_suites

    options = ImportOptions(
        suite,
        horizon,
        dataset_id,
        action_bound,
        num_actions,
        keep_last,
        force,
        action_scale,
        dataset,
    )
    with watch_work(folder.name) as progress:
        imported = import_meta_dt(folder, options, progress=progress)
    if suite in list_suites():
        _print_own_dataset(suite, dataset, imported)
    else:
        _print_imported(imported)


def _print_own_dataset(suite: str, dataset: str, imported: Sequence[Imported]) -> None:
    from metabench.data.load import read_dataset_identity
    from metabench.suites import load_suite

    loaded = load_suite(suite)
    identity = read_dataset_identity(loaded, dataset)
    episodes, steps = sum(each.episodes for each in imported), sum(each.steps for each in imported)
    low = min(each.returns[0] for each in imported)
    mean = sum(each.returns[1] * each.episodes for each in imported) / episodes
    high = max(each.returns[2] for each in imported)
    splits = ", ".join(loaded.dataset(dataset).splits)
    make_console().print(
        f"[green]imported[/] {dataset} of {loaded.identity} ({splits}): {len(imported)} tasks, {episodes} episodes, "
        f"{steps} steps, returns {low:.2f} to {high:.2f}, mean {mean:.2f}, {identity.digest}",
        soft_wrap=True,
        highlight=False,
    )
    make_console().print(
        f"next: metabench run {suite} --dataset {dataset} --method meta-dt",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )


def _print_imported(imported: Sequence[Imported]) -> None:
    console = make_console()
    for each in imported:
        low, mean, high = each.returns
        dropped = (
            f" ({each.dropped} dropped: the observation after them is unknown)"
            if each.dropped
            else ""
        )
        console.print(
            f"[green]imported[/] {each.dataset_id}: {each.episodes} episodes of at most {each.horizon} steps, "
            f"{each.steps} steps{dropped}, returns {low:.2f} to {high:.2f}, mean {mean:.2f}",
            soft_wrap=True,
            highlight=False,
        )
    # A suite needs a test task: the last of them is proposed, and with one alone another id must be filled in.
    *others, last = (each.dataset_id for each in imported)
    train, test = (" ".join(others), last) if others else (f"{last} ID", "ID")
    console.print(
        f"next: metabench suite from-minari {train} --test {test}",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )
