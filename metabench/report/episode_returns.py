"""The return of every scored episode, as strips of dots."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element

import numpy as np

from metabench.data.cards.axes import make_axis
from metabench.leaderboard.scores.quotas import identify_block
from metabench.report.drawing.canvas import LARGE
from metabench.report.drawing.html import (
    format_number,
    node,
)
from metabench.runs.kept.record import Record
from metabench.suites import Suite

LINE_HEIGHT = 22
"""Pixels between the tasks of a strip of dots."""


def plot_every_episode(
    record: Record, suite: Suite | None, opened: tuple[str, str, int]
) -> Element:
    """A strip of dots a block, folded away but for the one whose split, track and shots are `opened`."""
    parts = []
    for block in record.result.blocks:
        if block.rows:
            is_opened = (block.split, block.track, block.shots) == opened
            state = {"open": ""} if is_opened else {}
            key = str(identify_block(block))
            strip = _draw_returns([(row.task, row.total_return) for row in block.rows], key, suite)
            parts.append(node("details", state, node("summary", {}, key), strip))
    for collection in record.result.collections:
        if collection.rows:
            title = f"{collection.split}: support episodes that it acted itself, not scored"
            strip = _draw_returns(
                [(row.task, row.total_return) for row in collection.rows], title, suite
            )
            parts.append(node("details", {}, node("summary", {}, title), strip))
    note = "A dot is an episode, the large one their mean."
    if suite:
        note += " Bars mark the suite’s references: random actions on the left, the teacher on the right."
    head = node("h3", {}, "Return of every episode")
    return node("div", {"class": "episodes"}, head, node("p", {"class": "soft"}, note), *parts)


def _draw_returns(returns: Sequence[tuple[int, float]], label: str, suite: Suite | None) -> Element:
    """Dots by task over a common axis of returns."""
    by_task: dict[int, list[float]] = {}
    for task, value in sorted(returns):
        by_task.setdefault(task, []).append(value)
    ends = {task: _list_references(task, suite) for task in by_task}
    # The references lie on the axis as well, also where all returns are far from them.
    everything = [value for _, value in returns] + [end for pair in ends.values() for end in pair]
    axis = make_axis(np.array(everything), 5, tight=True, logarithmic=False)
    left, right = 66, LARGE.width - 24

    def find_x(value: float) -> str:
        return f"{float(axis.place(value, left, right)):.1f}"

    height = len(by_task) * LINE_HEIGHT + 30
    frame = {"class": "chart strip", "viewBox": f"0 0 {LARGE.width} {height}", "role": "img"}
    drawn = node("svg", {**frame, "aria-label": f"Returns of {label}"})
    for value, text in axis.ticks:
        x = find_x(value)
        drawn.append(node("line", {"class": "grid", "x1": x, "x2": x, "y1": 2, "y2": height - 22}))
        drawn.append(node("text", {"x": x, "y": height - 6, "text-anchor": "middle"}, text))
    for place, (task, values) in enumerate(by_task.items()):
        y = (place + 0.5) * LINE_HEIGHT + 2
        drawn.append(node("text", {"x": 0, "y": y + 4}, f"task {task}"))
        drawn.append(node("line", {"class": "base", "x1": left, "x2": right, "y1": y, "y2": y}))
        for x in map(find_x, ends[task]):
            drawn.append(node("line", {"class": "end", "x1": x, "x2": x, "y1": y - 7, "y2": y + 7}))
        for value in values:
            dot = {"cx": find_x(value), "cy": y, "r": 2.5}
            drawn.append(node("circle", dot, node("title", {}, format_number(value))))
        mean = float(np.mean(values))
        told = f"task {task}: mean return {format_number(mean)} of {len(values)} episodes"
        large_dot = {"class": "mean", "cx": find_x(mean), "cy": y, "r": 4.5}
        drawn.append(node("circle", large_dot, node("title", {}, told)))
    return drawn


def _list_references(task: int, suite: Suite | None) -> tuple[float, ...]:
    if suite is None or not 0 <= task < len(suite.tasks):
        return ()
    return suite.tasks[task].reference.random, suite.tasks[task].reference.expert
