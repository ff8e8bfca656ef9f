"""Plots as SVG that needs no script: lines with bands, heat maps, dots by row."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from xml.etree.ElementTree import Element

import numpy as np

from metabench.envs import Array
from metabench.methods.pictures import HeatMap, Series
from metabench.report.axes import Axis, make_axis
from metabench.report.html import format_number, node

COLOURS = 8
"""Lines have one of so many colours, in order."""

MOST_POINTS = 1_500
"""Longer lines are thinned to so many points: more than there are pixels."""

MOST_TOLD = 40
"""The points of lines that are no longer tell their values where the pointer rests."""

FEW = 12
"""The points of lines that are no longer have large dots."""

LETTER_WIDTH = 6.2
"""Pixels of a letter, about: names that would be wider than their place are left out."""

POSITIVE, NEGATIVE = (18, 120, 138), (201, 98, 32)
"""Hues of a heat map; shades are shares of them over paper, so that they suit light and dark."""


@dataclass(frozen=True)
class Canvas:
    """Size of a plot in pixels, and of the margins around its middle."""

    width: int = 360
    height: int = 200
    left: int = 52
    right: int = 14
    top: int = 12
    bottom: int = 34


SMALL, LARGE = Canvas(), Canvas(width=740, height=300)


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
    drawn = node("svg", _make_frame(canvas, label), *_draw_grid(canvas, across, up, x_label))
    for name, at in (marks or {}).items():
        x = float(across.place(at, canvas.left, canvas.width - canvas.right))
        foot = canvas.height - canvas.bottom
        drawn.append(_draw_rule("mark-line", (_format_pixels(x),) * 2, (canvas.top, foot)))
        drawn.append(
            node(
                "text",
                {"class": "mark-name", "x": _format_pixels(x + 4), "y": canvas.top + 9},
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


def draw_heat_map(picture: HeatMap, canvas: Canvas = LARGE) -> Element:
    """A matrix as shades, its groups named at its edges; as high as its rows need, within limits."""
    values = np.asarray(picture.values, np.float64)  # (rows, columns)
    rows, columns = values.shape
    left = canvas.left + (24 if picture.row_groups else 0)  # room for the names of groups
    top = canvas.top + (30 if picture.column_groups else 0)
    width = canvas.width - left - canvas.right
    # Cells are square where they can be, and rows never thinner than six pixels.
    height = int(np.clip(rows * max(6.0, width / columns), 90, 420))
    whole_height = top + height + canvas.bottom
    field = _Field(left, top, width, height)
    largest = (
        float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    )  # a matrix of zeros is blank, not 0 / 0

    drawn = node(
        "svg",
        {**_make_frame(canvas, picture.title), "viewBox": f"0 0 {canvas.width} {whole_height}"},
    )
    place = {"x": left, "y": top, "width": width, "height": height}
    drawn.append(node("rect", {"class": "field", **place}))
    image = {
        "href": encode_png(_shade(values / largest)),
        "preserveAspectRatio": "none",
        "class": "pixels",
    }
    about = f"{picture.title}: 0 to {format_number(largest)}"
    drawn.append(node("image", {**place, **image}, node("title", {}, about)))
    drawn.extend(_draw_row_groups(picture.row_groups, field, rows))
    drawn.extend(_draw_column_groups(picture.column_groups, field, columns))

    middle, end = {"text-anchor": "middle"}, {"text-anchor": "end"}
    foot, centre = whole_height - 8, top + height / 2
    drawn.append(node("text", {"x": left + width / 2, "y": foot, **middle}, picture.column_label))
    turned = {"x": 14, "y": _format_pixels(centre), "transform": f"rotate(-90 14 {centre:.0f})"}
    drawn.append(node("text", {**turned, **middle}, picture.row_label))
    if not picture.row_groups:  # otherwise their names stand where the numbers of the rows would
        for y, name in ((top + 10, "1"), (top + height - 1, format_number(rows))):
            drawn.append(node("text", {"x": left - 7, "y": _format_pixels(y), **end}, name))
    strongest = f"strongest {format_number(largest, 2)}"
    drawn.append(node("text", {"x": left + width, "y": foot, **end}, strongest))
    return drawn


class _Field(NamedTuple):
    """Where the matrix of a heat map lies, in pixels."""

    left: float
    top: float
    width: float
    height: float


def _draw_row_groups(
    groups: Sequence[tuple[str, int]], field: _Field, rows: int
) -> Iterator[Element]:
    """A line above each group and its name beside it."""
    passed = 0
    for name, size in groups:
        y = field.top + passed / rows * field.height
        yield _draw_rule(
            "edge", (field.left - 6, field.left + field.width), (_format_pixels(y),) * 2
        )
        yield node(
            "text", {"x": field.left - 9, "y": _format_pixels(y + 11), "text-anchor": "end"}, name
        )
        passed += size


def _draw_column_groups(
    groups: Sequence[tuple[str, int]], field: _Field, columns: int
) -> Iterator[Element]:
    """A line before each group and its name above it, where there is room for it."""
    passed = 0
    for name, size in groups:
        x, width = field.left + passed / columns * field.width, size / columns * field.width
        yield _draw_rule(
            "edge", (_format_pixels(x),) * 2, (field.top - 6, field.top + field.height)
        )
        fits = len(name) * LETTER_WIDTH < width or size == columns
        text = {"x": _format_pixels(x + 3), "y": field.top - 10}
        yield node(
            "text", text, name if fits else "", node("title", {}, name)
        )  # the pointer finds it in any case
        passed += size


def encode_png(pixels: Array) -> str:
    """`(height, width)` grey, or with a last axis of 3 or 4 colours, uint8, as an address that holds the image."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _shade(shares: Array) -> Array:
    """`(rows, columns)` shares from -1 to 1 as colours that are transparent at 0; NaN is wholly so."""
    known = np.nan_to_num(shares)
    # (rows, columns, 4): the hue is that of the sign, opacity the size.
    hue = np.where(known[..., None] < 0, np.array(NEGATIVE), np.array(POSITIVE))
    return np.concatenate([hue, np.abs(known)[..., None] * 255], axis=-1).round().astype(np.uint8)


def _make_frame(canvas: Canvas, label: str) -> dict[str, str]:
    return {
        "class": "chart",
        "viewBox": f"0 0 {canvas.width} {canvas.height}",
        "role": "img",
        "aria-label": label,
    }


def _draw_rule(
    name: str, x: tuple[float | str, float | str], y: tuple[float | str, float | str]
) -> Element:
    """A straight line of class `name` between two points."""
    return node("line", {"class": name, "x1": x[0], "x2": x[1], "y1": y[0], "y2": y[1]})


def _format_pixels(value: float) -> str:
    return f"{value:.1f}"


def _draw_grid(canvas: Canvas, across: Axis, up: Axis, x_label: str) -> list[Element]:
    right, foot = canvas.width - canvas.right, canvas.height - canvas.bottom
    made = []
    for value, text in up.ticks:
        y = float(up.place(value, foot, canvas.top))
        made.append(_draw_rule("grid", (canvas.left, right), (_format_pixels(y),) * 2))
        made.append(
            node(
                "text",
                {"x": canvas.left - 7, "y": _format_pixels(y + 4), "text-anchor": "end"},
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
            node("text", {"x": _format_pixels(x), "y": foot + 16, "text-anchor": anchor}, text)
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
            dot = {"cx": _format_pixels(x[index]), "cy": _format_pixels(y[index]), "r": radius}
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
