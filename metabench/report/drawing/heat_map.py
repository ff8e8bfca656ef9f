"""Heat maps as SVG that needs no script: shades of a matrix, with its groups at the edges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple
from xml.etree.ElementTree import Element

import numpy as np

from metabench.envs import Array
from metabench.methods.pictures import HeatMap
from metabench.report.drawing.canvas import (
    LARGE,
    Canvas,
    draw_rule,
    encode_png,
    format_pixels,
    make_frame,
)
from metabench.report.drawing.html import format_number, node

LETTER_WIDTH = 6.2
"""Pixels of a letter, about: names that would be wider than their place are left out."""

POSITIVE, NEGATIVE = (18, 120, 138), (201, 98, 32)
"""Hues of a heat map; shades are shares of them over paper, so that they suit light and dark."""


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
        {**make_frame(canvas, picture.title), "viewBox": f"0 0 {canvas.width} {whole_height}"},
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
    turned = {"x": 14, "y": format_pixels(centre), "transform": f"rotate(-90 14 {centre:.0f})"}
    drawn.append(node("text", {**turned, **middle}, picture.row_label))
    if not picture.row_groups:  # otherwise their names stand where the numbers of the rows would
        for y, name in ((top + 10, "1"), (top + height - 1, format_number(rows))):
            drawn.append(node("text", {"x": left - 7, "y": format_pixels(y), **end}, name))
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
        yield draw_rule("edge", (field.left - 6, field.left + field.width), (format_pixels(y),) * 2)
        yield node(
            "text", {"x": field.left - 9, "y": format_pixels(y + 11), "text-anchor": "end"}, name
        )
        passed += size


def _draw_column_groups(
    groups: Sequence[tuple[str, int]], field: _Field, columns: int
) -> Iterator[Element]:
    """A line before each group and its name above it, where there is room for it."""
    passed = 0
    for name, size in groups:
        x, width = field.left + passed / columns * field.width, size / columns * field.width
        yield draw_rule("edge", (format_pixels(x),) * 2, (field.top - 6, field.top + field.height))
        fits = len(name) * LETTER_WIDTH < width or size == columns
        text = {"x": format_pixels(x + 3), "y": field.top - 10}
        yield node(
            "text", text, name if fits else "", node("title", {}, name)
        )  # the pointer finds it in any case
        passed += size


def _shade(shares: Array) -> Array:
    """`(rows, columns)` shares from -1 to 1 as colours that are transparent at 0; NaN is wholly so."""
    known = np.nan_to_num(shares)
    # (rows, columns, 4): the hue is that of the sign, opacity the size.
    hue = np.where(known[..., None] < 0, np.array(NEGATIVE), np.array(POSITIVE))
    return np.concatenate([hue, np.abs(known)[..., None] * 255], axis=-1).round().astype(np.uint8)
