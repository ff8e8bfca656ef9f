"""Errors of world models as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from metabench.system.wording import say_count

if TYPE_CHECKING:
    from metabench.evaluation.prediction.errors import Predicted
    from metabench.evaluation.prediction.sums import Predictions
    from metabench.leaderboard.scores.tables import PredictionBoard

_SHOWN: tuple[Predicted, ...] = ("rewards", "observations")
"""In this order: what a task is told by comes first."""

_NOTE = (
    "error: the share of the control's that is left (no change, training mean: 1.00); 0 is perfect"
)


def print_errors(predictions: Iterable[Predictions], title: str, console: Console) -> None:
    """One table a split, of one policy: a line for each number of steps ahead and of shots."""
    from metabench.evaluation.prediction.errors import compute_error, compute_share_inside

    for each in predictions:
        table = Table(
            *("steps ahead", "shots", "observations", "rewards", "in 50 %", "in 90 %"),
            title=f"{title} {each.split} prediction",
            box=box.SIMPLE_HEAD,
        )
        for steps in each.steps:
            for shots in each.shots:
                table.add_row(
                    str(steps),
                    str(shots),
                    _format(compute_error(each, "observations", shots, steps)),
                    _format(compute_error(each, "rewards", shots, steps)),
                    _format(compute_share_inside(each, "rewards", shots, steps, 50)),
                    _format(compute_share_inside(each, "rewards", shots, steps, 90)),
                )
        console.print(table)
        console.print(
            f"  {_NOTE}; in 50 %, in 90 %: rewards there, by the policy's deviations; "
            f"{each.trajectories} trajectories, {each.left_out} pairs beyond an end",
            style="dim",
            markup=False,
        )


def print_prediction_boards(boards: Sequence[PredictionBoard], console: Console) -> None:
    """One table a setting and split: errors of rewards and observations 5 steps ahead, or as far as there are."""
    groups: dict[tuple[object, ...], list[PredictionBoard]] = {}
    for board in boards:
        key = (board.suite, board.suite_digest, board.dataset, board.dataset_digest)
        groups.setdefault((*key, board.protocol, board.preset, board.split), []).append(board)
    for group in groups.values():
        steps = sorted({board.steps for board in group})
        console.print(_make_table(group, steps[min(1, len(steps) - 1)]))
        console.print(f"  {_NOTE}", style="dim", markup=False)
        notes = {
            f"{each.label}: {text}"
            for board in group
            for each in board.standings
            for text in each.missing
        }
        for note in sorted(notes):
            console.print(f"  {escape(note)}", style="dim")
        console.print()


def _make_table(boards: Sequence[PredictionBoard], steps: int) -> Table:
    from metabench.leaderboard.export.text_tables import format_rank

    first = boards[0]
    shown = {(board.predicted, board.shots): board for board in boards if board.steps == steps}
    shots = sorted({board.shots for board in boards})
    leading = shown["rewards", shots[-1]]
    table = Table(
        title=Text.assemble(
            f"{first.suite} · {first.dataset} · preset {first.preset} · ",
            (f"{first.split} prediction", "bold"),
            f", {say_count(steps, 'step')} ahead",
        ),
        title_justify="left",
        title_style="",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("", justify="right")
    table.add_column("method", overflow="fold", min_width=12)
    for what in _SHOWN:
        for count in shots:
            # What it is stands above the first of its columns: beside each it would not fit into 80 letters.
            above = what if count == shots[0] else ""
            table.add_column(f"{above}\n{say_count(count, 'shot')}", justify="right", no_wrap=True)
    table.add_column("seeds", justify="right", no_wrap=True)
    for standing in leading.standings:
        cells = []
        for what in _SHOWN:
            for count in shots:
                error = next(
                    each.error
                    for each in shown[what, count].standings
                    if each.entry == standing.entry
                )
                cells.append(_format(None if error is None else error.mean))
        table.add_row(format_rank(standing), Text(standing.label), *cells, str(len(standing.seeds)))
    table.add_row("–", "control", *["1.00"] * (2 * len(shots)), "", style="dim")
    return table


def _format(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}" if value < 100 else f"{value:.2g}"
