"""Numbers in what training found out about itself: grids by row and column, and series over numbered keys."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from metabench.data.cards.axes import format_tick
from metabench.report.drawing.html import as_float, format_number, spell_out

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


def find_series(
    estimates: Mapping[str, MeasuredNumber],
) -> dict[tuple[str, str], dict[float, str]]:
    """Keys that differ in one number: by what surrounds it, and by that number."""
    found: dict[tuple[str, str], dict[float, str]] = {}
    for key in estimates:
        if match := _NUMBERED.match(key):
            found.setdefault((match[1], match[3]), {})[float(match[2])] = key
    return {around: dict(sorted(line.items())) for around, line in found.items() if len(line) > 1}


def group_series(
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


def find_grids(nested: Mapping[str, Any]) -> Iterator[tuple[str, Grid]]:
    """Mappings of mappings as grids; one level deeper, a grid for each name of the innermost level."""
    flat = {key: read_numbers(value) for key, value in nested.items() if _is_flat(value)}
    if flat:
        yield "", flat
    deep = {key: value for key, value in nested.items() if is_regular(value) and key not in flat}
    leaves = dict.fromkeys(
        leaf for value in deep.values() for row in value.values() for leaf in row
    )
    for leaf in leaves:
        grid = {}
        for key, value in deep.items():
            numbers = {column: read_number(row.get(leaf)) for column, row in value.items()}
            grid[key] = {column: number for column, number in numbers.items() if number is not None}
        yield spell_out(leaf), grid


def _is_flat(content: Any) -> bool:
    return (
        isinstance(content, Mapping)
        and bool(content)
        and all(read_number(value) for value in content.values())
    )


def is_regular(content: Any) -> bool:
    """Whether it is part of a grid."""
    return _is_flat(content) or (
        isinstance(content, Mapping)
        and bool(content)
        and all(_is_flat(value) for value in content.values())
    )


def read_numbers(content: Mapping[str, Any]) -> dict[str, MeasuredNumber]:
    """The values of `content` that are numbers."""
    return {
        key: found for key, value in content.items() if (found := read_number(value)) is not None
    }


def read_number(value: Any) -> MeasuredNumber | None:
    """`value` if it is a number, alone or with the half-width of its interval."""
    if isinstance(value, int | float) and not isinstance(
        value, bool
    ):  # Python's true is a number, too
        return MeasuredNumber(as_float(value))
    if isinstance(value, Mapping) and set(value) == ESTIMATE:
        middle, half = (read_number(value[key]) for key in ("mean", "half_width"))
        if middle is not None and half is not None:
            return MeasuredNumber(middle.value, half.value)
    return None


def label_numbered_keys(keys: Sequence[str]) -> str:
    """What the numbers of keys are, as the label of an axis: `after … steps`."""
    match = _NUMBERED.match(keys[0])
    return spell_out(f"{match[1]}…{match[3]}").strip() if match else ""


def parse_numbered_keys(keys: Sequence[str]) -> dict[str, float] | None:
    """The number in each key, if all of them are one series."""
    matches = {key: _NUMBERED.match(key) for key in keys}
    around = {(match[1], match[3]) for match in matches.values() if match}
    if len(keys) < 2 or len(around) != 1 or not all(matches.values()):
        return None
    return {key: float(match[2]) for key, match in matches.items() if match}
