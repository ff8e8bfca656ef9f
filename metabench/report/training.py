"""The training curves: every number that training logged, by stage."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from xml.etree.ElementTree import Element

import numpy as np

from metabench.methods.pictures import Series
from metabench.report.drawing.html import figure, format_number, node, section, spell_out
from metabench.report.drawing.plots import choose_colours, draw_legend, draw_lines
from metabench.system.plain_values import name_numbers, read_number

COUNTED = ("stage", "update")
"""Keys of a row that say where in the training it is."""

VALIDATION = "validation_"
"""A metric of this name and another without it are drawn over each other."""


def render_training(curve: Sequence[Mapping[str, float | int | str]]) -> Element:
    """Plots of the rows of `curve`, one a metric, under the names of the stages."""
    stages: dict[str, list[Mapping[str, float | int | str]]] = {}
    for row in curve:
        stages.setdefault(str(row.get("stage", "")), []).append(row)
    parts: list[Element] = []
    for name, rows in stages.items():
        plots = [_plot_metric(title, lines) for title, lines in _collect_metrics(rows)]
        if plots:
            last = max(_read_update(row, place) for place, row in enumerate(rows))
            count = node("span", {"class": "soft"}, f"{format_number(last)} updates")
            parts += [node("h3", {"class": "stage"}, spell_out(name) or "training", " ", count)]
            parts += [node("div", {"class": "grid-of-plots"}, *plots)]
    if not parts:
        parts = [
            node(
                "p",
                {"class": "soft"},
                "This method logged nothing while it trained, or has nothing to train.",
            )
        ]
    return section(
        "training",
        "Training",
        *parts,
        note="Everything that training logged, against updates of its stage.",
    )


def _collect_metrics(
    rows: Sequence[Mapping[str, float | int | str]],
) -> Iterator[tuple[str, list[Series]]]:
    """Title and lines of each plot."""
    points: dict[str, list[tuple[float, float]]] = {}
    for place, row in enumerate(rows):
        for key, value in row.items():
            number = read_number(value)
            if key not in COUNTED and number is not None:
                points.setdefault(key, []).append((_read_update(row, place), number))
    for key in points:
        if key.startswith(VALIDATION) and key.removeprefix(VALIDATION) in points:
            continue  # drawn with the other one
        names = [(spell_out(key), key)]
        if VALIDATION + key in points:
            names = [("training", key), ("validation", VALIDATION + key)]
        yield spell_out(key), [Series(name, *np.array(points[metric]).T) for name, metric in names]


def _plot_metric(title: str, lines: Sequence[Series]) -> Element:
    last = ", ".join(_format_last(float(line.y[-1])) for line in lines)
    colours = choose_colours(lines)
    key = draw_legend(colours) if len(lines) > 1 else None
    return figure(
        title,
        key,
        draw_lines(lines, f"{title} by update", colours=colours),
        caption=f"at the end {last}{_tell_not_finite(lines)}",
    )


def _format_last(value: float) -> str:
    return format_number(value) if math.isfinite(value) else str(name_numbers(value))


def _tell_not_finite(lines: Sequence[Series]) -> str:
    """How many values are NaN or infinite, which no plot can show, and where the first is."""
    told = ""
    for line in lines:
        places = np.flatnonzero(~np.isfinite(line.y))
        if len(places):
            kinds = Counter(str(name_numbers(float(line.y[place]))) for place in places)
            counts = ", ".join(f"{name} {count} times" for name, count in sorted(kinds.items()))
            told += f"; {counts}, first at update {format_number(float(line.x[places[0]]))}"
    return told


def _read_update(row: Mapping[str, float | int | str], place: int) -> float:
    value = row.get("update")
    found = read_number(value)
    return found if found is not None and math.isfinite(found) else float(place + 1)
