"""Point-Robot-Wind: a point walks to a goal that is always the same, in a wind that it is not told.

The state is the position, reset to exactly the origin; the goal is (1, 0). The action is clipped to [-0.1, 0.1] on each
axis, and it and the wind are added to the position; the reward, after the move, is minus the Euclidean distance to the
goal. The wind is constant and the task. There is no noise and no termination.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field, ValidationError

from metabench.envs.batched import BatchedEnvironment, TaskParameters
from metabench.envs.blind import BlindPolicy, BlindScripts
from metabench.envs.family import TaskFamily, Teacher
from metabench.envs.points.walking import (
    MAX_MOVE,
    PointEnvironment,
    Skill,
    WalkingTeacher,
    check_point,
    make_spaces,
    measure_shortfall,
)
from metabench.envs.spaces import Array, Spaces
from metabench.errors import first_problem
from metabench.system.strict_model import StrictModel

GOAL = (1.0, 0.0)

SKILLS: dict[str, Skill] = {
    "stage-1": Skill(speed=0.1, aim_error=1.0, noise=0.06),
    "stage-2": Skill(speed=0.3, aim_error=0.8, noise=0.05),
    "medium": Skill(speed=0.55, aim_error=0.45, noise=0.05),
    "stage-4": Skill(speed=0.75, aim_error=0.2, noise=0.03),
    "expert": Skill(speed=1.0, aim_error=0.0, noise=0.003),
}
"""The behaviours, weakest first."""


class PointRobotWindFamily(TaskFamily):
    """Tasks are winds: `{"wind": [x, y]}`, what is added to the position in every step."""

    name: ClassVar[str] = "point-robot-wind"

    def spaces(self, horizon: int) -> Spaces:
        """Two position coordinates in, two moves of at most 0.1 out."""
        return make_spaces(horizon)

    def check_parameters(self, parameters: TaskParameters) -> None:
        """A task is exactly one wind of two numbers, each weaker than the largest move: else no teacher could stay."""
        check_point(parameters, "wind")
        if max(map(abs, parameters["wind"])) >= MAX_MOVE:
            raise ValueError(
                f"wind must be weaker than {MAX_MOVE:g} on each axis, not {parameters['wind']}"
            )

    def environment(self, horizon: int) -> BatchedEnvironment:
        """A batched Point-Robot-Wind."""
        return PointEnvironment(self.spaces(horizon), read_winds, np.negative)

    def teacher(self, folder: Path, horizon: int) -> Teacher:
        """The analytic teacher; it needs no weights."""
        del folder
        return WalkingTeacher(horizon, SKILLS, read_winds)

    def blind_scripts(self) -> BlindScripts:
        """Springs: the farther from the goal, the longer the move back."""
        return BlindScripts(propose_springs, load_spring)

    def return_bounds(self, parameters: TaskParameters, horizon: int) -> tuple[float, float]:
        """From always walking away on both axes to walking at full speed and then standing against the wind."""
        (goal,), (wind,) = read_winds([parameters])
        nearest, farthest = measure_shortfall(goal, wind, horizon)
        return -float(farthest.sum()), -float(nearest.sum())


def read_winds(parameters: Sequence[TaskParameters]) -> tuple[Array, Array]:
    """`(lanes, 2)` float64 twice: the goal, the same in every lane, and each lane's wind."""
    winds = np.array([task["wind"] for task in parameters], np.float64).reshape(-1, 2)
    return np.broadcast_to(np.array(GOAL), winds.shape).copy(), winds


class Spring(StrictModel):
    """What `references/blind.json` holds."""

    script: str = Field(description="its name among the springs that were tried")
    stiffness: float = Field(ge=0, lt=2, description="move for each unit of distance to the goal")
    lean: tuple[float, float] = Field(description="added to every move: against the mean wind")


def propose_springs(training: Sequence[TaskParameters], horizon: int) -> dict[str, dict[str, Any]]:
    """Springs of many strengths, leaning against the mean wind of the training tasks.

    A spring of strength k comes to rest wind / k beside its goal, and swings without end from 2 on. It is near the
    best: what the wind does shows in the position, as a distance from the goal that stays.
    """
    del horizon
    _, winds = read_winds(training)
    lean = (-winds.mean(axis=0)).tolist()
    springs = [
        Spring(script=f"a spring of {tenths / 10:g}", stiffness=tenths / 10, lean=lean)
        for tenths in range(5, 20)
    ]
    return {each.script: each.model_dump(mode="json") for each in springs}


def load_spring(content: Mapping[str, Any], horizon: int) -> BlindPolicy:
    """The policy that a spring pulls; raises `ValueError` with one line if `content` is none."""
    del horizon
    try:
        return SpringPolicy(Spring.model_validate(content))
    except ValidationError as error:
        raise ValueError(first_problem(error)) from error


class SpringPolicy(BlindPolicy):
    """Pulls the point to the goal."""

    def __init__(self, spring: Spring) -> None:
        """Keep the spring."""
        self._spring = spring

    def reset(self, seeds: Sequence[int]) -> None:
        """Nothing: nothing is random."""

    def act(self, observation: Array) -> Array:
        """`(lanes, 2)` float64."""
        away = np.array(GOAL) - np.asarray(observation, np.float64)
        move = self._spring.stiffness * away + np.array(self._spring.lean)
        return np.asarray(np.clip(move, -MAX_MOVE, MAX_MOVE))
