"""`metabench teacher`: train the teachers that data is made from, and choose their behaviours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from metabench.suites import load_suite

app = typer.Typer(
    no_args_is_help=True,
    help="Train a suite's teacher, install its behaviours, weaken scripted ones.",
)


@app.command()
def train(
    suite: Annotated[
        str,
        typer.Argument(help="a suite of a MuJoCo family; with --blind of any that has a simulator"),
    ],
    out: Annotated[Path, typer.Option(help="folder for checkpoints and the learning curve")],
    steps: Annotated[int, typer.Option(min=1, help="environment steps")] = 10_000_000,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    blind: Annotated[
        bool,
        typer.Option(
            "--blind", help="tell it neither task nor past: what the task is worth is above it"
        ),
    ] = False,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="another setting; may be repeated"),
    ] = None,
) -> None:
    """Train a policy that is told the task, or a blind one, by PPO in the suite's simulator; minutes to an hour."""
    from pydantic import ValidationError

    from metabench.errors import MetabenchError, UnknownNameError, first_problem
    from metabench.teachers.ppo import TeacherConfig
    from metabench.teachers.train import train_teacher

    values = dict(pair.partition("=")[::2] for pair in setting or [])
    for key in values:
        if key not in TeacherConfig.model_fields:
            raise UnknownNameError("setting", key, TeacherConfig.model_fields)
    try:
        config = TeacherConfig.model_validate(
            {**values, "steps": steps, "seed": seed, "blind": blind}
        )
    except ValidationError as error:
        raise MetabenchError(f"--set {first_problem(error)}") from error
    console = Console()

    def progress(row: dict[str, float]) -> None:
        console.print(
            f"{row['steps'] / 1e6:8.2f} M steps  {row['seconds']:6.0f} s  return {row['mean_return']:8.1f}  "
            f"noise {row['deviation']:.2f}"
        )

    train_teacher(load_suite(suite), config, out, progress)
    following = "judge" if blind else "install"
    console.print(f"next: metabench teacher {following} {suite} {out}", soft_wrap=True)


@app.command()
def judge(
    suite: Annotated[str, typer.Argument(help="the suite that was trained in")],
    folder: Annotated[Path, typer.Argument(help="the folder of a blind training")],
    episodes: Annotated[int, typer.Option(min=1, help="episodes a task")] = 20,
) -> None:
    """Score the best blind policy of a training, split by split: 100 minus its score is the suite's headroom."""
    from metabench.teachers.blind import choose_blind, score_blind

    loaded = load_suite(suite)
    path, network = choose_blind(loaded, folder, episodes)
    table = Table("split", "score of the blind policy", "headroom", title=str(path))
    for split in loaded.splits:
        score = score_blind(loaded, network, split, episodes)
        table.add_row(split, f"{score:.1f}", f"{100.0 - score:.1f}")
    Console().print(table)


@app.command()
def install(
    suite: Annotated[str, typer.Argument(help="the suite that was trained in")],
    folder: Annotated[Path, typer.Argument(help="the training's folder")],
    episodes: Annotated[
        int, typer.Option(min=1, help="episodes a task that each checkpoint is judged by")
    ] = 4,
) -> None:
    """For maintainers: judge all checkpoints, write the best as expert and weaker ones as the other behaviours."""
    from metabench.teachers.select import choose_behaviours, install_behaviours

    loaded = load_suite(suite)
    behaviours = choose_behaviours(loaded, folder, episodes)
    install_behaviours(loaded, behaviours)
    table = Table("behaviour", "checkpoint at", "noise", "mean return", "normalised")
    for behaviour in behaviours:
        steps = f"{int(behaviour.checkpoint.stem):,} steps"
        numbers = (f"{behaviour.noise:g}", f"{behaviour.mean_return:.1f}", f"{behaviour.score:.1f}")
        table.add_row(behaviour.name, steps, *numbers)
    console = Console()
    console.print(table)
    console.print(
        f"next: metabench data references {suite} --write && metabench data build {suite} --write-manifest",
        soft_wrap=True,
    )


@app.command()
def calibrate(
    suite: Annotated[
        str, typer.Argument(help="a suite of the Meta-World family, with measured references")
    ],
    episodes: Annotated[int, typer.Option(min=1, help="episodes a task and round")] = 8,
) -> None:
    """For maintainers: find how wrong the scripted teacher's medium must be to score 50, and write it."""
    from metabench.teachers.calibrate import calibrate_medium, install_calibration

    loaded = load_suite(suite)
    found = calibrate_medium(loaded, episodes)
    table = Table("environment", "deviation of error, m", "normalised")
    for each in found:
        table.add_row(each.environment, f"{each.deviation:g}", f"{each.score:.1f}")
    console = Console()
    console.print(table)
    path = install_calibration(loaded, found)
    console.print(
        f"wrote {path}; next: metabench data build {suite} --write-manifest", soft_wrap=True
    )
