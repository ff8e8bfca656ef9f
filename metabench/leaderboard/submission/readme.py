"""The README of a submission: who made the methods, and the aggregates of its records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from metabench.leaderboard.export.text_tables import escape_markdown, format_interval
from metabench.leaderboard.method_card import MethodCard
from metabench.leaderboard.scores.models import LeaderboardEntry
from metabench.system.wording import say_count

MARK = (
    "<!-- A submission to a metabench leaderboard, written by `metabench leaderboard submit`. -->"
)
"""The first line: what begins so is computed from the folder's records and cards, and checked against them."""

_HEADINGS = (
    "method",
    "suite",
    "dataset",
    "preset",
    "protocol",
    "split",
    "track",
    "shots",
    "seeds",
    "score [95 %]",
    "mean return",
)


def render_readme(cards: Mapping[str, MethodCard], entries: Sequence[LeaderboardEntry]) -> str:
    """The text for these cards and aggregates: the same ones give the same bytes.

    Args:
        cards: by name.
        entries: of all records.
    """
    names = sorted({entry.method.partition("/")[0] for entry in entries})
    lines = [MARK, f"# {', '.join(map(escape_markdown, names))}", ""]
    for name in sorted(cards):
        lines += [f"## {escape_markdown(name)}", "", "| | |", "|:--|:--|"]
        for key, value in cards[name].model_dump(exclude={"name"}).items():
            shown = ", ".join(value) if isinstance(value, list) else str(value)
            lines.append(f"| {key.replace('_', ' ')} | {escape_markdown(shown)} |")
        lines.append("")
    lines += [
        "## Scores",
        "",
        f"| {' | '.join(_HEADINGS)} |",
        "|:--|:--|:--|:--|:--|:--|:--|--:|--:|--:|--:|",
    ]
    scored = [entry for entry in entries if entry.seeds]
    lines += [f"| {' | '.join(map(escape_markdown, _make_row(entry)))} |" for entry in scored]
    lacking = [(entry, text) for entry in entries for text in entry.missing]
    if lacking:
        lines += ["", "## Not there", ""]
        lines += [
            f"- {escape_markdown(f'{name_scored_block(entry)}: {text}')}" for entry, text in lacking
        ]
    lines += [
        "",
        "## To check it",
        "",
        "```sh",
        "metabench leaderboard check FOLDER          # one line a finding",
        "metabench leaderboard verify FOLDER         # the policies' rows again, or with --retrain the training",
        "metabench leaderboard add FOLDER            # into leaderboard/records and leaderboard/methods",
        "```",
    ]
    return "\n".join(lines) + "\n"


def name_scored_block(entry: LeaderboardEntry) -> str:
    """An entry's place, for people: `my-method on point-robot medium, test few-shot (3 shots)`."""
    shots = f" ({say_count(entry.shots, 'shot')})" if entry.shots else ""
    return f"{entry.label} on {entry.suite} {entry.dataset}, {entry.split} {entry.track}{shots}"


def _make_row(entry: LeaderboardEntry) -> tuple[str, ...]:
    seeds = str(len(entry.seeds))
    place = (
        entry.label,
        entry.suite,
        entry.dataset,
        entry.preset,
        entry.protocol,
        entry.split,
        entry.track,
        str(entry.shots),
        seeds,
    )
    return (*place, format_interval(entry.headline), format_interval(entry.mean_return, 2))
