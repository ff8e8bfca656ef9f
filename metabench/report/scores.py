"""The scores of a record: by split, track and shots, task by task, and every scored episode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from xml.etree.ElementTree import Element

import numpy as np

from metabench.data.cards.axes import Axis, format_tick
from metabench.leaderboard.scores.models import Estimate, LeaderboardEntry
from metabench.leaderboard.scores.quotas import BlockKey, SuiteShelf
from metabench.methods.pictures import Series
from metabench.report.drawing.canvas import Canvas
from metabench.report.drawing.html import (
    DASH,
    figure,
    format_fixed,
    format_number,
    node,
    section,
    table,
)
from metabench.report.drawing.plots import choose_colours, draw_legend, draw_lines
from metabench.report.episode_returns import plot_every_episode
from metabench.runs.kept.record import Record
from metabench.suites import Suite
from metabench.suites.headroom import HIGHEST_SCORE, LOWEST_SCORE
from metabench.suites.schema import TaskEntry

HEADLINES = (("zero-shot", 0), ("few-shot", 3), ("logged-shot", 3))
"""Track and shots of the numbers that are told first, of the split `test`."""

ACTED = ("zero-shot", "few-shot")
"""Tracks of the adaptation curve: all support in them is the policy's own."""

SHADES = 10
"""Steps from no colour to full colour in the table of tasks."""


_METRICS = {"normalised": "score, mean over tasks", "success": "success, %, mean over tasks"}


def find_suite(record: Record, shelf: SuiteShelf) -> Suite | None:
    """The suite that `record` was made with, if it is the one here."""
    quotas = shelf.find_quotas(record.result.cell.suite, record.result.cell.suite_version)
    if isinstance(quotas, str) or quotas.suite.digest != record.result.cell.suite_digest:
        return None
    return quotas.suite


def render_tiles(entries: Sequence[LeaderboardEntry]) -> Element | None:
    """The few numbers that a run is known by."""
    by_key = {(entry.split, entry.track, entry.shots): entry for entry in entries}
    tiles = []
    for track, shots in HEADLINES:
        entry = by_key.get(("test", track, shots))
        if entry is not None and (entry.headline or entry.mean_return):
            if entry.headline:
                value, what = format_fixed(entry.headline.mean, 1), _METRICS[entry.metric]
            else:  # of an outdated record, whose returns cannot be normalised
                value, what = format_fixed(_read_mean(entry.mean_return), 2), "mean return"
            title = f"{track}, {shots} episodes" if shots else track
            tiles.append(
                node(
                    "div", {}, node("dt", {}, title), node("dd", {}, value), node("small", {}, what)
                )
            )
    return node("dl", {"class": "tiles"}, *tiles) if tiles else None


def render_scores(
    record: Record, entries: Sequence[LeaderboardEntry], suite: Suite | None
) -> Element:
    """All scores of one record.

    Args:
        record: the record.
        entries: what the leaderboard makes of it alone.
        suite: the suite it was made with; None if that is not at hand, and returns stay as they are.
    """
    notices = [entry.outdated for entry in entries if entry.outdated is not None][:1]
    notices += [
        f"{BlockKey(e.split, e.track, e.shots)}: {text}" for e in entries for text in e.missing
    ]
    return section(
        "scores",
        "Scores",
        *(node("p", {"class": "notice"}, text) for text in dict.fromkeys(notices)),
        _render_overview([entry for entry in entries if entry.mean_return]),
        _plot_adaptation(entries),
        _render_task_tables([entry for entry in entries if entry.tasks], suite),
        plot_every_episode(record, suite, ("test", *HEADLINES[1])),  # the block that is ranked by
        note="0 is a policy of random actions, 100 the suite’s teacher, which is told the task. A task’s score is the "
        f"mean over its episodes, between {LOWEST_SCORE:g} and {HIGHEST_SCORE:g}; the score is the mean over tasks.",
    )


def _render_overview(entries: Sequence[LeaderboardEntry]) -> Element:
    success = any(entry.success_any for entry in entries)
    adapting = any(entry.adaptation for entry in entries)
    clipped = any(entry.clipped for entry in entries)
    headings = ["split", "track", "shots", "score", "worst task", "IQM of tasks"]
    headings += [*(["adaptation"] if adapting else []), *(["clipped"] if clipped else []), "return"]
    if success:
        headings += ["success, any step %", "success, last step %"]
    rows = []
    for entry in entries:
        worst = None if entry.worst_task is None else entry.worst_task.score
        iqm = None if entry.bootstrap is None else entry.bootstrap.iqm
        values = [_format_mean(score) for score in (entry.headline, worst, iqm)]
        if adapting:
            values.append(_format_mean(entry.adaptation))
        if clipped:
            values.append(str(entry.clipped))
        values.append(format_fixed(_read_mean(entry.mean_return), 2))
        if success:
            values += [_format_mean(entry.success_any), _format_mean(entry.success_last)]
        rows.append([entry.split, entry.track, str(entry.shots), *values])
    return table(headings, rows, words=2)


def _plot_adaptation(entries: Sequence[LeaderboardEntry]) -> Element | None:
    """Scores against shots, of the whole and of each task; where a suite's score is the return, success besides."""
    plots = []
    for split in dict.fromkeys(entry.split for entry in entries):
        scored = [entry for entry in entries if entry.split == split and entry.headline]
        if len([entry for entry in scored if entry.track in ACTED]) < 2:
            continue  # one point is no curve
        plots.append(
            _plot_curve(
                f"Adaptation, {split}: {_METRICS[scored[0].metric]}",
                scored,
                lambda entry: entry.headline,
                tasks=True,
            )
        )
        if all(entry.success_any and entry.metric != "success" for entry in scored):
            plots.append(
                _plot_curve(
                    f"Adaptation, {split}: success at any step, %",
                    scored,
                    lambda entry: entry.success_any,
                )
            )
    if not plots:
        return None
    caption = (
        "After self-collected support episodes (few-shot); none is zero-shot. "
        "All tasks: the mean of the tasks’ scores; each task: the mean over its episodes."
    )
    return node(
        "div", {"class": "grid-of-plots few"}, *plots, node("p", {"class": "soft whole"}, caption)
    )


def _plot_curve(
    title: str,
    scored: Sequence[LeaderboardEntry],
    value: Callable[[LeaderboardEntry], Estimate | None],
    *,
    tasks: bool = False,
) -> Element:
    """One number of one split's entries against their shots, and the scores of each task if wanted."""
    acted = sorted(
        (entry for entry in scored if entry.track in ACTED), key=lambda entry: entry.shots
    )
    shots = np.array([float(entry.shots) for entry in acted])
    each = [
        Series(
            f"task {task.task}",
            shots,
            np.array([_find_task_score(entry, task.task) for entry in acted]),
        )
        for task in acted[0].tasks
        if tasks
    ]
    whole = Series(
        "all tasks", shots, np.array([_read_mean(value(entry)) for entry in acted]), reference=True
    )
    name = "all tasks, logged episodes instead"
    logged = [
        Series(name, np.array([float(entry.shots)]), np.array([_read_mean(value(entry))]))
        for entry in scored
        if entry.track not in ACTED
    ]
    named = choose_colours([whole, *logged])
    plot = draw_lines(
        [*each, whole, *logged],
        title,
        canvas=Canvas(560, 260),
        x_label="support episodes",
        x_axis=Axis(shots[0], shots[-1], tuple((at, format_tick(at)) for at in shots.tolist())),
        colours={**{line.name: "plain" for line in each}, **named},
    )
    return figure(title, draw_legend({**named, **({"each task": "plain"} if each else {})}), plot)


def _render_task_tables(entries: Sequence[LeaderboardEntry], suite: Suite | None) -> Element | None:
    """Rows are tasks, columns blocks, cells mean scores."""
    parts = []
    for split in dict.fromkeys(entry.split for entry in entries):
        columns = [entry for entry in entries if entry.split == split]
        rows = []
        for task in dict.fromkeys(task.task for entry in columns for task in entry.tasks):
            cells = [_render_shaded(_find_task_score(entry, task)) for entry in columns]
            rows.append([_render_task_name(task, suite), *cells])
        headings = [
            f"{entry.track}, {entry.shots}" if entry.shots else entry.track for entry in columns
        ]
        title = node("h3", {}, f"Task by task, {split}: mean score")
        parts.append(node("div", {}, title, table([f"task of {split}", *headings], rows)))
    return node("div", {"class": "beside"}, *parts) if parts else None


def _render_task_name(task: int, suite: Suite | None) -> Element:
    entry = suite.tasks[task] if suite is not None and 0 <= task < len(suite.tasks) else None
    told = (
        node("span", {"class": "soft"}, f" {format_task_numbers(entry)}")
        if entry is not None
        else None
    )
    return node("th", {"scope": "row"}, str(task), told)


def format_task_numbers(task: TaskEntry, most: int = 3) -> str:
    """The numbers that fix a task, as far as they are few: `goal 0.31, −0.95`."""
    found = []
    for key, value in task.parameters.items():
        values = value if isinstance(value, list | tuple) else [value]
        if len(values) <= most and all(isinstance(each, int | float | str) for each in values):
            found.append(
                f"{key} "
                + ", ".join(v if isinstance(v, str) else format_number(float(v), 3) for v in values)
            )
    return "; ".join(found[:most])


def _render_shaded(score: float) -> Element:
    if not np.isfinite(score):
        return node("td", {"class": "number"}, DASH)
    shade = int(np.clip(round(score / 100 * SHADES), 0, SHADES))
    return node("td", {"class": f"number shade{shade}"}, format_fixed(score, 1))


def _find_task_score(entry: LeaderboardEntry, task: int) -> float:
    return next((found.score.mean for found in entry.tasks if found.task == task), float("nan"))


def _read_mean(estimate: Estimate | None) -> float:
    return float("nan") if estimate is None else estimate.mean


def _format_mean(estimate: Estimate | None) -> str:
    return DASH if estimate is None else format_fixed(estimate.mean, 1)
