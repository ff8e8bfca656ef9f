"""A body as flat shapes, seen from the side or, where it moves in the plane, from above: pictures without OpenGL."""

from __future__ import annotations

import mujoco
import numpy as np

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
