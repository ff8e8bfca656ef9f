"""What training found out about itself: any nesting of names and numbers as tables, and as plots where it has series.

Keys that differ in one number, such as `after_1_steps` and `after_15_steps`, are a series over that number.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from metabench.data.cards.axes import make_axis, make_ordinal_axis, rank_values
from metabench.methods.pictures import Series
from metabench.report.diagnostic_grids import (
    Grid,
    MeasuredNumber,
    find_grids,
    find_series,
    group_series,
    is_regular,
    label_numbered_keys,
    parse_numbered_keys,
    read_number,
    read_numbers,
)
from metabench.report.drawing.html import (
    DASH,
    figure,
    node,
    pairs,
    section,
    spell_out,
    table,
)
from metabench.report.drawing.plots import choose_colours, draw_legend, draw_lines

DEEPEST = 6
"""Levels of nesting that get headings of their own; what lies deeper is shown as JSON."""

LONGEST_TABLE = 200
"""Rows of a table of diagnostics; what follows is counted."""


def render_diagnostics(summary: Mapping[str, Any]) -> Element:
    """All of `summary`."""
    # What is one number or text goes into one list at the top; each mapping gets a part of its own.
    plain = {
        key: value
        for key, value in summary.items()
        if not isinstance(value, Mapping) or read_number(value)
    }
    parts = list(_render_content("", plain, 0)) if plain else []
    for key, value in summary.items():
        if key not in plain:
            parts += [
                node(
                    "div",
                    {"class": "diagnostic"},
                    node("h3", {"class": "stage"}, spell_out(key)),
                    *_render_content(key, value, 1),
                )
            ]
    if not parts:
        parts = [node("p", {"class": "soft"}, "This method found out nothing about itself.")]
    note = "What training found out about itself, on data of the training tasks."
    return section("diagnostics", "Diagnostics", *parts, note=note)


def _render_content(name: str, content: Any, depth: int) -> Iterator[Element]:
    """`content` as elements: grids and lists of numbers as plots, what has no better form as JSON."""
    if isinstance(content, Mapping) and content and depth < DEEPEST:
        yield from _render_mapping(content, depth)
    elif _is_list_of_numbers(content):
        yield _plot_list(name, content)
    elif isinstance(content, list) and content and all(isinstance(row, Mapping) for row in content):
        yield _render_rows(content)
    else:
        yield node("pre", {}, json.dumps(content, ensure_ascii=False, indent=1))


def _render_mapping(content: Mapping[str, Any], depth: int) -> Iterator[Element]:
    estimates = read_numbers(content)
    series = find_series(estimates)
    taken = {key for line in series.values() for key in line.values()}
    nested = {
        key: value
        for key, value in content.items()
        if key not in estimates and isinstance(value, Mapping | list)
    }
    alone = {
        spell_out(key): _format_value(value)
        for key, value in content.items()
        if key not in taken and key not in nested
    }
    if alone:
        yield pairs(alone)
    for title, grid, x_label in group_series(series, estimates):
        yield _render_grid(title, grid, x_label)
    for title, grid in find_grids(nested):
        yield _render_grid(title, grid)
    for key, value in nested.items():
        if not is_regular(value):
            yield node(
                "div",
                {"class": "diagnostic"},
                node("h4", {}, spell_out(key)),
                *_render_content(key, value, depth + 1),
            )


def _render_grid(title: str, grid: Grid, x_label: str = "") -> Element:
    """A grid as a table, and as plots where its columns or rows are numbered."""
    columns = list(dict.fromkeys(column for row in grid.values() for column in row))
    cells = [
        [spell_out(name), *(str(row[c]) if c in row else DASH for c in columns)]
        for name, row in grid.items()
    ]
    numbers = table(["", *map(spell_out, columns)], cells)
    across, down = parse_numbered_keys(columns), parse_numbered_keys(list(grid))
    plots = []
    if across is not None:
        lines = {
            spell_out(name): {across[c]: row[c] for c in columns if c in row}
            for name, row in grid.items()
            if row
        }
        plots = [_plot_lines("", lines, x_label or label_numbered_keys(columns))]
    elif down is not None:
        for column in columns:
            line = {down[name]: row[column] for name, row in grid.items() if column in row}
            plots.append(
                _plot_lines(
                    spell_out(column), {spell_out(column): line}, label_numbered_keys(list(grid))
                )
            )
    head = node("h4", {}, title) if title else None
    drawn = node("div", {"class": "grid-of-plots"}, *plots) if plots else None
    return node("div", {"class": "measured"}, head, drawn, numbers)


def _plot_lines(
    title: str, lines: Mapping[str, Mapping[float, MeasuredNumber]], x_label: str
) -> Element:
    """Lines over numbers that are equally far apart whatever they are."""
    places = sorted({at for line in lines.values() for at in line})
    drawn = []
    for name, line in lines.items():
        at = sorted(line)
        middle = np.array([line[x].value for x in at])
        half = np.array([line[x].half_width or 0.0 for x in at])
        band = (middle - half, middle + half) if half.any() else (None, None)  # (points,) each
        drawn.append(Series(name, rank_values(at, places), middle, *band))
    colours = choose_colours(drawn)
    key = draw_legend(colours) if len(drawn) > 1 else None
    values = np.concatenate(
        [part for line in drawn for part in (line.y, line.low, line.high) if part is not None]
    )
    up = make_axis(np.append(values, 0.0) if (values >= 0).all() else values, logarithmic=False)
    plot = draw_lines(
        drawn, title, x_label=x_label, x_axis=make_ordinal_axis(places), y_axis=up, colours=colours
    )
    return figure(title, key, plot)


def _is_list_of_numbers(content: Any) -> bool:
    return (
        isinstance(content, list)
        and len(content) > 1
        and all(read_number(value) for value in content)
    )


def _plot_list(name: str, content: Sequence[Any]) -> Element:
    values = [float(read_number(value).value) for value in content]  # type: ignore[union-attr]
    line = Series(spell_out(name), np.arange(1, len(values) + 1), np.array(values))
    return figure(spell_out(name), draw_lines([line], spell_out(name)))


def _render_rows(content: Sequence[Mapping[str, Any]]) -> Element:
    columns = list(dict.fromkeys(str(key) for row in content for key in row))
    cells = [
        [_format_value(row.get(column, "")) for column in columns]
        for row in content[:LONGEST_TABLE]
    ]
    rest = len(content) - LONGEST_TABLE
    return table(
        [spell_out(c) for c in columns],
        cells,
        caption=f"{rest} more rows are in the record" if rest > 0 else None,
    )


def _format_value(value: Any) -> str:
    found = read_number(value)
    if found is not None:
        return str(found)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
