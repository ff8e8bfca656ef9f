"""What training found out about itself: any nesting of names and numbers as tables, and as plots where it has series.

Keys that differ in one number, such as `after_1_steps` and `after_15_steps`, are a series over that number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element

import numpy as np

from metabench.methods.pictures import Series
from metabench.report.axes import make_axis, make_ordinal_axis, rank_values
from metabench.report.html import (
    DASH,
    as_float,
    figure,
    format_number,
    format_tick,
    node,
    pairs,
    section,
    spell_out,
    table,
)
from metabench.report.plots import choose_colours, draw_legend, draw_lines

DEEPEST = 6
"""Levels of nesting that get headings of their own; what lies deeper is shown as JSON."""

LONGEST_TABLE = 200
"""Rows of a table of diagnostics; what follows is counted."""

ESTIMATE = {"mean", "half_width"}
"""A mapping of these is one number with the half-width of its interval."""

_NUMBERED = re.compile(r"^(\D*)(\d+(?:\.\d+)?)(\D*)$")


class MeasuredNumber(NamedTuple):
    """A number, perhaps with half the width of its interval."""

    value: float
    half_width: float | None = None

    def __str__(self) -> str:
        """For tables."""
        return format_number(self.value) + (
            "" if self.half_width is None else f" ± {format_number(self.half_width, 2)}"
        )


Grid = Mapping[str, Mapping[str, MeasuredNumber]]
"""Numbers by row and column; not every row has every column."""


def render_diagnostics(summary: Mapping[str, Any]) -> Element:
    """All of `summary`."""
    # What is one number or text goes into one list at the top; each mapping gets a part of its own.
    plain = {
        key: value
        for key, value in summary.items()
        if not isinstance(value, Mapping) or _read_number(value)
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
    estimates = _read_numbers(content)
    series = _find_series(estimates)
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
    for title, grid, x_label in _group_series(series, estimates):
        yield _render_grid(title, grid, x_label)
    for title, grid in _find_grids(nested):
        yield _render_grid(title, grid)
    for key, value in nested.items():
        if not _is_regular(value):
            yield node(
                "div",
                {"class": "diagnostic"},
                node("h4", {}, spell_out(key)),
                *_render_content(key, value, depth + 1),
            )


def _find_series(
    estimates: Mapping[str, MeasuredNumber],
) -> dict[tuple[str, str], dict[float, str]]:
    """Keys that differ in one number: by what surrounds it, and by that number."""
    found: dict[tuple[str, str], dict[float, str]] = {}
    for key in estimates:
        if match := _NUMBERED.match(key):
            found.setdefault((match[1], match[3]), {})[float(match[2])] = key
    return {around: dict(sorted(line.items())) for around, line in found.items() if len(line) > 1}


def _group_series(
    series: Mapping[tuple[str, str], Mapping[float, str]], estimates: Mapping[str, MeasuredNumber]
) -> Iterator[tuple[str, Grid, str]]:
    """Series of one mapping, together where they begin alike: title, rows, and what the numbers are."""
    together: dict[str, dict[str, dict[str, MeasuredNumber]]] = {}
    for (before, after), line in series.items():
        label = spell_out(f"{before}…{after}").strip()
        row = {format_tick(at): estimates[key] for at, key in line.items()}
        together.setdefault(before, {})[label] = row
    for before, grid in together.items():
        yield spell_out(before).strip() if len(together) > 1 else "", grid, next(iter(grid))


def _find_grids(nested: Mapping[str, Any]) -> Iterator[tuple[str, Grid]]:
    """Mappings of mappings as grids; one level deeper, a grid for each name of the innermost level."""
    flat = {key: _read_numbers(value) for key, value in nested.items() if _is_flat(value)}
    if flat:
        yield "", flat
    deep = {key: value for key, value in nested.items() if _is_regular(value) and key not in flat}
    leaves = dict.fromkeys(
        leaf for value in deep.values() for row in value.values() for leaf in row
    )
    for leaf in leaves:
        grid = {}
        for key, value in deep.items():
            numbers = {column: _read_number(row.get(leaf)) for column, row in value.items()}
            grid[key] = {column: number for column, number in numbers.items() if number is not None}
        yield spell_out(leaf), grid


def _is_flat(content: Any) -> bool:
    return (
        isinstance(content, Mapping)
        and bool(content)
        and all(_read_number(value) for value in content.values())
    )


def _is_regular(content: Any) -> bool:
    """Whether it is part of a grid."""
    return _is_flat(content) or (
        isinstance(content, Mapping)
        and bool(content)
        and all(_is_flat(value) for value in content.values())
    )


def _read_numbers(content: Mapping[str, Any]) -> dict[str, MeasuredNumber]:
    return {
        key: found for key, value in content.items() if (found := _read_number(value)) is not None
    }


def _read_number(value: Any) -> MeasuredNumber | None:
    if isinstance(value, int | float) and not isinstance(
        value, bool
    ):  # Python's true is a number, too
        return MeasuredNumber(as_float(value))
    if isinstance(value, Mapping) and set(value) == ESTIMATE:
        middle, half = (_read_number(value[key]) for key in ("mean", "half_width"))
        if middle is not None and half is not None:
            return MeasuredNumber(middle.value, half.value)
    return None


def _render_grid(title: str, grid: Grid, x_label: str = "") -> Element:
    """A grid as a table, and as plots where its columns or rows are numbered."""
    columns = list(dict.fromkeys(column for row in grid.values() for column in row))
    cells = [
        [spell_out(name), *(str(row[c]) if c in row else DASH for c in columns)]
        for name, row in grid.items()
    ]
    numbers = table(["", *map(spell_out, columns)], cells)
    across, down = _parse_numbered_keys(columns), _parse_numbered_keys(list(grid))
    plots = []
    if across is not None:
        lines = {
            spell_out(name): {across[c]: row[c] for c in columns if c in row}
            for name, row in grid.items()
            if row
        }
        plots = [_plot_lines("", lines, x_label or _label_numbered_keys(columns))]
    elif down is not None:
        for column in columns:
            line = {down[name]: row[column] for name, row in grid.items() if column in row}
            plots.append(
                _plot_lines(
                    spell_out(column), {spell_out(column): line}, _label_numbered_keys(list(grid))
                )
            )
    head = node("h4", {}, title) if title else None
    drawn = node("div", {"class": "grid-of-plots"}, *plots) if plots else None
    return node("div", {"class": "measured"}, head, drawn, numbers)


def _label_numbered_keys(keys: Sequence[str]) -> str:
    """What the numbers of keys are, as the label of an axis: `after … steps`."""
    match = _NUMBERED.match(keys[0])
    return spell_out(f"{match[1]}…{match[3]}").strip() if match else ""


def _parse_numbered_keys(keys: Sequence[str]) -> dict[str, float] | None:
    """The number in each key, if all of them are one series."""
    matches = {key: _NUMBERED.match(key) for key in keys}
    around = {(match[1], match[3]) for match in matches.values() if match}
    if len(keys) < 2 or len(around) != 1 or not all(matches.values()):
        return None
    return {key: float(match[2]) for key, match in matches.items() if match}


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
        and all(_read_number(value) for value in content)
    )


def _plot_list(name: str, content: Sequence[Any]) -> Element:
    values = [float(_read_number(value).value) for value in content]  # type: ignore[union-attr]
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
    found = _read_number(value)
    if found is not None:
        return str(found)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
