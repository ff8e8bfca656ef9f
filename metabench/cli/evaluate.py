"""`metabench evaluate`: a trained policy in one or all tracks, without training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from metabench.cli.options import Isolate, MemoryLimit, TimeLimit, warn_of_gaps
from metabench.cli.output import make_console
from metabench.errors import MetabenchError

if TYPE_CHECKING:
    from metabench.evaluation.evaluate import Evaluation
    from metabench.suites import Suite


def evaluate(
    policy: Annotated[
        str,
        typer.Argument(
            metavar="NAME_OR_FOLDER",
            help="a name from `metabench list policies`, or a policy's folder that a run wrote",
        ),
    ],
    suite: Annotated[
        str | None, typer.Option(help="suite to evaluate in (default: the suite of its training)")
    ] = None,
    track: Annotated[
        list[str] | None,
        typer.Option(help="zero-shot, few-shot, logged-shot, prediction (default: all)"),
    ] = None,
    split: Annotated[
        list[str] | None,
        typer.Option(help="test, test-far, validation (default: all that are ranked)"),
    ] = None,
    shots: Annotated[
        str | None, typer.Option(help="numbers of shots (1,3,5) (default: the protocol's)")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="evaluation seed (default: the training seed)")
    ] = None,
    isolate: Isolate = False,
    time_limit: TimeLimit = None,
    memory_limit: MemoryLimit = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="print every episode's row as JSON")
    ] = False,
) -> None:
    """Evaluate a trained policy. This trains nothing and writes no record.

    The limits hold for each rollout and need --isolate.
    """
    from metabench.cli.arguments import read_names, read_shots
    from metabench.cli.prediction_tables import print_errors
    from metabench.runs.again.evaluate_policy import (
        evaluate_saved,
        predict_saved,
        tell_other_version,
    )
    from metabench.runs.isolation.limits import read_limits
    from metabench.runs.kept.saved_policy import read_training
    from metabench.runs.kept.shipped_policies import find_policy

    limits = read_limits(time_limit, memory_limit)
    if limits.given and not isolate:
        raise MetabenchError(
            "--time-limit and --memory-limit need --isolate: only a policy in another process can be ended"
        )
    if isolate:
        warn_of_gaps()
    folder, counts = find_policy(policy, suite), read_shots(shots)
    tracks = None if track is None else read_names(track, "--track")
    splits = None if split is None else read_names(split, "--split")
    loaded, measured = evaluate_saved(
        folder,
        suite=suite,
        tracks=tracks,
        splits=splits,
        shots=counts,
        seed=seed,
        isolate=isolate,
        limits=limits,
    )
    predicted = predict_saved(
        folder,
        suite=suite,
        tracks=tracks,
        splits=splits,
        shots=counts,
        seed=seed,
        isolate=isolate,
        limits=limits,
    )
    if note := tell_other_version(read_training(folder), loaded):
        typer.echo(f"note: {note}", err=True)
    if as_json:
        blocks = [
            block.model_dump(mode="json") for evaluation in measured for block in evaluation.blocks
        ]
        predictions = [each.model_dump(mode="json") for each in predicted]
        content = {"suite": loaded.identity, "blocks": blocks, "predictions": predictions}
        typer.echo(json.dumps(content))
        return
    console = make_console()
    if measured:
        _print_scores(loaded, measured, console)
    if predicted:
        print_errors(predicted, loaded.identity, console)
    elif not measured:
        typer.echo("the policy predicts nothing, or the data hold nothing to predict")


def _print_scores(suite: Suite, measured: Sequence[Evaluation], console: Console) -> None:
    from metabench.evaluation.scores import score_rows

    table = Table(
        "split",
        "track",
        "shots",
        "episodes",
        "score, mean over tasks",
        "worst task",
        "mean return",
        "success",
        title=suite.identity,
    )
    for evaluation in measured:
        for block in evaluation.blocks:
            score = score_rows(block.rows, suite)
            table.add_row(
                block.split,
                block.track,
                str(block.shots),
                str(len(block.rows)),
                f"{score.headline:.1f}",
                f"{min(score.task_scores):.1f}",
                f"{score.mean_return:.3f}",
                "" if score.success_any is None else f"{score.success_any:.0%}",
            )
    console.print(table)
