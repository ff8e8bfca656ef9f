"""Point-Robot-Sparse: find the place on a semicircle that pays; elsewhere there is nothing to go by.

The state is the position, reset to exactly the origin. The goal lies on the upper half of the circle of radius 1, at
the task's angle. The action is clipped to [-0.1, 0.1] on each axis and added to the position; the reward, after the
move, is (0.2 - distance) / 0.2 where the goal is nearer than 0.2, and nothing elsewhere. There is no noise and no
termination.
"""

from __future__ import annotations

import math
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
    make_spaces,
    measure_shortfall,
)
from metabench.envs.spaces import Array, Spaces
from metabench.errors import first_problem
from metabench.system.strict_model import StrictModel

RADIUS = 0.2
"""Of the disc around the goal that pays."""

SKILLS: dict[str, Skill] = {
    "stage-1": Skill(speed=0.55, aim_error=0.3, noise=0.06),
    "stage-2": Skill(speed=0.7, aim_error=0.15, noise=0.05),
    "medium": Skill(speed=0.8, aim_error=0.06, noise=0.035),
    "stage-4": Skill(speed=0.9, aim_error=0.03, noise=0.03),
    "expert": Skill(speed=1.0, aim_error=0.0, noise=0.003),
}
"""The behaviours, weakest first. They are better walkers than those of Point-Robot: who is near the goal earns something,
everyone else nothing."""

ANGLES = 64
"""Places on the semicircle, and on smaller ones, that blind scripts go to."""

DISTANCES = (0.85, 0.9, 0.95, 1.0)
"""Of these places from the origin."""


class PointRobotSparseFamily(TaskFamily):
    """Tasks are angles, from 0, the right, to pi, the left: `{"angle": 0.7}`."""

    name: ClassVar[str] = "point-robot-sparse"

    def spaces(self, horizon: int) -> Spaces:
        """Two position coordinates in, two moves of at most 0.1 out."""
        return make_spaces(horizon)

    def check_parameters(self, parameters: TaskParameters) -> None:
        """A task is exactly one angle of the upper half circle."""
        angle = parameters.get("angle")
        if set(parameters) != {"angle"} or type(angle) not in (int, float):
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
        """Places to stay at."""
        return BlindScripts(propose_places, load_place)

    def task_vector(self, parameters: TaskParameters) -> Array:
        """The goal."""
        return np.asarray(read_angles([parameters])[0][0])

    def return_bounds(self, parameters: TaskParameters, horizon: int) -> tuple[float, float]:
        """From nothing to walking to the goal at full speed on both axes."""
        (goal,), (wind,) = read_angles([parameters])
        nearest, _ = measure_shortfall(goal, wind, horizon)
        return 0.0, float(pay_nearness(nearest).sum())


def pay_nearness(distance: Array) -> Array:
    """Rewards of distances from the goal."""
    return np.asarray(np.maximum(RADIUS - distance, 0.0) / RADIUS)


def read_angles(parameters: Sequence[TaskParameters]) -> tuple[Array, Array]:
    """`(lanes, 2)` float64 twice: each lane's goal, and that there is no wind."""
    angles = np.array([task["angle"] for task in parameters], np.float64)
    goals = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return goals, np.zeros_like(goals)


class Place(StrictModel):
    """What `references/blind.json` holds."""

    script: str = Field(description="its name among the places that were tried")
    place: tuple[float, float] = Field(description="where to go and stay")


def propose_places(
    training: Sequence[TaskParameters], horizon: int
) -> dict[str, dict[str, Any]]:
    """The start, and places on and a little inside the semicircle.

    Without a look at the rewards nobody knows where along the semicircle the goal is; every place there is near as many
    goals as any other, so that going on along it earns no more than staying.
    """
    del training, horizon
    places = [Place(script="stay at the start", place=(0.0, 0.0))]
    for distance in DISTANCES:
        for angle in np.linspace(0.0, math.pi, ANGLES).tolist():
            at = (round(distance * math.cos(angle), 4), round(distance * math.sin(angle), 4))
            name = f"stay {distance:g} away, at {angle:.2f}"
            places.append(Place(script=name, place=at))
    return {each.script: each.model_dump(mode="json") for each in places}


def load_place(content: Mapping[str, Any], horizon: int) -> BlindPolicy:
    """The policy that goes to a place; raises `ValueError` with one line if `content` is none."""
    del horizon
    try:
        return PlacePolicy(Place.model_validate(content))
    except ValidationError as error:
        raise ValueError(first_problem(error)) from error


class PlacePolicy(BlindPolicy):
    """Goes to its place at full speed on both axes, and stays."""

    def __init__(self, place: Place) -> None:
        """Keep the place."""
        self._place = np.array(place.place)

    def reset(self, seeds: Sequence[int]) -> None:
        """Nothing: nothing is random."""

    def act(self, observation: Array) -> Array:
        """`(lanes, 2)` float64."""
        return np.clip(
            self._place - np.asarray(observation, np.float64), -MAX_MOVE, MAX_MOVE
        )
