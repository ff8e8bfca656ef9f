"""What `metabench data` shows: a table of datasets, and one dataset in numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from metabench.data.cards.catalogue import DatasetState, Description, SplitSummary

NUMBERS: dict[str, Callable[[SplitSummary], str]] = {
    "tasks": lambda split: str(len(split.tasks)),
    "trajectories": lambda split: str(split.trajectories),
    "steps": lambda split: str(split.steps),
    "mean return": lambda split: f"{split.mean_return:.3f}",
    "lowest return": lambda split: f"{split.return_quantiles[0]:.3f}",
    "return at 25 %": lambda split: f"{split.return_quantiles[1]:.3f}",
    "median return": lambda split: f"{split.return_quantiles[2]:.3f}",
    "return at 75 %": lambda split: f"{split.return_quantiles[3]:.3f}",
    "highest return": lambda split: f"{split.return_quantiles[4]:.3f}",
    "normalised score": lambda split: f"{split.normalised:.1f}",
    "ended by the task": lambda split: f"{split.terminated:.0%}",
    "success": lambda split: "" if split.success is None else f"{split.success:.0%}",
    "return by stage": lambda split: " ".join(f"{mean:.2f}" for mean in split.stage_returns),
}
"""Lines of `show`, one column a split."""


def print_datasets(states: Sequence[DatasetState], console: Console) -> None:
    """A row for each dataset, and what is wrong with any."""
    table = Table("suite", "dataset", "state", "tasks", "trajectories", "MB", "digest")
    colours = {"built": "green", "minari": "yellow", "missing": "dim", "damaged": "red"}
    for state in states:
        table.add_row(
            state.suite,
            f"{state.dataset}-v{state.version}",
            f"[{colours[state.state]}]{state.state}[/]",
            str(state.tasks),
            str(state.trajectories),
            f"{state.bytes / 1e6:.1f}" if state.bytes else "",
            _shorten_digest(state.digest, state.expected),
        )
    console.print(table)
    if any(state.digest and state.expected not in (None, state.digest) for state in states):
        console.print("[yellow]≠[/] not the digest that suite.toml names")
    for state in states:
        if state.problem:
            console.print(f"[red]damaged[/] {state.problem}", soft_wrap=True)


def print_description(description: Description, console: Console) -> None:
    """What a built dataset holds."""
    behaviours = ", ".join(f"{count} {name}" for name, count in description.behaviours.items())
    console.print(
        f"[bold]{description.suite}-v{description.suite_version} "
        f"{description.dataset}-v{description.version}[/]: "
        f"{description.trajectories} trajectories, {description.steps} steps; {behaviours}\n"
        f"{description.description}"
    )
    table = Table("", *description.splits)
    for label, of in NUMBERS.items():
        if any(told := [of(split) for split in description.splits.values()]):
            table.add_row(label, *told)
    console.print(table)
    for note in description.notes:
        console.print(f"[yellow]note[/]    {note}", soft_wrap=True, highlight=False)
    where = f"store   {description.store}\nMinari  {description.minari_id} in {description.minari}"
    console.print(f"digest  {description.digest}\n{where}", soft_wrap=True)
    if description.expected not in (None, description.digest):
        console.print(f"[yellow]suite.toml names {description.expected}[/]", soft_wrap=True)


def _shorten_digest(digest: str | None, expected: str | None) -> str:
    if digest is None:
        return ""
    short = digest.removeprefix("sha256:")[:12]
    return short if expected in (None, digest) else f"[yellow]{short} ≠[/]"
