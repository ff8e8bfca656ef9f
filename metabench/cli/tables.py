"""Entries as tables for a terminal, readable in 80 columns."""

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
    from metabench.leaderboard.scores.models import LeaderboardEntry

_Key = tuple[str | int, ...]

MOST_INTERVALS = 3
"""Columns with intervals that fit in 80 characters; of more shot counts the headline's alone has one."""


def print_tables(entries: Iterable[LeaderboardEntry], console: Console) -> None:
    """Print one table a suite, dataset, protocol, preset, split and track, best method first.

    A track with several numbers of shots has a column for each and is sorted by its headline number. Privileged
    methods are marked and come last.
    """
    groups: dict[_Key, list[LeaderboardEntry]] = {}
    for entry in entries:
        key = (
            entry.suite,
            entry.suite_version,
            entry.suite_digest,
            entry.dataset,
            entry.dataset_version,
        )
        setting = (entry.dataset_digest, entry.protocol, entry.preset, entry.split, entry.track)
        groups.setdefault((*key, *setting), []).append(entry)
    for group in groups.values():
        console.print(_make_table(group))
        for note in _collect_notes(group):
            console.print(f"  {escape(note)}", style="dim")
        console.print()


def _make_table(entries: Sequence[LeaderboardEntry]) -> Table:
    from metabench.leaderboard.export.text_tables import format_interval, format_rank
    from metabench.leaderboard.scores.archived_protocols import name_protocol
    from metabench.leaderboard.scores.overall import HEADLINE_SHOTS
    from metabench.leaderboard.scores.standings import (
        distinguish_labels,
        has_place,
        make_boards,
        sort_by_headline,
    )

    first = entries[0]
    shots = sorted({entry.shots for entry in entries})
    # What rows are sorted by; where no record has the headline's number of shots, the most there are.
    chosen = HEADLINE_SHOTS[first.track] if HEADLINE_SHOTS[first.track] in shots else shots[-1]
    found = {(entry.id, entry.shots): entry for entry in entries}
    representatives = {entry.id: found.get((entry.id, chosen), entry) for entry in entries}
    labels = distinguish_labels(list(representatives.values()))
    table = Table(
        title=Text.assemble(
            f"{first.suite} · {first.dataset} · preset {first.preset} · "
            f"{name_protocol(first.protocol)} · ",
            (f"{first.split} {first.track}", "bold"),
        ),
        title_justify="left",
        title_style="",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("", justify="right")
    table.add_column("method", overflow="fold", min_width=12)
    unit = "success %" if first.metric == "success" else "score"
    gap = (
        "\n" if len(shots) > 1 else " "
    )  # several columns of intervals would not fit beside each other
    with_interval = set(shots) if len(shots) <= MOST_INTERVALS else {chosen}
    for count in shots:
        heading = f"{unit} [95 %]" if count in with_interval else unit
        table.add_column(_make_heading(heading, count, first.track), justify="right", no_wrap=True)
    table.add_column(_make_heading("return", chosen, first.track), justify="right", no_wrap=True)
    table.add_column("seeds", justify="right", no_wrap=True)
    standings = {
        standing.entry: standing
        for board in make_boards(representatives.values())
        for standing in board.standings
    }
    for entry in sort_by_headline(representatives.values()):
        label = Text(labels[entry.id])
        if entry.privileged:
            label.append(" privileged", style="italic")
        if entry.uses_expert_labels:
            label.append(" uses expert labels", style="italic")
        scores = []
        for count in shots:
            each = found.get((entry.id, count))
            score, _, interval = format_interval(each.headline if each else None).partition(" [")
            shown = interval and count in with_interval
            scores.append(Text(f"{score}{gap}[{interval}" if shown else score))
        table.add_row(
            format_rank(standings[entry.id]),
            label,
            *scores,
            "–" if entry.mean_return is None else f"{entry.mean_return.mean:.2f}",
            str(len(entry.seeds)),
            style="" if has_place(entry) else "dim",
        )
    return table


def _make_heading(name: str, shots: int, track: str) -> Text:
    return Text(name if track == "zero-shot" else f"{say_count(shots, 'shot')}\n{name}")


def _collect_notes(entries: Sequence[LeaderboardEntry]) -> list[str]:
    from metabench.evaluation.verdicts import SEEDS_FOR_A_VERDICT, TASKS_FOR_A_VERDICT

    notes = []
    for entry in entries:
        where = f"{entry.label}, {say_count(entry.shots, 'shot')}" if entry.shots else entry.label
        if entry.outdated and f"{entry.label}: outdated: {entry.outdated}" not in notes:
            notes.append(f"{entry.label}: outdated: {entry.outdated}")
        notes += [f"{where}: {text}" for text in entry.missing]
    if any(entry.uses_expert_labels for entry in entries):
        notes.append("uses expert labels: trained with the expert's action in every state")
    judged = [entry for entry in entries if entry.seeds and not entry.privileged]
    least = min((len(entry.seeds) for entry in judged), default=SEEDS_FOR_A_VERDICT)
    if least < SEEDS_FOR_A_VERDICT:
        without = "intervals need 2 seeds; " if least < 2 else ""
        notes.append(
            f"{without}with fewer than {SEEDS_FOR_A_VERDICT} seeds the order is no verdict"
        )
    units = [{task.task if task.unit is None else task.unit for task in e.tasks} for e in judged]
    fewest = min(map(len, units), default=TASKS_FOR_A_VERDICT)
    if fewest < TASKS_FOR_A_VERDICT:
        notes.append(
            f"{say_count(fewest, 'test task')}: with fewer than {TASKS_FOR_A_VERDICT} the order is no verdict"
        )
    return notes
