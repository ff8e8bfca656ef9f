"""A lane as a flat picture: plain shapes in metres, so that whoever draws them need not know the simulator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Point: TypeAlias = tuple[float, float]
"""Metres in the picture: to the right, and up."""

Colour: TypeAlias = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

MOVING, STILL, WALL = (204, 153, 102), (110, 110, 110), (190, 188, 182)
"""Colours that the simulators here share: for what acts, for what it acts on, and for what stands in its way."""


@dataclass(frozen=True)
class Capsule:
    """A thick line with round ends; if both ends are one point, a ball.

    Attributes:
        ends: its two ends.
        radius: metres.
        colour: of its filling; drawings give it a darker edge.
    """

    ends: tuple[Point, Point]
    radius: float
    colour: Colour


@dataclass(frozen=True)
class Circle:
    """A disc without an edge.

    Attributes:
        centre: its middle.
        radius: metres.
        colour: of its filling.
    """

    centre: Point
    radius: float
    colour: Colour


@dataclass(frozen=True)
class Polyline:
    """A line through points, or the area that it encloses.

    Attributes:
        points: at least two.
        colour: of the line, or of the area.
        filled: an area instead of a line.
    """

    points: tuple[Point, ...]
    colour: Colour
    filled: bool = False


Shape: TypeAlias = Capsule | Circle | Polyline


@dataclass(frozen=True)
class Scene:
    """The present look of a lane.

    A drawing keeps `root` in the middle (`side`: in the middle of the ground line). If the root follows the body, the
    frame moves with it; if the root stays, the camera is fixed. If the root moves and is seen from `above`, a drawing
    adds its path.

    Attributes:
        view: `side`, over a ground line at the root's height, or `above`.
        root: the centre of the frame.
        shapes: the shapes in the order of drawing: the nearest comes last.
        point: only a point at `root` moves, and the shapes stand still. Then its path shows the whole episode, and no
            frames are drawn.
        goal: the place to reach, drawn as a cross, if the task has one to show.
        direction: the direction to take, radians from the right, counter-clockwise, if the task has one to show.
        width: metres from left to right of a frame; None for a width that suits a body of about one metre.
        marks: whether the ground has a mark at every whole metre.
        caption: text beside the frame, such as `0.4 s`; if empty, the number of the step.
    """

    view: Literal["side", "above"]
    root: Point
    shapes: tuple[Shape, ...] = ()
    point: bool = False
    goal: Point | None = None
    direction: float | None = None
    width: float | None = None
    marks: bool = True
    caption: str = ""

    def describe_moment(self, step: int) -> str:
        """The caption, or which step it is."""
        return self.caption or f"step {step}"


def root_moves(scenes: Sequence[Scene]) -> bool:
    """Whether the frame is laid around a place that changes: then its way is worth drawing."""
    return any(scene.root != scenes[0].root for scene in scenes)


def make_rectangle(centre: Point, width: float, height: float, colour: Colour) -> Polyline:
    """A filled rectangle."""
    (x, y), right, up = centre, width / 2, height / 2
    return Polyline(
        ((x - right, y - up), (x + right, y - up), (x + right, y + up), (x - right, y + up)),
        colour,
        True,
    )
