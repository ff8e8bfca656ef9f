"""The robot and its table as MuJoCo renders them; the goal is the model's own coloured site."""

from __future__ import annotations

import mujoco

from metabench.envs.mujoco_renderer import MujocoRenderer
from metabench.envs.spaces import Array

LOOKED_AT = (0.0, 0.6, 0.12)
"""The middle of the table, a little above it: x, y and z in metres."""

FROM = {"azimuth": 130.0, "elevation": -28.0, "distance": 1.45}
"""Where the camera stands: degrees around the table and above it, and metres away."""


class TableRenderer:
    """MuJoCo's pictures of one model, through a camera that stays."""

    def __init__(self, model: mujoco.MjModel, width: int, height: int) -> None:
        """Raise `NoRendererError` where nothing renders."""
        self._of = model, width, height
        self._renderer = MujocoRenderer(model, width, height, shadows=False)
        self._camera = mujoco.MjvCamera()
        self._camera.lookat[:] = LOOKED_AT
        for name, value in FROM.items():
            setattr(self._camera, name, value)

    def fits(self, model: mujoco.MjModel, width: int, height: int) -> bool:
        """Whether its pictures are of this model, in this size."""
        return self._of[0] is model and self._of[1:] == (width, height)

    def render(self, data: mujoco.MjData) -> Array:
        """The state `data`: `(height, width, 3)` uint8."""
        return self._renderer.render(data, self._camera)
