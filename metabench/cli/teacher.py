"""`metabench teacher`: train the teachers that data is made from, and choose their behaviours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from metabench.cli.output import make_console
from metabench.suites import Suite, load_suite

app = typer.Typer(
    no_args_is_help=True,
    help="Train and install a suite's teacher and blind policy; weaken scripted teachers.",
)


@app.command()
def train(
    suite: Annotated[
        str,
        typer.Argument(help="a suite of a MuJoCo family; with --blind any suite with a simulator"),
    ],
    out: Annotated[Path, typer.Option(help="folder for checkpoints and the learning curve")],
    steps: Annotated[int, typer.Option(min=1, help="environment steps")] = 10_000_000,
    seed: Annotated[int, typer.Option(min=0, help="of all random numbers")] = 0,
    blind: Annotated[
        bool,
        typer.Option(
            "--blind",
            help="train the blind policy instead: it is told neither task nor past. Not for suites "
            "whose blind policy is a script",
        ),
    ] = False,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="a training setting; may be repeated"),
    ] = None,
) -> None:
    """Train a teacher, which is told the task, or a blind policy, by PPO in the simulator: minutes to an hour."""
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
    console = make_console()

    def progress(row: dict[str, float]) -> None:
        console.print(
            f"{row['steps'] / 1e6:8.2f} M steps  {row['seconds']:6.0f} s  return {row['mean_return']:8.1f}  "
            f"noise {row['deviation']:.2f}"
        )

    train_teacher(load_suite(suite), config, out, progress)
    option = " --blind" if blind else ""
    console.print(f"next: metabench teacher install {suite} {out}{option}", soft_wrap=True)


@app.command()
def judge(
    suite: Annotated[str, typer.Argument(help="a suite that ships a blind policy")],
    episodes: Annotated[int, typer.Option(min=1, help="episodes a task")] = 20,
) -> None:
    """Score a suite's blind policy in each split: 100 minus its score is the headroom."""
    _show_blind(load_suite(suite), episodes, "its blind policy")


@app.command()
def install(
    suite: Annotated[str, typer.Argument(help="the suite of the training")],
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="the folder of the training; none with --blind if the blind policy is a script"
        ),
    ] = None,
    episodes: Annotated[
        int, typer.Option(min=1, help="episodes for each task and each checkpoint or script")
    ] = 4,
    blind: Annotated[
        bool,
        typer.Option(
            "--blind",
            help="instead of the teacher's behaviours the blind policy: the best on the training tasks, of the "
            "checkpoints of `teacher train --blind`, or of its family's scripts",
        ),
    ] = False,
) -> None:
    """For maintainers: score all checkpoints; write the best as expert and weaker ones as the other behaviours.

    With --blind: write the best blind policy into the suite's folder references/.
    """
    from metabench.errors import MetabenchError
    from metabench.teachers.select import choose_behaviours, install_behaviours

    loaded = load_suite(suite)
    if blind:
        _install_blind(loaded, folder, episodes)
        return
    if folder is None:
        raise MetabenchError(
            f"suite {loaded.name}: expected the folder of `metabench teacher train {suite}`"
        )
    behaviours = choose_behaviours(loaded, folder, episodes)
    install_behaviours(loaded, behaviours)
    table = Table("behaviour", "checkpoint at", "noise", "mean return", "normalised")
    for behaviour in behaviours:
        steps = f"{int(behaviour.checkpoint.stem):,} steps"
        numbers = (f"{behaviour.noise:g}", f"{behaviour.mean_return:.1f}", f"{behaviour.score:.1f}")
        table.add_row(behaviour.name, steps, *numbers)
    console = make_console()
    console.print(table)
    console.print(
        f"next: metabench data references {suite} --write && metabench data build {suite} --write-manifest",
        soft_wrap=True,
    )


def _install_blind(suite: Suite, folder: Path | None, episodes: int) -> None:
    from metabench.teachers.blind import choose_blind, install_blind, list_candidates

    console = make_console()
    chosen = choose_blind(
        suite,
        list_candidates(suite, folder),
        episodes,
        lambda name, score: console.print(f"{score:8.1f}  {name}", highlight=False),
    )
    install_blind(suite, chosen)
    _show_blind(suite, episodes, chosen.name)
    console.print(
        f"wrote {suite.references_folder}; next: metabench data references {suite.argument} --write",
        soft_wrap=True,
    )


def _show_blind(suite: Suite, episodes: int, title: str) -> None:
    """Score what the suite ships, and print it."""
    from metabench.teachers.blind import score_blind

    table = Table("split", "score", "headroom", title=title)
    for split in suite.splits:
        score = score_blind(suite, split, episodes)
        table.add_row(split, f"{score:.1f}", f"{100.0 - score:.1f}")
    make_console().print(table)


@app.command()
def calibrate(
    suite: Annotated[
        str, typer.Argument(help="a suite of the Meta-World family, with measured references")
    ],
    episodes: Annotated[int, typer.Option(min=1, help="episodes a task and round")] = 8,
) -> None:
    """For maintainers: find the error with which the scripted teacher's medium scores 50, and write it."""
    from metabench.teachers.calibrate import calibrate_medium, install_calibration

    loaded = load_suite(suite)
    found = calibrate_medium(loaded, episodes)
    table = Table("environment", "deviation of error, m", "normalised")
    for each in found:
        table.add_row(each.environment, f"{each.deviation:g}", f"{each.score:.1f}")
    console = make_console()
    console.print(table)
    path = install_calibration(loaded, found)
    console.print(
        f"wrote {path}; next: metabench data build {suite} --write-manifest", soft_wrap=True
    )
