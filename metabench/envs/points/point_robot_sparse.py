"""Point-Robot-Sparse: find the place on a semicircle that pays; elsewhere there is nothing to go by.

The state is the position, reset to exactly the origin. The goal lies on the upper half of the circle of radius 1, at
the task's angle. The action is clipped to [-0.1, 0.1] on each axis and added to the position; the reward, after the
move, is (0.2 - distance) / 0.2 where the goal is nearer than 0.2, and nothing elsewhere. There is no noise and no
termination.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import ClassVar

import numpy as np

from metabench.envs.batched import BatchedEnvironment, TaskParameters
from metabench.envs.blind import BlindScripts
from metabench.envs.family import TaskFamily, Teacher
from metabench.envs.points.blind_walk import load_walk, propose_walks
from metabench.envs.points.semicircle import measure_best, pay_nearness, read_angles
from metabench.envs.points.walking import (
    PointEnvironment,
    Skill,
    WalkingTeacher,
    make_spaces,
)
from metabench.envs.spaces import Array, Spaces

SKILLS: dict[str, Skill] = {
    "stage-1": Skill(speed=0.55, aim_error=0.3, noise=0.06),
    "stage-2": Skill(speed=0.7, aim_error=0.15, noise=0.05),
    "medium": Skill(speed=0.8, aim_error=0.06, noise=0.035),
    "stage-4": Skill(speed=0.9, aim_error=0.03, noise=0.03),
    "expert": Skill(speed=1.0, aim_error=0.0, noise=0.003),
}
"""The behaviours, weakest first. They walk better than those of Point-Robot: only near the goal is there anything to
earn."""


class PointRobotSparseFamily(TaskFamily):
    """Tasks are angles, from 0, the right, to pi, the left: `{"angle": 0.7}`."""

    name: ClassVar[str] = "point-robot-sparse"

    def spaces(self, horizon: int) -> Spaces:
        """Two position coordinates in, two moves of at most 0.1 out."""
        return make_spaces(horizon)

    def check_parameters(self, parameters: TaskParameters) -> None:
        """A task is exactly one angle of the upper half circle."""
        angle = parameters.get("angle")
        if set(parameters) != {"angle"} or angle is None or type(angle) not in (int, float):
            raise ValueError("expected exactly 'angle', a number")
        if not 0 <= angle <= math.pi:
            raise ValueError(f"angle must be from 0 to pi, not {angle!r}")

    def environment(self, horizon: int) -> BatchedEnvironment:
        """A batched Point-Robot-Sparse."""
        return PointEnvironment(self.spaces(horizon), read_angles, pay_nearness)

    def teacher(self, folder: Path, horizon: int) -> Teacher:
        """The analytic teacher; it needs no weights."""
        del folder
        return WalkingTeacher(horizon, SKILLS, read_angles)

    def blind_scripts(self) -> BlindScripts:
        """Walks along the semicircle."""
        return BlindScripts(propose_walks, load_walk)

    def task_vector(self, parameters: TaskParameters) -> Array:
        """The goal."""
        return np.asarray(read_angles([parameters])[0][0])

    def return_bounds(self, parameters: TaskParameters, horizon: int) -> tuple[float, float]:
        """From nothing to walking to the goal at full speed on both axes."""
        (goal,), _ = read_angles([parameters])
        return 0.0, measure_best(goal, horizon)
