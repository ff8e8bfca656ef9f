"""Scenes as SVG: frames of a body, and ways through the plane. Whatever a simulator shows is drawn alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.etree.ElementTree import Element

import numpy as np

from metabench.envs.scene import Capsule, Circle, Colour, Point, Scene, Shape, root_moves
from metabench.report.drawing.html import format_fixed, node

FRAMES = 6
"""Frames of an episode, evenly over it."""

WIDTH, HEIGHT = 2.4, 1.8
"""Metres of a frame seen from the side, at 100 units of the drawing a metre; all frames have this shape."""

FROM_ABOVE = 1.4
"""So many times larger are frames seen from above."""

GROUND = 20
"""Units of the drawing below the ground line: room for the marks."""


def draw_frames(scenes: Sequence[Scene], colour: str) -> list[Element]:
    """Frames evenly over an episode and, where the root moves over the ground, its way in the colour class `colour`."""
    frames = []
    for step in np.linspace(0, len(scenes) - 1, FRAMES).round().astype(int).tolist():
        caption = node("figcaption", {}, scenes[step].describe_moment(step))
        frames.append(node("figure", {}, draw_frame(scenes[step]), caption))
    if scenes[0].view == "above" and root_moves(scenes):
        frames.append(
            node("figure", {}, _draw_route(scenes, colour), node("figcaption", {}, "its way"))
        )
    return frames


def draw_frame(scene: Scene) -> Element:
    """One moment: around the root from above, or over the ground from the side."""
    above = scene.view == "above"
    if scene.width is None:
        enlarged, unit = (FROM_ABOVE if above else 1.0), 100.0
    else:
        enlarged, unit = 1.0, 100 * WIDTH / scene.width
    width, height = 100 * enlarged * WIDTH, 100 * enlarged * HEIGHT
    left, top = -width / 2, (-height / 2 if above else -height + GROUND)
    made = _make_svg((left, top, width, height), "the scene" if scene.width else "the body")
    if not above:
        made.append(node("path", {"class": "floor", "d": f"M{left},0H{-left}"}))
    if scene.marks:
        made.extend(_draw_marks(scene, unit, (left, top, width, height)))
    for shape in scene.shapes:
        made.extend(_draw_shape(shape, scene.root, unit))
    if scene.goal is not None:
        made.append(_draw_cross(scene.goal, scene.root, unit))
    return made


def draw_ways(episodes: Sequence[tuple[Sequence[Scene], str, str, bool]], label: str) -> Element:
    """The ways of points through the plane, seen from above, in metres times 100.

    Args:
        episodes: of each its scenes, its colour class, its title, and whether it is drawn faintly, below the others.
        label: what the picture is, for those who hear it.
    """
    roots = [
        np.array([scene.root for scene in scenes]) for scenes, *_ in episodes
    ]  # (steps + 1, 2) each
    first = episodes[0][0][0]
    goals = list(
        dict.fromkeys(scenes[0].goal for scenes, *_ in episodes if scenes[0].goal is not None)
    )
    corners = [
        np.array(shape.points) for shape in first.shapes if not isinstance(shape, Capsule | Circle)
    ]
    seen = np.concatenate([*roots, *corners, np.array(goals).reshape(-1, 2)])
    reach = 1.08 * max(1.0, float(np.abs(seen).max()))
    made = _make_svg((-100 * reach, -100 * reach, 200 * reach, 200 * reach), label)
    for place in np.arange(-np.floor(reach), np.floor(reach) + 0.1) if first.marks else ():
        for ends in (((place, -reach), (place, reach)), ((-reach, place), (reach, place))):
            made.append(node("path", {"class": "ground", "d": _path(ends)}))
    for shape in first.shapes:
        made.extend(_draw_shape(shape, (0.0, 0.0), 100.0))
    for start in dict.fromkeys(scenes[0].root for scenes, *_ in episodes):
        made.append(
            node(
                "circle",
                {"class": "start", "r": 4, "cx": _units(start[0]), "cy": _units(-start[1])},
            )
        )
    for scenes, colour, title, faint in sorted(episodes, key=lambda each: not each[3]):
        way = {"class": f"walk faint {colour}" if faint else f"walk {colour}"}
        way["d"] = _path([scene.root for scene in scenes])
        made.append(node("path", way, node("title", {}, title)))
        if not faint:
            x, y = scenes[-1].root
            made.append(
                node(
                    "circle",
                    {
                        "class": f"end {colour}",
                        "r": 3.5,
                        "cx": f"{100 * x:.1f}",
                        "cy": f"{100 * -y:.1f}",
                    },
                )
            )
    made.extend(_draw_cross(goal, (0.0, 0.0), 100.0) for goal in goals)
    return made


def _make_svg(view: tuple[float, float, float, float], label: str) -> Element:
    box = " ".join(f"{number:.0f}" for number in view)
    return node("svg", {"class": "scene", "viewBox": box, "role": "img", "aria-label": label})


def _units(metres: float) -> str:
    """Of the drawing; whole numbers without decimals."""
    return f"{round(100 * metres, 1) + 0.0:g}"


def _path(points: Sequence[Point]) -> str:
    return "M" + "L".join(f"{100 * x:.1f},{-100 * y:.1f}" for x, y in points)


def _draw_marks(
    scene: Scene, unit: float, view: tuple[float, float, float, float]
) -> list[Element]:
    """Every whole metre to the right: a line over the ground from above, a notch and its number from the side."""
    left, top, width, height = view
    above, middle = scene.view == "above", scene.root[0]
    made = []
    for metre in range(math.floor(middle + left / unit), math.ceil(middle - left / unit) + 1):
        x = unit * (metre - middle)
        line = f"M{x:.1f},{top:.0f}v{height:.0f}" if above else f"M{x:.1f},0v6"
        made.append(node("path", {"class": "ground", "d": line}))
        if not above and abs(x) < width / 2 - 16:  # a number nearer to the edge would be cut off
            place = {"class": "metres", "x": f"{x:.1f}", "y": 16, "text-anchor": "middle"}
            made.append(node("text", place, f"{format_fixed(metre, 0)} m"))
    return made


def _draw_shape(shape: Shape, root: Point, unit: float) -> list[Element]:
    """A shape, `unit` units of the drawing a metre, with `root` at the drawing's origin."""
    if isinstance(shape, Capsule):
        return _draw_capsule(shape, root, unit)
    if isinstance(shape, Circle):
        x, y = _place(shape.centre, root, unit)
        return [
            node(
                "circle",
                {"cx": x, "cy": y, "r": f"{unit * shape.radius:.1f}", "fill": _rgb(shape.colour)},
            )
        ]
    outline = "M" + "L".join(",".join(_place(point, root, unit)) for point in shape.points)
    if shape.filled:
        return [node("path", {"d": f"{outline}Z", "fill": _rgb(shape.colour)})]
    return [
        node(
            "path",
            {"d": outline, "fill": "none", "stroke": _rgb(shape.colour), "stroke-width": "1.5"},
        )
    ]


def _draw_capsule(capsule: Capsule, root: Point, unit: float) -> list[Element]:
    """Two lines with round ends: a darker one for the edge, and a thinner one on it."""
    ends = unit * (np.array(capsule.ends) - root) * [1, -1]
    place = {
        key: f"{value:.1f}"
        for key, value in zip(("x1", "y1", "x2", "y2"), ends.flatten(), strict=True)
    }
    if np.allclose(ends[0], ends[1]):
        place["x2"] = f"{ends[1, 0] + 0.1:.1f}"  # a line without length has no round ends
    red, green, blue = capsule.colour
    edge = f"rgb({0.6 * red:.0f},{0.6 * green:.0f},{0.6 * blue:.0f})"
    thickness = 2 * unit * capsule.radius
    made = []
    for thick, colour in ((thickness, edge), (thickness - 2.4, _rgb(capsule.colour))):
        stroke = {"stroke": colour, "stroke-width": f"{max(thick, 1):.1f}"}
        made.append(node("line", {"class": "limb", **place, **stroke}))
    return made


def _draw_cross(goal: Point, root: Point, unit: float) -> Element:
    x, y = unit * (goal[0] - root[0]), -unit * (goal[1] - root[1])
    cross = f"M{x - 5:.1f},{y - 5:.1f}l10,10M{x - 5:.1f},{y + 5:.1f}l10,-10"
    return node("path", {"class": "goal", "d": cross})


def _place(point: Point, root: Point, unit: float) -> tuple[str, str]:
    return f"{unit * (point[0] - root[0]):.1f}", f"{-unit * (point[1] - root[1]):.1f}"


def _rgb(colour: Colour) -> str:
    red, green, blue = colour
    return f"rgb({red},{green},{blue})"


def _draw_route(scenes: Sequence[Scene], colour: str) -> Element:
    """Where the root has been, from above, as large as the frame allows."""
    places = np.array([scene.root for scene in scenes])  # (steps + 1, 2)
    farthest = np.maximum(np.abs(places).max(axis=0), 0.5)
    scale = float((np.array([WIDTH, HEIGHT]) / 2 / farthest).min()) / 1.15
    made = _make_svg((-50 * WIDTH, -50 * HEIGHT, 100 * WIDTH, 100 * HEIGHT), "the way of the body")
    made.append(node("circle", {"class": "start", "r": 4, "cx": 0, "cy": 0}))
    made.append(node("path", {"class": f"walk {colour}", "d": _path((places * scale).tolist())}))
    corner = {"x": f"{50 * WIDTH - 4:.0f}", "y": f"{50 * HEIGHT - 5:.0f}", "text-anchor": "end"}
    made.append(node("text", {"class": "metres", **corner}, f"{round(WIDTH / scale)} m wide"))
    return made
