"""Plots as SVG that needs no script: lines with bands, heat maps, dots by row."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    held = [values for line in lines for values in (line.y, line.low, line.high) if values is not None]
    across = x_axis or make_axis(np.concatenate([line.x for line in lines]), tight=True, logarithmic=False)
    up = y_axis or make_axis(np.concatenate(held))
    colours = choose_colours(lines) if colours is None else colours
    drawn = node("svg", _make_frame(canvas, label), *_draw_grid(canvas, across, up, x_label))
    for name, at in (marks or {}).items():
        x = float(across.place(at, canvas.left, canvas.width - canvas.right))
        drawn.append(
            node(
                "line",
                {
                    "class": "mark-line",
                    "x1": _format_pixels(x),
                    "x2": _format_pixels(x),
                    "y1": canvas.top,
                    **_to(canvas),
                },
            )
        )
        drawn.append(node("text", {"class": "mark-name", "x": _format_pixels(x + 4), "y": canvas.top + 9}, name))
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
    keys = [node("span", {}, node("span", {"class": f"key {colour}"}), name) for name, colour in colours.items()]
    return node("p", {"class": "legend"}, *keys)


def draw_heat_map(picture: HeatMap, canvas: Canvas = LARGE) -> Element:
    """A matrix as shades, its groups named at its edges."""
    values = np.asarray(picture.values, np.float64)
    rows, columns = values.shape
    top = canvas.top + (30 if picture.column_groups else 0)
    left = canvas.left + (24 if picture.row_groups else 0)
    wide = canvas.width - left - canvas.right
    high = int(np.clip(rows * max(6.0, wide / columns), 90, 420))
    height = top + high + canvas.bottom
    largest = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    drawn = node("svg", {**_make_frame(canvas, picture.title), "viewBox": f"0 0 {canvas.width} {height}"})
    place = {"x": left, "y": top, "width": wide, "height": high}
    drawn.append(node("rect", {"class": "field", **place}))
    image = {"href": encode_png(_shade(values / largest)), "preserveAspectRatio": "none", "class": "pixels"}
    drawn.append(
        node("image", {**place, **image}, node("title", {}, f"{picture.title}: 0 to {format_number(largest)}"))
    )
    for axis, groups in enumerate((picture.row_groups, picture.column_groups)):
        passed = 0
        for name, size in groups:
            if axis:
                x, width = left + passed / columns * wide, size / columns * wide
                drawn.append(
                    node(
                        "line",
                        {
                            "class": "edge",
                            "x1": _format_pixels(x),
                            "x2": _format_pixels(x),
                            "y1": top - 6,
                            "y2": top + high,
                        },
                    )
                )
                shown = name if len(name) * 6.2 < width or size == columns else ""
                drawn.append(node("text", {"x": _format_pixels(x + 3), "y": top - 10}, shown, node("title", {}, name)))
            else:
                y = top + passed / rows * high
                drawn.append(
                    node(
                        "line",
                        {
                            "class": "edge",
                            "x1": left - 6,
                            "x2": left + wide,
                            "y1": _format_pixels(y),
                            "y2": _format_pixels(y),
                        },
                    )
                )
                drawn.append(node("text", {"x": left - 9, "y": _format_pixels(y + 11), "text-anchor": "end"}, name))
            passed += size
    middle = {"text-anchor": "middle"}
    drawn.append(node("text", {"x": left + wide / 2, "y": height - 8, **middle}, picture.column_label))
    turned = f"rotate(-90 14 {top + high / 2:.0f})"
    drawn.append(
        node("text", {"x": 14, "y": _format_pixels(top + high / 2), "transform": turned, **middle}, picture.row_label)
    )
    if not picture.row_groups:
        for at, name in ((0.0, "1"), (1.0, format_number(rows))):
            drawn.append(
                node(
                    "text",
                    {"x": left - 7, "y": _format_pixels(top + 10 + at * (high - 11)), "text-anchor": "end"},
                    name,
                )
            )
    drawn.append(
        node(
            "text", {"x": left + wide, "y": height - 8, "text-anchor": "end"}, f"strongest {format_number(largest, 2)}"
        )
    )
    return drawn


def encode_png(pixels: Array) -> str:
    """`(height, width)` grey, or with a last axis of 3 or 4 colours, uint8, as an address that holds the image."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _shade(shares: Array) -> Array:
    """`(rows, columns)` shares from -1 to 1 as colours that are transparent at 0; NaN is wholly so."""
    known = np.nan_to_num(shares)
    hue = np.where(known[..., None] < 0, np.array(NEGATIVE), np.array(POSITIVE))
    return np.concatenate([hue, np.abs(known)[..., None] * 255], axis=-1).round().astype(np.uint8)


def _make_frame(canvas: Canvas, label: str) -> dict[str, str]:
    return {"class": "chart", "viewBox": f"0 0 {canvas.width} {canvas.height}", "role": "img", "aria-label": label}


def _to(canvas: Canvas) -> dict[str, int]:
    return {"y2": canvas.height - canvas.bottom}


def _format_pixels(value: float) -> str:
    return f"{value:.1f}"


def _draw_grid(canvas: Canvas, across: Axis, up: Axis, x_label: str) -> list[Element]:
    right, foot = canvas.width - canvas.right, canvas.height - canvas.bottom
    made = []
    for value, text in up.ticks:
        y = float(up.place(value, foot, canvas.top))
        made.append(
            node(
                "line",
                {"class": "grid", "x1": canvas.left, "x2": right, "y1": _format_pixels(y), "y2": _format_pixels(y)},
            )
        )
        made.append(node("text", {"x": canvas.left - 7, "y": _format_pixels(y + 4), "text-anchor": "end"}, text))
    last = len(across.ticks) - 1
    for place, (value, text) in enumerate(across.ticks):
        x = float(across.place(value, canvas.left, right))
        anchor = "end" if place == last and x > right - 4 else "middle"
        made.append(node("text", {"x": _format_pixels(x), "y": foot + 16, "text-anchor": anchor}, text))
    if x_label:
        centre = (canvas.left + right) / 2
        made.append(
            node("text", {"class": "axis", "x": centre, "y": canvas.height - 3, "text-anchor": "middle"}, x_label)
        )
    return made


def _draw_line(line: Series, canvas: Canvas, across: Axis, up: Axis, colour: str) -> Element:
    """A line, its band, and its points where they are few."""
    every = -(-len(line.x) // MOST_POINTS)
    kept = np.unique(np.append(np.arange(0, len(line.x), every), len(line.x) - 1))
    x = across.place(np.asarray(line.x)[kept], canvas.left, canvas.width - canvas.right)

    def height(values: Array) -> Array:
        return up.place(np.asarray(values)[kept], canvas.height - canvas.bottom, canvas.top)

    y = height(line.y)
    made = node("g", {"class": f"line {colour}"})
    if line.low is not None and line.high is not None:
        low, high = height(line.low), height(line.high)
        fine = np.isfinite(low) & np.isfinite(high)
        if fine.sum() > 1:
            outline = [*zip(x[fine], high[fine], strict=True), *list(zip(x[fine], low[fine], strict=True))[::-1]]
            made.append(node("path", {"class": "band", "d": _make_path(outline) + "Z"}))
        if len(kept) <= MOST_TOLD:
            for at, ends in zip(x[fine], zip(low[fine], high[fine], strict=True), strict=True):
                made.append(node("path", {"class": "whisker", "d": _make_path([(at, ends[0]), (at, ends[1])])}))
    for run in _find_runs(np.isfinite(y)):
        points = list(zip(x[run], y[run], strict=True))
        made.append(node("path", {"class": "series", "d": _make_path(points)}, node("title", {}, line.name)))
    if len(kept) <= MOST_TOLD or not np.isfinite(y).any():
        for index in np.flatnonzero(np.isfinite(y)):
            told = f"{line.name}\n{format_number(float(np.asarray(line.x)[kept][index]))}: "
            told += format_number(float(np.asarray(line.y)[kept][index]))
            dot = {
                "cx": _format_pixels(x[index]),
                "cy": _format_pixels(y[index]),
                "r": 2.6 if len(kept) <= FEW else 1.5,
            }
            made.append(node("circle", dot, node("title", {}, told)))
    return made


def _find_runs(known: Array) -> list[slice]:
    """Stretches where `(n,)` bool `known` is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(np.int8)))
    return [slice(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def _make_path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points)
