"""The pictures that a policy offers, asked for and drawn."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from xml.etree.ElementTree import Element

import numpy as np

from metabench.data.load import load_columns
from metabench.data.training_data import TrainingData
from metabench.errors import MetabenchError, MethodError
from metabench.methods.contract import Policy
from metabench.methods.pictures import HeatMap, ImageStrip, LinePlot, Picture
from metabench.report.drawing.canvas import encode_png
from metabench.report.drawing.heat_map import draw_heat_map
from metabench.report.drawing.html import figure, node, section
from metabench.report.drawing.plots import choose_colours, draw_legend, draw_lines
from metabench.suites import Suite


def load_test_trajectories(suite: Suite, dataset: str) -> TrainingData | None:
    """The logged trajectories of the test tasks, counted from 0 as training tasks are; None if `dataset` has none.

    Raises:
        DataError: the dataset is not built, or damaged.
    """
    if "test" not in suite.dataset(dataset).splits:
        return None
    columns = load_columns(suite, dataset, "test", build=False)
    tasks = np.searchsorted(
        np.unique(columns.tasks), columns.tasks
    )  # (episodes,) ids become 0, 1, 2, ...
    return TrainingData(
        dataclasses.replace(columns, tasks=tasks), suite.spaces, suite_name=suite.argument
    )


def ask_for_pictures(
    policy: Policy, name: str, data: TrainingData, generator: np.random.Generator
) -> list[Picture]:
    """What `policy` offers of the trajectories in `data`.

    Raises:
        MethodError: it raised, or returned something else than pictures; names the method.
    """
    if not data.num_episodes:
        return []
    try:
        offered = policy.pictures(data, generator)
    except MetabenchError as error:
        raise MethodError(f"method {name!r}: pictures: {error}") from error
    except Exception as error:  # a plugin may raise anything
        raise MethodError(
            f"method {name!r}: pictures raised {type(error).__name__}: {error}"
        ) from error
    if not isinstance(offered, Sequence) or not all(
        isinstance(each, LinePlot | HeatMap | ImageStrip) for each in offered
    ):
        raise MethodError(
            f"method {name!r}: pictures must return a list of LinePlot, HeatMap and ImageStrip"
        )
    return list(offered)


def render_pictures(pictures: Sequence[Picture], *, of_test_tasks: bool) -> Element | None:
    """The drawn pictures; None where there are none."""
    if not pictures:
        return None
    if of_test_tasks:
        note = "The same on logged trajectories of the test tasks, of which it has seen none in training."
        return section("test-pictures", "In test tasks", *map(draw_picture, pictures), note=note)
    note = (
        "What the trained policy shows of itself, on held-out trajectories of the training tasks."
    )
    return section("pictures", "What it has learned", *map(draw_picture, pictures), note=note)


def draw_picture(picture: Picture) -> Element:
    """One picture with its title and caption."""
    if isinstance(picture, HeatMap):
        return figure(picture.title, draw_heat_map(picture), caption=picture.caption, wide=True)
    if isinstance(picture, ImageStrip):
        return figure(picture.title, _draw_strip(picture), caption=picture.caption, wide=True)
    lines = [line for panel in picture.panels.values() for line in panel]
    colours = choose_colours(lines)
    panels = [
        figure(
            title,
            draw_lines(
                panel,
                f"{picture.title}: {title}",
                x_label=picture.x_label,
                colours=colours,
                marks=picture.marks,
            ),
        )
        for title, panel in picture.panels.items()
    ]
    body = node("div", {"class": "grid-of-plots"}, *panels)
    return figure(picture.title, draw_legend(colours), body, caption=picture.caption, wide=True)


def _draw_strip(picture: ImageStrip) -> Element:
    columns = node(
        "tr", {}, node("th"), *(node("th", {"scope": "col"}, name) for name in picture.column_names)
    )
    body = node("tbody")
    for name, images in zip(picture.row_names, np.asarray(picture.images), strict=True):
        cells = [
            node("td", {}, node("img", {"src": encode_png(image), "alt": "", "class": "pixels"}))
            for image in images
        ]
        body.append(node("tr", {}, node("th", {"scope": "row"}, name), *cells))
    head = node("thead", {}, columns) if picture.column_names else None
    return node("div", {"class": "sideways"}, node("table", {"class": "images"}, head, body))
