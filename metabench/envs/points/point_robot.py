"""Point-Robot: a point in the plane walks to a goal that it is not shown.

The state is the position, reset to exactly the origin. The action is clipped to [-0.1, 0.1] on each axis and added
to the position; the reward, after the move, is minus the Euclidean distance to the goal. There is no noise and no
termination.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from metabench.envs.batched import BatchedEnvironment, TaskParameters
from metabench.envs.family import TaskFamily, Teacher
from metabench.envs.points.walking import (
    PointEnvironment,
    Skill,
    WalkingTeacher,
    check_point,
    make_spaces,
    measure_shortfall,
)
from metabench.envs.spaces import Array, Spaces

SKILLS: dict[str, Skill] = {
    "stage-1": Skill(speed=0.05, aim_error=1.0, noise=0.06),
    "stage-2": Skill(speed=0.25, aim_error=0.6, noise=0.05),
    "medium": Skill(speed=0.45, aim_error=0.4, noise=0.05),
    "stage-4": Skill(speed=0.75, aim_error=0.15, noise=0.03),
    "expert": Skill(speed=1.0, aim_error=0.0, noise=0.003),
}
"""The behaviours, weakest first: what a learner looks like on its way to the optimum."""


class PointRobotFamily(TaskFamily):
    """Tasks are goals in the plane: `{"goal": [x, y]}`."""

    name: ClassVar[str] = "point-robot"

    def spaces(self, horizon: int) -> Spaces:
        """Two position coordinates in, two moves of at most 0.1 out."""
        return make_spaces(horizon)

    def check_parameters(self, parameters: TaskParameters) -> None:
        """A task is exactly one goal of two finite numbers."""
        check_point(parameters, "goal")

    def environment(self, horizon: int) -> BatchedEnvironment:
        """A batched Point-Robot."""
        return PointEnvironment(self.spaces(horizon), read_goals, np.negative)

    def teacher(self, folder: Path, horizon: int) -> Teacher:
        """The analytic teacher; it needs no weights."""
        del folder
        return WalkingTeacher(horizon, SKILLS, read_goals)

    def return_bounds(self, parameters: TaskParameters, horizon: int) -> tuple[float, float]:
        """From always walking away on both axes to the analytic optimum (each axis at full speed to the goal)."""
        (goal,), (wind,) = read_goals([parameters])
        nearest, farthest = measure_shortfall(goal, wind, horizon)
        return -float(farthest.sum()), -float(nearest.sum())


def read_goals(parameters: Sequence[TaskParameters]) -> tuple[Array, Array]:
    """`(lanes, 2)` float64 twice: each lane's goal, and that there is no wind."""
    goals = np.array([task["goal"] for task in parameters], np.float64).reshape(-1, 2)
    return goals, np.zeros_like(goals)
