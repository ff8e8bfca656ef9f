"""Pictures that a policy offers of what it has learned: named arrays, which `metabench report` draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from metabench.envs import Array
from metabench.errors import MethodError


@dataclass(frozen=True)
class Series:
    """One line of a panel, perhaps with a band around it.

    Attributes:
        name: its name; series with the same name have the same colour in all panels of a picture.
        x: `(n,)` finite.
        y: `(n,)`; NaN is a gap.
        low, high: `(n,)` ends of the band, or None for a line without one.
        reference: the others are compared with this one; it is drawn in ink, not in a colour.
    """

    name: str
    x: Array
    y: Array
    low: Array | None = None
    high: Array | None = None
    reference: bool = False


@dataclass(frozen=True)
class LinePlot:
    """Panels of lines over a common horizontal axis.

    Attributes:
        title: what is seen.
        panels: the lines of each panel, by its title.
        x_label: what the horizontal axis is, with its unit.
        caption: how it was made and how to read it.
        marks: marked places on the horizontal axis, by name.
    """

    title: str
    panels: Mapping[str, Sequence[Series]]
    x_label: str = ""
    caption: str = ""
    marks: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise `MethodError` where arrays do not fit together or hold infinite numbers."""
        _require(bool(self.panels), self.title, "expected at least one panel")
        for panel, series in self.panels.items():
            _require(bool(series), self.title, f"panel {panel!r}: expected at least one series")
            for line in series:
                self._check_line(line, f"panel {panel!r}, series {line.name!r}")
        _require(
            all(np.isfinite(at) for at in self.marks.values()), self.title, "marks must be finite"
        )

    def _check_line(self, line: Series, where: str) -> None:
        shape = np.shape(line.x)
        _require(
            len(shape) == 1 and shape[0] > 0, self.title, f"{where}: x must be (n,), not {shape}"
        )
        _require(
            (line.low is None) == (line.high is None),
            self.title,
            f"{where}: give both low and high",
        )
        for name, values in (("y", line.y), ("low", line.low), ("high", line.high)):
            if values is not None:
                found = np.shape(values)
                _require(
                    found == shape,
                    self.title,
                    f"{where}: {name} must be {shape} as x is, not {found}",
                )
                _require(
                    not np.isinf(values).any(),
                    self.title,
                    f"{where}: {name} holds infinite numbers",
                )
        _require(bool(np.isfinite(line.x).all()), self.title, f"{where}: x must be finite")


@dataclass(frozen=True)
class HeatMap:
    """A matrix as shades; negative values have their own colour.

    Attributes:
        title: what is seen.
        values: `(rows, columns)` floats; NaN stays blank.
        row_label, column_label: what rows and columns are.
        row_groups, column_groups: (name, number of rows or columns) of neighbours that belong together, in order; they
            cover all of them, or are empty.
        caption: how it was made and how to read it.
    """

    title: str
    values: Array
    row_label: str = ""
    column_label: str = ""
    row_groups: Sequence[tuple[str, int]] = ()
    column_groups: Sequence[tuple[str, int]] = ()
    caption: str = ""

    def __post_init__(self) -> None:
        """Raise `MethodError` unless the values are a matrix that the groups cover."""
        shape = np.shape(self.values)
        _require(
            len(shape) == 2 and min(shape) > 0,
            self.title,
            f"values must be (rows, columns), not {shape}",
        )
        _require(not np.isinf(self.values).any(), self.title, "values hold infinite numbers")
        for axis, (name, groups) in enumerate(
            (("row", self.row_groups), ("column", self.column_groups))
        ):
            count = sum(size for _, size in groups)
            _require(
                not groups or (count == shape[axis] and all(size > 0 for _, size in groups)),
                self.title,
                f"{name}_groups cover {count} of {shape[axis]} {name}s",
            )


@dataclass(frozen=True)
class ImageStrip:
    """Rows of small images: frames over time, with real ones above imagined ones.

    Attributes:
        title: what is seen.
        images: `(rows, columns, height, width)` grey or `(rows, columns, height, width, 3)` red, green and blue; uint8.
        row_names: one a row.
        column_names: one a column, or none.
        caption: how it was made and how to read it.
    """

    title: str
    images: Array
    row_names: Sequence[str]
    column_names: Sequence[str] = ()
    caption: str = ""

    def __post_init__(self) -> None:
        """Raise `MethodError` unless the images are bytes and the names as many as they."""
        shape = np.shape(self.images)
        fits = len(shape) == 4 or (len(shape) == 5 and shape[-1] == 3)
        _require(
            fits and min(shape) > 0,
            self.title,
            f"images must be (rows, columns, height, width[, 3]), not {shape}",
        )
        dtype = np.asarray(self.images).dtype
        _require(dtype == np.uint8, self.title, f"images must be uint8, not {dtype}")
        _require(
            len(self.row_names) == shape[0],
            self.title,
            f"{len(self.row_names)} names of {shape[0]} rows",
        )
        named = len(self.column_names) in (0, shape[1])
        _require(named, self.title, f"{len(self.column_names)} names of {shape[1]} columns")


Picture: TypeAlias = LinePlot | HeatMap | ImageStrip
"""What `Policy.pictures` returns some of."""


def _require(fine: bool, title: str, problem: str) -> None:
    if not fine:
        raise MethodError(f"picture {title!r:.80}: {problem}")
