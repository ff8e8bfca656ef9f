"""Scenes as pixels: paints one scene onto a PIL image, larger than it is shown so that edges come out smooth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from metabench.envs.scene import Capsule, Circle, Colour, Point, Scene, Shape
from metabench.envs.spaces import Array

METRE = 62
"""Pixels of a metre where the scene does not say how much it shows."""

FINER = 3
"""Painted so many times larger, then reduced: smooth edges."""

GROUND = 16
"""Pixels below the ground line: room for its marks."""

INK, FAINT, SKY, WANTED = (60, 60, 60), (205, 205, 205), (250, 250, 248), (25, 110, 180)


def write_text(
    image: Any,
    x: float,
    y: float,
    text: str,
    size: int,
    colour: Colour,
    anchor: str = "la",
    halo: int = 0,
) -> None:
    """Write into a PIL image; places and sizes in pixels as they are shown, `halo` those of a light edge."""
    from PIL import ImageDraw, ImageFont

    font = ImageFont.load_default(size * FINER)
    place = x * FINER, y * FINER
    draw = ImageDraw.Draw(image)
    draw.text(place, text, colour, font, anchor, stroke_width=halo * FINER, stroke_fill=SKY)


class ScenePainter:
    """A PIL image and where its scene's metres lie in it."""

    def __init__(self, width: int, height: int, scene: Scene) -> None:
        """Make an empty image of so many shown pixels, laid around the scene's root."""
        from PIL import Image, ImageDraw

        self._scene, self._width, self._height = scene, width, height
        self._above = scene.view == "above"
        self.image: Any = Image.new("RGB", (width * FINER, height * FINER), SKY)
        self._draw: Any = ImageDraw.Draw(self.image)
        pixels = METRE if scene.width is None else width / scene.width
        self._unit = pixels * FINER
        self._reach = width / pixels / 2  # metres from the middle to an edge
        self._root = np.array(scene.root)
        self._middle = np.array([width / 2, height / 2 if self._above else height - GROUND]) * FINER

    def paint_frame(self, *, show_place: bool) -> Any:
        """The whole scene; `show_place` writes where the root is, seen from above. Returns the image."""
        self._paint_ground(show_place)
        self.paint_shapes(self._scene.shapes)
        if self._scene.direction is not None:
            self._paint_arrow(self._scene.direction)
        if self._scene.goal is not None:
            self.paint_cross(self._scene.goal)
        return self.image

    def paint_shapes(self, shapes: Sequence[Shape]) -> None:
        """In their order, one over another."""
        for shape in shapes:
            if isinstance(shape, Capsule):
                self._paint_capsule(shape)
            elif isinstance(shape, Circle):
                self._paint_disc(self._place(shape.centre), shape.radius * self._unit, shape.colour)
            elif shape.filled:
                self._draw.polygon(
                    [tuple(self._place(point)) for point in shape.points], shape.colour
                )
            else:
                self._draw.line(
                    [tuple(self._place(point)) for point in shape.points], shape.colour, 2 * FINER
                )

    def paint_path(self, points: Array) -> None:
        """A way through `(steps + 1, 2)` metres."""
        self._draw.line(
            [tuple(point) for point in self._place(points).tolist()], INK, 2 * FINER, joint="curve"
        )

    def paint_wanted_line(self, points: Array) -> None:
        """A thin line through `(2, 2)` metres: where the way should go."""
        self._draw.line(
            [tuple(point) for point in self._place(points).tolist()], WANTED, FINER, joint="curve"
        )

    def paint_cross(self, goal: Point) -> None:
        """The place to reach."""
        x, y = self._place(goal).tolist()
        arm = 5 * FINER
        self._draw.line([(x - arm, y - arm), (x + arm, y + arm)], WANTED, 2 * FINER)
        self._draw.line([(x - arm, y + arm), (x + arm, y - arm)], WANTED, 2 * FINER)

    def _place(self, points: Any) -> Array:
        """Metres, `(..., 2)`, as pixels of the image, whose y axis points down."""
        return np.asarray((points - self._root) * [self._unit, -self._unit] + self._middle)

    def _paint_ground(self, show_place: bool) -> None:
        """The ground line from the side, and a mark at every whole metre if the scene wants them."""
        x, y = self._root.tolist()
        if self._scene.marks:
            for metre in range(math.ceil(x - self._reach), math.floor(x + self._reach) + 1):
                self._paint_mark(metre)
        if self._above and self._scene.marks:
            for metre in range(math.ceil(y - self._reach), math.floor(y + self._reach) + 1):
                level = float(self._place(np.array([0.0, metre]))[1])
                self._draw.line([(0, level), (self._width * FINER, level)], FAINT, FINER)
        if self._above and show_place:
            text = f"({x:.1f}, {y:.1f}) m"
            write_text(self.image, self._width - 5, self._height - 15, text, 10, INK, "ra")
        if not self._above:
            self._draw.line(
                [(0, self._middle[1]), (self._width * FINER, self._middle[1])], INK, FINER
            )

    def _paint_mark(self, metre: int) -> None:
        """At a whole metre to the right: a line over the ground from above, a notch and its number from the side."""
        x = float(self._place(np.array([metre, 0.0]))[0])
        top = 0 if self._above else self._middle[1]
        length = (self._height if self._above else 4) * FINER
        self._draw.line([(x, top), (x, top + length)], FAINT if self._above else INK, FINER)
        if (
            not self._above and 12 < x / FINER < self._width - 12
        ):  # a number nearer to the edge would be cut off
            write_text(self.image, x / FINER, self._height - 13, f"{metre} m", 10, INK, "ma")

    def _paint_capsule(self, capsule: Capsule) -> None:
        """A line with two discs at its ends, first as large as it is in a darker colour, then without the edge."""
        first, second = self._place(np.array(capsule.ends))
        red, green, blue = capsule.colour
        edge = round(red * 0.55), round(green * 0.55), round(blue * 0.55)
        radius = capsule.radius * self._unit
        for size, colour in ((radius, edge), (radius - 1.2 * FINER, capsule.colour)):
            if size <= 0:  # thinner than its edge
                continue
            self._draw.line([tuple(first), tuple(second)], colour, round(2 * size))
            for end in (first, second):
                self._paint_disc(end, size, colour)

    def _paint_disc(self, centre: Array, radius: float, colour: Colour) -> None:
        self._draw.ellipse([tuple(centre - radius), tuple(centre + radius)], colour)

    def _paint_arrow(self, direction: float) -> None:
        """The wanted direction, from the middle outwards."""
        along = np.array([math.cos(direction), -math.sin(direction)])
        across = np.array([-along[1], along[0]])
        tip = self._middle + along * self._width * FINER * 0.3
        self._draw.line([tuple(self._middle), tuple(tip - along * 6 * FINER)], WANTED, 3 * FINER)
        barbs = [tuple(tip - along * 10 * FINER + across * side * FINER) for side in (5, -5)]
        self._draw.polygon([tuple(tip), *barbs], WANTED)
