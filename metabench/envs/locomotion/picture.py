"""A body as flat shapes, seen from the side or, where it moves in the plane, from above; and as MuJoCo renders it."""

from __future__ import annotations

import mujoco
import numpy as np

from metabench.envs.mujoco_renderer import PERIOD, MujocoRenderer
from metabench.envs.scene import Capsule
from metabench.envs.spaces import Array


def is_seen_from_above(model: mujoco.MjModel) -> bool:
    """Whether the body moves freely in the plane; otherwise it moves along x and is seen from its side."""
    return bool(model.jnt_type[0] == mujoco.mjtJoint.mjJNT_FREE)


def project_limbs(model: mujoco.MjModel, positions: Array) -> list[Capsule]:
    """The body at `(nq,)` joint positions, each limb projected along the line of sight, the farthest one first."""
    data = mujoco.MjData(model)
    data.qpos[:] = positions
    mujoco.mj_kinematics(model, data)
    right, up, depth = (0, 1, 2) if is_seen_from_above(model) else (0, 2, 1)
    towards_us = 1.0 if is_seen_from_above(model) else -1.0  # from the side, y points away from us
    found = []
    for geom in range(model.ngeom):
        kind = model.geom_type[geom]
        if kind not in (mujoco.mjtGeom.mjGEOM_CAPSULE, mujoco.mjtGeom.mjGEOM_SPHERE):
            continue
        radius, half = model.geom_size[geom, :2]
        # A capsule lies along the z axis of its own frame: the third column of its rotation. A sphere has no length.
        length = half if kind == mujoco.mjtGeom.mjGEOM_CAPSULE else 0.0
        axis = data.geom_xmat[geom].reshape(3, 3)[:, 2] * length
        ends = np.stack([data.geom_xpos[geom] - axis, data.geom_xpos[geom] + axis])[
            :, [right, up]
        ]  # (2, 2)
        red, green, blue = (round(255 * float(part)) for part in model.geom_rgba[geom, :3])
        nearness = towards_us * float(data.geom_xpos[geom, depth])
        first, second = (tuple(end) for end in ends.tolist())
        found.append((nearness, Capsule((first, second), float(radius), (red, green, blue))))
    return [limb for _, limb in sorted(found, key=lambda pair: pair[0])]


class BodyRenderer:
    """MuJoCo's pictures of one body, in the middle of the frame.

    Attributes:
        size: width and height in pixels.
    """

    def __init__(self, model: mujoco.MjModel, width: int, height: int) -> None:
        """Raise `NoRendererError` where nothing renders."""
        self.size = width, height
        self._renderer = MujocoRenderer(model, width, height)
        self._data = mujoco.MjData(model)
        self._model = model
        self._camera = mujoco.MjvCamera()
        self._from_above = is_seen_from_above(model)
        self._floors = np.flatnonzero(model.geom_type == int(mujoco.mjtGeom.mjGEOM_PLANE))
        self._camera.azimuth = 90.0  # the x axis points to the right
        self._camera.elevation = -40.0 if self._from_above else -9.0
        self._camera.distance = 6.0 if self._from_above else 3.3

    def render(self, positions: Array, direction: float | None) -> Array:
        """The body at `(nq,)` joint positions: `(height, width, 3)` uint8; `direction` is what the task wants."""
        self._data.qpos[:] = positions
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)
        middle = self._data.geom_xpos[self._model.geom_bodyid > 0].mean(
            axis=0
        )  # limbs, not the floor
        self._camera.lookat[:2] = middle[:2]
        self._data.light_xpos[:, :2] += middle[:2]  # shadows end not far from the lamp
        # Bodies run farther than the floor goes: it comes along, by whole squares, so that it seems to stay.
        self._data.geom_xpos[self._floors, :2] += PERIOD * np.round(middle[:2] / PERIOD)
        self._camera.lookat[2] = 0.3 if self._from_above else 0.65
        return self._renderer.render(self._data, self._camera, direction)
