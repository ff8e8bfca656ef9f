"""Tables and single scores in documents: written between marks from the leaderboard, so that none is typed by hand."""

from __future__ import annotations

import re
from collections.abc import Callable

from metabench.errors import DataError
from metabench.leaderboard.export.text_tables import escape_markdown, format_interval, format_rank
from metabench.leaderboard.scores.models import LeaderboardEntry
from metabench.leaderboard.scores.overall import CORE, HEADLINE_SHOTS
from metabench.leaderboard.scores.standings import sort_by_headline
from metabench.leaderboard.scores.tables import Leaderboard, OverallRow

TRACKS = tuple(HEADLINE_SHOTS)
"""Tracks that have a column, each at its headline's shots."""

HEADINGS = ("zero-shot", "few-shot, 3 own episodes", "logged-shot, 3 logged episodes")

_TABLE = re.compile(r"(<!-- table: ([^>]*?) -->\n).*?(<!-- end of table -->)", re.DOTALL)
_SCORE = re.compile(r"(<!-- score: ([^>]*?) -->).*?(<!-- end -->)", re.DOTALL)


def fill_document(text: str, leaderboard: Leaderboard) -> str:
    """The document with what stands between its marks written anew.

    Marks are `<!-- table: core cpu 8 -->` (rows at most) and `<!-- table: boards 2 cpu -->` (protocol, preset), up to
    `<!-- end of table -->`; and `<!-- score: point-robot few-shot bc cpu -->` (present protocol), up to `<!-- end -->`.

    Raises:
        DataError: a mark that asks for what is unknown or not published.
    """
    fill = {
        "core": lambda preset, rows: _make_core_table(leaderboard, preset, int(rows)),
        "boards": lambda protocol, preset: _make_boards_table(leaderboard, protocol, preset),
    }

    def write_table(found: re.Match[str]) -> str:
        kind, *words = found[2].split()
        maker: Callable[..., str] | None = fill.get(kind)
        if maker is None or len(words) != 2 or (kind == "core" and not words[1].isdigit()):
            raise DataError(
                f"mark {found[1].strip()!r}: expected 'table: core PRESET ROWS' or 'table: boards PROTOCOL PRESET'"
            )
        return f"{found[1]}\n{maker(*words)}\n{found[3]}"

    def write_score(found: re.Match[str]) -> str:
        return f"{found[1]}{_find_score(leaderboard, found[2].split())}{found[3]}"

    return _SCORE.sub(write_score, _TABLE.sub(write_table, text))


def _make_core_table(leaderboard: Leaderboard, preset: str, most: int) -> str:
    """Methods with records in every suite of the core set: means over the suites, in the order of few-shot."""
    tables = {
        table.track: table
        for table in leaderboard.overall
        if (table.group, table.preset, table.protocol) == (CORE, preset, leaderboard.protocol)
    }
    if "few-shot" not in tables:
        raise DataError(f"no table of the core set at preset {preset!r}; run `metabench run` first")
    means = {
        track: {row.label: format_interval(row.mean) for row in table.rows}
        for track, table in tables.items()
    }
    rows = [row for row in tables["few-shot"].rows if row.mean is not None][:most]
    return _format_table(
        ("rank", "method", *HEADINGS),
        [
            (
                format_rank(row),
                _name(row),
                *(means.get(track, {}).get(row.label, "–") for track in TRACKS),
            )
            for row in rows
        ],
    )


def _make_boards_table(leaderboard: Leaderboard, protocol: str, preset: str) -> str:
    """Every method of every suite with published data: a row each, the best in few-shot first."""
    chosen = [
        entry
        for entry in leaderboard.entries
        if _is_shown(entry, protocol, preset) and entry.headline is not None
    ]
    rows = []
    for suite in dict.fromkeys(entry.suite for entry in chosen):
        scores = {
            (entry.label, entry.track): format_interval(entry.headline)
            for entry in chosen
            if entry.suite == suite
        }
        first = [entry for entry in chosen if (entry.suite, entry.track) == (suite, "few-shot")]
        for entry in sort_by_headline(first):
            version = f"{suite}-v{entry.suite_version}"
            cells = (scores.get((entry.label, track), "–") for track in TRACKS)
            rows.append((version, _name(entry), *cells))
    return _format_table(("suite", "method", *HEADINGS), rows)


def _find_score(leaderboard: Leaderboard, words: list[str]) -> str:
    if len(words) != 4:
        raise DataError(f"mark 'score: {' '.join(words)}': expected SUITE TRACK METHOD PRESET")
    suite, track, method, preset = words
    for entry in leaderboard.entries:
        if _is_shown(entry, leaderboard.protocol, preset) and (
            (entry.suite, entry.track, entry.label) == (suite, track, method)
        ):
            return format_interval(entry.headline)
    raise DataError(f"mark 'score: {' '.join(words)}': no such row is published")


def _is_shown(entry: LeaderboardEntry, protocol: str, preset: str) -> bool:
    return (
        (entry.protocol, entry.preset, entry.dataset, entry.split)
        == (protocol, preset, "medium", "test")
        and entry.shots == HEADLINE_SHOTS.get(entry.track)
        and entry.outdated is None
    )


def _name(row: LeaderboardEntry | OverallRow) -> str:
    return f"{row.label} (privileged)" if row.privileged else row.label


def _format_table(headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    marks = "|".join("--:" if heading in HEADINGS else ":--" for heading in headings)
    lines = [f"| {' | '.join(headings)} |", f"|{marks}|"]
    # Intervals keep their brackets: a table's cell begins no link.
    lines += [
        "| "
        + " | ".join(escape_markdown(cell).replace("\\[", "[").replace("\\]", "]") for cell in row)
        + " |"
        for row in rows
    ]
    return "\n".join(lines)
