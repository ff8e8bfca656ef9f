"""A body as flat shapes, seen from the side or, where it moves in the plane, from above: pictures without OpenGL."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from metabench.envs.spaces import Array


@dataclass(frozen=True)
class Limb:
    """A capsule, or a sphere whose ends are one point, projected along the line of sight.

    Attributes:
        ends: `(2, 2)` metres in the picture: to the right, and up.
        radius: metres.
        colour: red, green and blue, 0 to 255.
    """

    ends: Array
    radius: float
    colour: tuple[int, int, int]


def seen_from_above(model: mujoco.MjModel) -> bool:
    """Whether the body moves freely in the plane; otherwise it moves along x and is seen from its side."""
    return bool(model.jnt_type[0] == mujoco.mjtJoint.mjJNT_FREE)


def limbs(model: mujoco.MjModel, positions: Array) -> list[Limb]:
    """The body at `(nq,)` joint positions, the farthest limb first."""
    data = mujoco.MjData(model)
    data.qpos[:] = positions
    mujoco.mj_kinematics(model, data)
    right, up, depth = (0, 1, 2) if seen_from_above(model) else (0, 2, 1)
    towards_us = 1.0 if seen_from_above(model) else -1.0
    found = []
    for geom in range(model.ngeom):
        kind = model.geom_type[geom]
        if kind not in (mujoco.mjtGeom.mjGEOM_CAPSULE, mujoco.mjtGeom.mjGEOM_SPHERE):
            continue
        radius, half = model.geom_size[geom, :2]
        axis = data.geom_xmat[geom].reshape(3, 3)[:, 2] * (half if kind == mujoco.mjtGeom.mjGEOM_CAPSULE else 0.0)
        ends = np.stack([data.geom_xpos[geom] - axis, data.geom_xpos[geom] + axis])[:, [right, up]]
        red, green, blue = (round(255 * float(part)) for part in model.geom_rgba[geom, :3])
        nearness = towards_us * float(data.geom_xpos[geom, depth])
        found.append((nearness, Limb(ends, float(radius), (red, green, blue))))
    return [limb for _, limb in sorted(found, key=lambda pair: pair[0])]
