"""Acted episodes as pictures: bodies over the ground, walks in the plane, and in every suite lines over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

import numpy as np

from metabench.envs import Array
from metabench.methods.pictures import LinePlot, Series
from metabench.report.episodes import ADAPTED, ZERO_SHOT, Acted
from metabench.report.html import figure, format_fixed, format_number, node, section
from metabench.report.pictures import draw_picture
from metabench.report.plots import draw_legend
from metabench.report.scores import format_task_numbers
from metabench.suites import Suite
from metabench.suites.schema import TaskEntry

if TYPE_CHECKING:
    from metabench.envs.locomotion.environment import LocomotionEnvironment

FRAMES = 6
"""Frames of a body, evenly over its episode."""

WIDTH, HEIGHT = 2.4, 1.8
"""Metres of a frame seen from the side."""

FROM_ABOVE = 1.4
"""So many times larger are frames seen from above."""

COORDINATES = 5
"""Coordinates of the observation that are drawn over time, the first ones."""


def episodes_section(acted: Sequence[tuple[TaskEntry, list[Acted]]], suite: Suite) -> Element:
    """What the policy does in a few test tasks, without support and with its own."""
    from metabench.envs.locomotion.environment import LocomotionEnvironment
    from metabench.envs.point_robot import PointRobotEnvironment

    parts: list[Element] = []
    environment = suite.environment()
    if isinstance(environment, PointRobotEnvironment):
        walks = [figure(_title(task), _walk(task, episodes)) for task, episodes in acted]
        caption = (
            "From the origin (small ring) to the hidden goal (cross). Grey: support episodes, which are not scored."
        )
        parts += [
            draw_legend({ZERO_SHOT: "c1", ADAPTED: "c0", "support episodes": "c7"}),
            node("div", {"class": "grid-of-plots"}, *walks),
            node("p", {"class": "soft"}, caption),
        ]
    for task, episodes in acted:
        if isinstance(environment, LocomotionEnvironment):
            parts.append(figure(_title(task), *_bodies(episodes, environment), wide=True))
        parts.append(draw_picture(_over_time(task, episodes)))
    note = f"Acted for this report in the first test tasks of {suite.name}: one episode without support, and one after "
    note += "three that it acted itself. They begin as the protocol’s do, and are none of the scored ones."
    return section("episodes", "Episodes", *parts, note=note)


def _title(task: TaskEntry) -> str:
    return f"task {task.id}: {told}" if (told := format_task_numbers(task)) else f"task {task.id}"


def _scored(episodes: Sequence[Acted]) -> list[Acted]:
    return [each for each in episodes if not each.support]


def _colour(acted: Acted) -> str:
    return "c7" if acted.support else {ZERO_SHOT: "c1", ADAPTED: "c0"}[acted.kind]


def _over_time(task: TaskEntry, episodes: Sequence[Acted]) -> LinePlot:
    """Rewards and the first coordinates of the observation, after support and without."""
    adapted_first = sorted(_scored(episodes), key=lambda acted: acted.kind != ADAPTED)
    panels = {"reward": [_line(acted, acted.episode.rewards) for acted in adapted_first]}
    dimensions = adapted_first[0].episode.observations.shape[1]
    for place in range(min(dimensions, COORDINATES)):
        name = f"observation {place + 1} of {dimensions}"
        panels[name] = [_line(acted, acted.episode.observations[:, place]) for acted in adapted_first]
    returns = "; ".join(f"{acted.kind} {format_number(acted.episode.total_return)}" for acted in episodes)
    return LinePlot(f"{_title(task)}, over time", panels, "step", f"Returns: {returns}.")


def _line(acted: Acted, values: Array) -> Series:
    known = np.where(np.isfinite(values), np.asarray(values, np.float64), np.nan)
    return Series(acted.kind, np.arange(len(values), dtype=np.float64), known)


def _walk(task: TaskEntry, episodes: Sequence[Acted]) -> Element:
    """Places in the plane, seen from above, in metres times 100."""
    goal = np.array(task.parameters["goal"], np.float64)
    paths = [acted.episode.observations for acted in episodes]
    reach = 1.08 * max(1.0, float(np.abs(np.concatenate([*paths, goal[None]])).max()))
    view = f"{-100 * reach:.0f} {-100 * reach:.0f} {200 * reach:.0f} {200 * reach:.0f}"
    made = node("svg", {"class": "scene", "viewBox": view, "role": "img", "aria-label": f"Walks in task {task.id}"})
    for place in np.arange(-np.floor(reach), np.floor(reach) + 0.1):
        for ends in (((place, -reach), (place, reach)), ((-reach, place), (reach, place))):
            made.append(node("path", {"class": "ground", "d": _path(np.array(ends))}))
    made.append(node("circle", {"class": "start", "r": 4, "cx": 0, "cy": 0}))
    for acted in sorted(episodes, key=lambda each: not each.support):
        told = node("title", {}, f"{acted.kind}: return {format_number(acted.episode.total_return)}")
        kind = "walk faint" if acted.support else "walk"
        made.append(node("path", {"class": f"{kind} {_colour(acted)}", "d": _path(acted.episode.observations)}, told))
        end = 100 * acted.episode.observations[-1]
        if not acted.support:
            made.append(
                node(
                    "circle",
                    {"class": f"end {_colour(acted)}", "r": 3.5, "cx": f"{end[0]:.1f}", "cy": f"{-end[1]:.1f}"},
                )
            )
    x, y = 100 * goal[0], -100 * goal[1]
    cross = f"M{x - 5:.1f},{y - 5:.1f}l10,10M{x - 5:.1f},{y + 5:.1f}l10,-10"
    made.append(node("path", {"class": "goal", "d": cross}))
    return made


def _path(points: Array) -> str:
    return "M" + "L".join(f"{100 * x:.1f},{-100 * y:.1f}" for x, y in np.asarray(points, np.float64))


def _bodies(episodes: Sequence[Acted], environment: LocomotionEnvironment) -> list[Element]:
    """A row of frames for each scored episode."""
    from metabench.envs.locomotion.picture import seen_from_above

    above = seen_from_above(environment.model)
    made = []
    for acted in _scored(episodes):
        assert acted.positions is not None
        head = node("h4", {}, node("span", {"class": f"key {_colour(acted)}"}), acted.kind)
        frames = []
        for step in np.linspace(0, len(acted.positions) - 1, FRAMES).round().astype(int).tolist():
            told = f"{step * environment.seconds:.1f} s"
            frames.append(
                node("figure", {}, _frame(acted.positions[step], environment, above), node("figcaption", {}, told))
            )
        if above:
            frames.append(node("figure", {}, _route(acted), node("figcaption", {}, "its way")))
        made += [head, node("div", {"class": "frames"}, *frames)]
    return made


def _frame(positions: Array, environment: LocomotionEnvironment, above: bool) -> Element:
    """The body at one moment: from above around its root, from the side over the ground."""
    from metabench.envs.locomotion.picture import limbs

    body = limbs(environment.model, positions)
    middle = positions[:2] if above else np.array([np.mean([limb.ends[:, 0] for limb in body]), 0.0])
    width, height = (FROM_ABOVE * WIDTH, FROM_ABOVE * HEIGHT) if above else (WIDTH, HEIGHT)
    left, top = -50 * width, -50 * height if above else -100 * height + 20
    view = f"{left:.0f} {top:.0f} {100 * width:.0f} {100 * height:.0f}"
    made = node("svg", {"class": "scene", "viewBox": view, "role": "img", "aria-label": "the body"})
    if not above:
        made.append(node("path", {"class": "floor", "d": f"M{left},0H{-left}"}))
    for metre in range(math.floor(middle[0] - width / 2), math.ceil(middle[0] + width / 2) + 1):
        x = 100 * (metre - middle[0])
        line = f"M{x:.1f},{top:.0f}v{100 * height:.0f}" if above else f"M{x:.1f},0v6"
        made.append(node("path", {"class": "ground", "d": line}))
        if not above and abs(x) < 50 * width - 16:
            made.append(
                node(
                    "text",
                    {"class": "metres", "x": f"{x:.1f}", "y": 16, "text-anchor": "middle"},
                    f"{format_fixed(metre, 0)} m",
                )
            )
    for limb in body:
        red, green, blue = limb.colour
        ends = 100 * (limb.ends - middle) * [1, -1]
        place = {key: f"{value:.1f}" for key, value in zip(("x1", "y1", "x2", "y2"), ends.flatten(), strict=True)}
        if np.allclose(ends[0], ends[1]):
            place["x2"] = f"{ends[1, 0] + 0.1:.1f}"  # a line without length has no round ends
        edge = f"rgb({0.6 * red:.0f},{0.6 * green:.0f},{0.6 * blue:.0f})"
        for thick, colour in ((200 * limb.radius, edge), (200 * limb.radius - 2.4, f"rgb({red},{green},{blue})")):
            stroke = {"stroke": colour, "stroke-width": f"{max(thick, 1):.1f}"}
            made.append(node("line", {"class": "limb", **place, **stroke}))
    return made


def _route(acted: Acted) -> Element:
    """Where the root has been, from above."""
    assert acted.positions is not None
    places = acted.positions[:, :2]
    farthest = np.maximum(np.abs(places).max(axis=0), 0.5)
    scale = float((np.array([WIDTH, HEIGHT]) / 2 / farthest).min()) / 1.15
    view = f"{-50 * WIDTH:.0f} {-50 * HEIGHT:.0f} {100 * WIDTH:.0f} {100 * HEIGHT:.0f}"
    made = node("svg", {"class": "scene", "viewBox": view, "role": "img", "aria-label": "the way of the body"})
    made.append(node("circle", {"class": "start", "r": 4, "cx": 0, "cy": 0}))
    made.append(node("path", {"class": f"walk {_colour(acted)}", "d": _path(places * scale)}))
    corner = {"x": f"{50 * WIDTH - 4:.0f}", "y": f"{50 * HEIGHT - 5:.0f}", "text-anchor": "end"}
    made.append(node("text", {"class": "metres", **corner}, f"{round(WIDTH / scale)} m wide"))
    return made
