"""The training curves: every number that training logged, by stage."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from xml.etree.ElementTree import Element

import numpy as np

from metabench.methods.pictures import Series
from metabench.report.html import as_float, figure, node, number, section, words
from metabench.report.plots import colours_of, legend, line_plot

COUNTED = ("stage", "update")
"""Keys of a row that say where in the training it is."""

VALIDATION = "validation_"
"""A metric of this name and another without it are drawn over each other."""


def training_section(curve: Sequence[Mapping[str, float | int | str]]) -> Element:
    """Plots of the rows of `curve`, one a metric, under the names of the stages."""
    stages: dict[str, list[Mapping[str, float | int | str]]] = {}
    for row in curve:
        stages.setdefault(str(row.get("stage", "")), []).append(row)
    parts: list[Element] = []
    for name, rows in stages.items():
        plots = [_plot(title, lines) for title, lines in _metrics(rows)]
        if plots:
            last = max(_update(row, place) for place, row in enumerate(rows))
            count = node("span", {"class": "soft"}, f"{number(last)} updates")
            parts += [node("h3", {"class": "stage"}, words(name) or "training", " ", count)]
            parts += [node("div", {"class": "grid-of-plots"}, *plots)]
    if not parts:
        parts = [node("p", {"class": "soft"}, "This method logged nothing while it trained, or has nothing to train.")]
    return section(
        "training", "Training", *parts, note="Everything that training logged, against updates of its stage."
    )


def _metrics(rows: Sequence[Mapping[str, float | int | str]]) -> Iterator[tuple[str, list[Series]]]:
    """Title and lines of each plot."""
    points: dict[str, list[tuple[float, float]]] = {}
    for place, row in enumerate(rows):
        for key, value in row.items():
            if key not in COUNTED and isinstance(value, int | float):
                points.setdefault(key, []).append((_update(row, place), as_float(value)))
    for key in points:
        if key.startswith(VALIDATION) and key.removeprefix(VALIDATION) in points:
            continue
        names = [(words(key), key)]
        if VALIDATION + key in points:
            names = [("training", key), ("validation", VALIDATION + key)]
        yield words(key), [Series(name, *np.array(points[metric]).T) for name, metric in names]


def _plot(title: str, lines: Sequence[Series]) -> Element:
    last = ", ".join(number(float(line.y[-1])) for line in lines)
    colours = colours_of(lines)
    key = legend(colours) if len(lines) > 1 else None
    return figure(title, key, line_plot(lines, f"{title} by update", colours=colours), caption=f"at the end {last}")


def _update(row: Mapping[str, float | int | str], place: int) -> float:
    value = row.get("update")
    found = as_float(value) if isinstance(value, int | float) else math.nan
    return found if math.isfinite(found) else float(place + 1)
