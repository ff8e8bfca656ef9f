"""Lines with bands over common axes, as SVG that needs no script, and their legend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from xml.etree.ElementTree import Element

import numpy as np

from metabench.data.cards.axes import Axis, make_axis
from metabench.envs import Array
from metabench.methods.pictures import Series
from metabench.report.drawing.canvas import SMALL, Canvas, draw_rule, format_pixels, make_frame
from metabench.report.drawing.html import format_number, node

COLOURS = 8
"""Lines have one of so many colours, in order."""

MOST_POINTS = 1_500
"""Longer lines are thinned to so many points: more than there are pixels."""

MOST_TOLD = 40
"""The points of lines that are no longer tell their values where the pointer rests."""

FEW = 12
"""The points of lines that are no longer have large dots."""


def draw_lines(
    lines: Sequence[Series],
    label: str,
    *,
    canvas: Canvas = SMALL,
    x_label: str = "",
    x_axis: Axis | None = None,
    y_axis: Axis | None = None,
    colours: Mapping[str, str] | None = None,
    marks: Mapping[str, float] | None = None,
) -> Element:
    """Lines over common axes.

    Args:
        lines: with their bands.
        label: what the plot shows, for those who do not see it.
        canvas: its size.
        x_label: what the horizontal axis is.
        x_axis: None takes one that holds all values.
        y_axis: likewise.
        colours: class of each name, `c0` to `c7` or `plain`; by default in the order of `lines`.
        marks: places on the horizontal axis that are pointed out.
    """
    heights = [
        values for line in lines for values in (line.y, line.low, line.high) if values is not None
    ]
    across = x_axis or make_axis(
        np.concatenate([line.x for line in lines]), tight=True, logarithmic=False
    )
    up = y_axis or make_axis(np.concatenate(heights))
    colours = choose_colours(lines) if colours is None else colours
    drawn = node("svg", make_frame(canvas, label), *_draw_grid(canvas, across, up, x_label))
    for name, at in (marks or {}).items():
        x = float(across.place(at, canvas.left, canvas.width - canvas.right))
        foot = canvas.height - canvas.bottom
        drawn.append(draw_rule("mark-line", (format_pixels(x),) * 2, (canvas.top, foot)))
        drawn.append(
            node(
                "text",
                {"class": "mark-name", "x": format_pixels(x + 4), "y": canvas.top + 9},
                name,
            )
        )
    for line in lines:
        drawn.append(_draw_line(line, canvas, across, up, colours[line.name]))
    return drawn


def choose_colours(lines: Sequence[Series]) -> dict[str, str]:
    """A class for each name: `ink` for references, the others `c0` to `c7` in the order of their first appearance."""
    names = dict.fromkeys(line.name for line in lines if not line.reference)
    found = {line.name: "ink" for line in lines if line.reference}
    return {**found, **{name: f"c{place % COLOURS}" for place, name in enumerate(names)}}


def draw_legend(colours: Mapping[str, str]) -> Element:
    """Names beside their colours."""
    keys = [
        node("span", {}, node("span", {"class": f"key {colour}"}), name)
        for name, colour in colours.items()
    ]
    return node("p", {"class": "legend"}, *keys)


def _draw_grid(canvas: Canvas, across: Axis, up: Axis, x_label: str) -> list[Element]:
    right, foot = canvas.width - canvas.right, canvas.height - canvas.bottom
    made = []
    for value, text in up.ticks:
        y = float(up.place(value, foot, canvas.top))
        made.append(draw_rule("grid", (canvas.left, right), (format_pixels(y),) * 2))
        made.append(
            node(
                "text",
                {"x": canvas.left - 7, "y": format_pixels(y + 4), "text-anchor": "end"},
                text,
            )
        )
    last = len(across.ticks) - 1
    for place, (value, text) in enumerate(across.ticks):
        x = float(across.place(value, canvas.left, right))
        anchor = (
            "end" if place == last and x > right - 4 else "middle"
        )  # a centred one would reach out of the plot
        made.append(
            node("text", {"x": format_pixels(x), "y": foot + 16, "text-anchor": anchor}, text)
        )
    if x_label:
        centre = (canvas.left + right) / 2
        made.append(
            node(
                "text",
                {"class": "axis", "x": centre, "y": canvas.height - 3, "text-anchor": "middle"},
                x_label,
            )
        )
    return made


def _draw_line(line: Series, canvas: Canvas, across: Axis, up: Axis, colour: str) -> Element:
    """A line, its band, and its points where they are few."""
    every = -(-len(line.x) // MOST_POINTS)  # rounded up
    # The last point always stays: what a curve ends at is what it is read for.
    kept = np.unique(np.append(np.arange(0, len(line.x), every), len(line.x) - 1))
    values, heights = np.asarray(line.x)[kept], np.asarray(line.y)[kept]  # (kept,)
    x = across.place(values, canvas.left, canvas.width - canvas.right)

    def find_pixels(part: Array) -> Array:
        return up.place(np.asarray(part)[kept], canvas.height - canvas.bottom, canvas.top)

    y = find_pixels(line.y)
    made = node("g", {"class": f"line {colour}"})
    if line.low is not None and line.high is not None:
        low, high = find_pixels(line.low), find_pixels(line.high)
        fine = np.isfinite(low) & np.isfinite(high)
        made.extend(
            _draw_band(x[fine], low[fine], high[fine], with_whiskers=len(kept) <= MOST_TOLD)
        )
    for run in _find_runs(np.isfinite(y)):
        points = list(zip(x[run], y[run], strict=True))
        made.append(
            node("path", {"class": "series", "d": _make_path(points)}, node("title", {}, line.name))
        )
    if len(kept) <= MOST_TOLD:
        radius = 2.6 if len(kept) <= FEW else 1.5
        for index in np.flatnonzero(np.isfinite(y)):
            where, value = format_number(float(values[index])), format_number(float(heights[index]))
            dot = {"cx": format_pixels(x[index]), "cy": format_pixels(y[index]), "r": radius}
            made.append(node("circle", dot, node("title", {}, f"{line.name}\n{where}: {value}")))
    return made


def _draw_band(x: Array, low: Array, high: Array, *, with_whiskers: bool) -> Iterator[Element]:
    """The area between `(n,)` low and high ends, in pixels; an end at each point where whiskers are wanted."""
    if len(x) > 1:
        there = list(zip(x, high, strict=True))
        back = list(zip(x, low, strict=True))[::-1]
        yield node("path", {"class": "band", "d": _make_path([*there, *back]) + "Z"})
    if with_whiskers:  # the only sight of an interval at a point that has no neighbour
        for at, bottom, top in zip(x, low, high, strict=True):
            yield node("path", {"class": "whisker", "d": _make_path([(at, bottom), (at, top)])})


def _find_runs(known: Array) -> list[slice]:
    """Stretches where `(n,)` bool `known` is true."""
    # Where it changes, beginning and end counted as false: starts and stops in turn.
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(np.int8)))
    return [slice(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def _make_path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points)
