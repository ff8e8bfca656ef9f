"""A lane as pixels of any size: rendered by its simulator where it can, painted from its scene elsewhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from metabench.envs.batched import BatchedEnvironment
from metabench.envs.scene import MOVING, Circle, Scene
from metabench.envs.scene_painter import METRE, ScenePainter
from metabench.envs.spaces import Array
from metabench.errors import MetabenchError, NoRendererError

CARD_WIDTH = 150
"""Pixels that a scene which does not say how wide it is was made for."""

SIDE = 4 / 3
"""Width of a scene from the side, in heights; from above scenes are squares."""


def has_pictures(environment: BatchedEnvironment) -> bool:
    """Whether lanes have anything to show: a plugin's need not."""
    shown = type(environment)
    return (
        shown.scene is not BatchedEnvironment.scene or shown.frame is not BatchedEnvironment.frame
    )


class LanePainter:
    """Paints one lane again and again through an episode.

    Attributes:
        notice: why the simulator's own pictures are missing; None where they are there, or it has none.
    """

    def __init__(self, environment: BatchedEnvironment, lane: int, width: int, height: int) -> None:
        """Paint lane `lane` in so many pixels; the environment is only looked at."""
        self._environment, self._lane = environment, lane
        self._width, self._height = width, height
        self._rendered = True  # until the simulator says otherwise
        self.notice: str | None = None
        self.begin()

    def begin(self) -> None:
        """Another episode begins: a point has made no way yet."""
        self._reach = 1.0
        self._way: list[tuple[float, float]] = []

    def paint(self) -> Array:
        """The lane now: `(height, width, 3)` uint8.

        Raises:
            MetabenchError: it shows nothing.
        """
        problem: NoRendererError | None = None
        if self._rendered:
            try:
                rendered = self._environment.frame(self._lane, self._width, self._height)
            except NoRendererError as error:
                problem, rendered = error, None
            if rendered is not None:
                return rendered
            self._rendered = False
        scene = self._environment.scene(self._lane)
        if scene is None:
            raise problem or MetabenchError(
                f"{type(self._environment).__name__} has no pictures: it has neither frame nor scene"
            )
        if problem is not None:
            self.notice = f"{problem}; drawn flat instead"
        return self._paint_scene(scene)

    def _paint_scene(self, scene: Scene) -> Array:
        from PIL import Image

        if scene.point:
            scene = self._keep_in_sight(scene)
        width = scene.width or CARD_WIDTH / METRE
        shape = 1.0 if scene.view == "above" else SIDE
        # What the scene's own shape shows is shown whole; a wider picture shows more beside it.
        width *= max(1.0, self._width / self._height / shape)
        painter = ScenePainter(self._width, self._height, replace(scene, width=width))
        painted: Any = painter.paint_frame(show_place=False)
        if scene.point:
            painter.paint_path(np.array(self._way))
            painter.paint_shapes(scene.shapes[-1:])
        size = self._width, self._height
        return np.asarray(painted.resize(size, Image.Resampling.LANCZOS))

    def _keep_in_sight(self, scene: Scene) -> Scene:
        """A frame that stays, and grows where the point would leave it; the point is its last shape."""
        self._way.append(scene.root)
        places = [scene.root, *([scene.goal] if scene.goal else [])]
        for shape in scene.shapes:
            places += getattr(shape, "points", ())
        self._reach = max(self._reach, *(1.1 * abs(number) for place in places for number in place))
        dot = Circle(scene.root, 0.03 * self._reach, MOVING)
        return replace(
            scene, root=(0.0, 0.0), shapes=(*scene.shapes, dot), width=2 * self._reach, marks=False
        )
