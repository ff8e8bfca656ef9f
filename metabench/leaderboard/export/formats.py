"""Entries as CSV, JSON, LaTeX, Markdown, and in the formats of other catalogues."""

from __future__ import annotations

import csv
import io
import json
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence

from metabench.errors import UnknownNameError
from metabench.leaderboard.export.other_catalogues import (
    format_as_every_eval_ever,
    format_as_model_index,
)
from metabench.leaderboard.export.text_tables import (
    BOARD_NOTE,
    Sheet,
    format_half_width,
    format_interval,
    format_rank,
    format_sheets_as_latex,
    format_sheets_as_markdown,
)
from metabench.leaderboard.scores.archived_protocols import name_protocol
from metabench.leaderboard.scores.models import Estimate, LeaderboardEntry, TaskScores
from metabench.leaderboard.scores.standings import distinguish_labels, make_boards
from metabench.leaderboard.scores.tables import Standing
from metabench.system.wording import say_count

_ESTIMATES = (
    "headline",
    "adaptation",
    "normalised_return",
    "mean_return",
    "success_any",
    "success_last",
)
_NAMES = (
    "label",
    "method",
    "method_version",
    "suite",
    "suite_version",
    "dataset",
    "dataset_version",
)
_SETTING = ("split", "track", "shots", "preset", "metric")
COSTS = ("training", "pretraining", "adapting", "acting", "collecting", "evaluating")
"""Of `Costs`, those in seconds."""

_REMAINDER = (
    "privileged",
    "uses_expert_labels",
    "parameters",
    "protocol",
    "suite_digest",
    "dataset_digest",
)
_PLAIN = frozenset(
    (
        *(*_NAMES, *_SETTING, *_REMAINDER),
        *("config_digest", "clipped", "outdated", "archived", "protocol_archived", "id"),
    )
)
_CSV_COLUMNS = (
    *("place", "rank_best", "rank_worst", "first", *_NAMES, *_SETTING),
    *("difference", "difference_low", "difference_high", "verdict"),
    *(f"{name}{suffix}" for name in _ESTIMATES for suffix in ("", "_low", "_high")),
    *(
        "worst_task",
        "worst_task_score",
        "iqm",
        "iqm_low",
        "iqm_high",
        "optimality_gap",
        "clipped",
        "seeds",
        "devices",
        *(f"seconds_{name}" for name in COSTS),
        "updates",
        *_REMAINDER,
        "config_digest",
        "missing",
        "outdated",
        "archived",
        "protocol_archived",
        "id",
    ),
)


def export_entries(entries: Sequence[LeaderboardEntry], form: str) -> str:
    """All `entries` as text in one of `FORMATS`; raises `UnknownNameError` for another."""
    if form not in FORMATS:
        raise UnknownNameError("export format", form, FORMATS)
    return FORMATS[form](entries)


def select_entries(
    entries: Iterable[LeaderboardEntry], *, method: str | None = None, **criteria: str | int | None
) -> list[LeaderboardEntry]:
    """Entries that meet all criteria; None is met by all.

    Args:
        entries: entries.
        method: a method's name stands for its variants as well.
        criteria: values of fields of `LeaderboardEntry`.

    Raises:
        UnknownNameError: there are entries, but none has this value.
    """
    found = list(entries)
    for name, value in criteria.items():
        if value is not None:
            found = _keep_matching(found, name, str(value), operator.attrgetter(name))
    if method is not None:
        base = "/" not in method
        found = _keep_matching(
            found,
            "method",
            method,
            lambda entry: entry.method.partition("/")[0] if base else entry.method,
        )
    return found


def _keep_matching(
    entries: list[LeaderboardEntry],
    name: str,
    value: str,
    get: Callable[[LeaderboardEntry], object],
) -> list[LeaderboardEntry]:
    found = [entry for entry in entries if str(get(entry)) == value]
    if entries and not found:
        raise UnknownNameError(name, value, {str(get(entry)) for entry in entries})
    return found


def format_as_csv(entries: Sequence[LeaderboardEntry]) -> str:
    """One line an entry; empty cells where there is no value, `true` and `false` as the page writes them."""
    standings = _collect_standings(entries)  # of each board, as on the page
    file = io.StringIO()
    writer = csv.DictWriter(file, _CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for entry in entries:
        cells = {name: getattr(entry, name) for name in _CSV_COLUMNS if name in _PLAIN}
        # `true`, not `True`: the page's own download writes JavaScript's words.
        cells.update(
            {name: str(cell).lower() for name, cell in cells.items() if isinstance(cell, bool)}
        )
        for name in _ESTIMATES:
            columns = (name, f"{name}_low", f"{name}_high")
            cells.update(zip(columns, _list_bounds(getattr(entry, name)), strict=True))
        standing = standings[_identify_entry(entry)]
        best, worst = standing.rank or (None, None)
        iqm = _list_bounds(entry.bootstrap.iqm if entry.bootstrap else None)
        writer.writerow(
            {
                **cells,
                **{"place": standing.place, "rank_best": best, "rank_worst": worst},
                "first": str(standing.first).lower(),
                "worst_task": entry.worst_task.task if entry.worst_task else None,
                "worst_task_score": entry.worst_task.score.mean if entry.worst_task else None,
                **dict(zip(("iqm", "iqm_low", "iqm_high"), iqm, strict=True)),
                "optimality_gap": entry.bootstrap.optimality_gap.mean if entry.bootstrap else None,
                **{f"seconds_{name}": getattr(entry.costs, name) for name in COSTS},
                "updates": entry.costs.updates,
                "difference": standing.difference,
                **dict(
                    zip(
                        ("difference_low", "difference_high"),
                        standing.interval or (None, None),
                        strict=True,
                    )
                ),
                "verdict": standing.verdict,
                "seeds": " ".join(str(seed.seed) for seed in entry.seeds),
                "devices": "; ".join(entry.devices),
                "missing": "; ".join(entry.missing),
            }
        )
    return file.getvalue()


def format_as_json(entries: Sequence[LeaderboardEntry]) -> str:
    """A JSON array of entries, as in leaderboard.json."""
    return (
        json.dumps(
            [entry.model_dump(mode="json") for entry in entries], indent=1, ensure_ascii=False
        )
        + "\n"
    )


def format_as_markdown(entries: Sequence[LeaderboardEntry]) -> str:
    """One table a board, best first."""
    return format_sheets_as_markdown(_make_board_sheets(entries, _HEADINGS, format_interval))


def format_as_latex(entries: Sequence[LeaderboardEntry]) -> str:
    """One booktabs table a board, best first."""
    return format_sheets_as_latex(_make_board_sheets(entries, _NARROW_HEADINGS, format_half_width))


FORMATS: Mapping[str, Callable[[Sequence[LeaderboardEntry]], str]] = {
    "csv": format_as_csv,
    "every-eval-ever": format_as_every_eval_ever,
    "json": format_as_json,
    "latex": format_as_latex,
    "markdown": format_as_markdown,
    "model-index": format_as_model_index,
}
"""Every format by its name."""

_HEADINGS = (
    *("rank", "method", "score [95 %]", "worst task", "to the best [95 %]", "verdict", "seeds"),
)
_NARROW_HEADINGS = ("#", "method", "score", "worst", "to best", "verdict", "n")
_NARROW_NOTE = "±: half of the 95 % interval; worst: worst task; n: seeds"


def _make_board_sheets(
    entries: Sequence[LeaderboardEntry],
    headings: tuple[str, ...],
    write_estimate: Callable[[Estimate | None], str],
) -> list[Sheet]:
    by_key = {_identify_entry(entry): entry for entry in entries}
    found = []
    for board in make_boards(entries):
        rows = [
            (standing, by_key[standing.entry, board.split, board.track, board.shots])
            for standing in board.standings
        ]
        labels = distinguish_labels([entry for _, entry in rows])
        shots = f", {say_count(board.shots, 'shot')}" if board.shots else ""
        archived = " (archived)" if any(entry.archived for _, entry in rows) else ""
        setting = f"preset {board.preset}, {name_protocol(board.protocol)}"
        title = (
            f"{board.suite}-v{board.suite_version}{archived}, {board.dataset}-v{board.dataset_version}"
            f" ({board.dataset_digest[7:15]}), {setting}: {board.split} {board.track}{shots}"
        )
        lines = tuple(
            (
                format_rank(standing),
                labels[entry.id] + _mark(entry),
                write_estimate(entry.headline),
                write_estimate(_without_interval(entry.worst_task)),
                write_estimate(_estimate_difference(standing)),
                standing.verdict or "–",
                str(len(entry.seeds)),
            )
            for standing, entry in rows
        )
        notes = (BOARD_NOTE,) if headings is _HEADINGS else (BOARD_NOTE, _NARROW_NOTE)
        found.append(Sheet(title, headings, "rprrrlr", lines, notes))
    return found


def _mark(entry: LeaderboardEntry) -> str:
    """What else a method was given, to stand behind its label."""
    marks = {"privileged": entry.privileged, "uses expert labels": entry.uses_expert_labels}
    return "".join(f" ({name})" for name, holds in marks.items() if holds)


def _without_interval(worst: TaskScores | None) -> Estimate | None:
    """The lowest of many means: an interval of it alone would be too narrow, so none is shown."""
    return None if worst is None else Estimate(mean=worst.score.mean, interval=None)


def _estimate_difference(standing: Standing) -> Estimate | None:
    if standing.difference is None:
        return None
    return Estimate(mean=standing.difference, interval=standing.interval)


def _collect_standings(
    entries: Sequence[LeaderboardEntry],
) -> dict[tuple[str, str, str, int], Standing]:
    return {
        (standing.entry, board.split, board.track, board.shots): standing
        for board in make_boards(entries)
        for standing in board.standings
    }


def _identify_entry(entry: LeaderboardEntry) -> tuple[str, str, str, int]:
    return entry.id, entry.split, entry.track, entry.shots


def _list_bounds(estimate: Estimate | None) -> tuple[float | None, float | None, float | None]:
    if estimate is None:
        return None, None, None
    low, high = estimate.interval or (None, None)
    return estimate.mean, low, high
