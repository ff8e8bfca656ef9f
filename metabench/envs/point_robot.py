"""Point-Robot: a point in the plane walks to a goal that it is not shown.

The state is the position, reset to exactly the origin. The action is clipped to [-0.1, 0.1] on each axis and added
to the position; the reward, after the move, is minus the Euclidean distance to the goal. There is no noise and no
termination.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from metabench.envs.batched import BatchedEnvironment, BatchStep, TaskParameters
from metabench.envs.family import TaskFamily, Teacher
from metabench.envs.scene import Scene
from metabench.envs.spaces import Array, Spaces
from metabench.errors import UnknownNameError

MAX_MOVE = 0.1
"""Largest move on each axis in one step."""


class PointRobotEnvironment(BatchedEnvironment):
    """All lanes of Point-Robot as two arrays: positions and goals, `(lanes, 2)` float64."""

    def __init__(self, spaces: Spaces) -> None:
        """Keep the spaces; lanes come with `reset`."""
        self.spaces = spaces
        self._position: Array = np.zeros((0, 2))
        self._goal: Array = np.zeros((0, 2))

    def reset(self, parameters: Sequence[TaskParameters], seeds: Sequence[int]) -> Array:
        """Put every lane at the origin; the reset has no noise, so `seeds` change nothing."""
        del seeds
        self._goal = np.array([task["goal"] for task in parameters], np.float64).reshape(-1, 2)
        self._position = np.zeros_like(self._goal)
        return self._position.astype(np.float32)

    def step(self, actions: Array) -> BatchStep:
        """Move every lane by its clipped action; reward is minus the distance to the goal after the move."""
        self._position = self._position + np.clip(
            np.asarray(actions, np.float64), -MAX_MOVE, MAX_MOVE
        )
        offset = self._position - self._goal
        reward = -np.sqrt(offset[:, 0] ** 2 + offset[:, 1] ** 2)
        return BatchStep(self._position.astype(np.float32), reward, np.zeros(len(reward), bool))

    def scene(self, lane: int) -> Scene:
        """A point in the plane and its goal."""
        (x, y), (goal_x, goal_y) = self._position[lane].tolist(), self._goal[lane].tolist()
        return Scene("above", (x, y), point=True, goal=(goal_x, goal_y))


@dataclass(frozen=True)
class Skill:
    """How well a teacher behaviour walks.

    Attributes:
        speed: fraction of the largest move it uses on each axis.
        aim_error: error in the goal, drawn once an episode: its standard deviation on each axis, as a fraction of the
            goal's distance from the origin.
        noise: standard deviation of the noise added to each action coordinate.
    """

    speed: float
    aim_error: float
    noise: float


SKILLS: dict[str, Skill] = {
    "stage-1": Skill(speed=0.05, aim_error=1.0, noise=0.06),
    "stage-2": Skill(speed=0.25, aim_error=0.6, noise=0.05),
    "medium": Skill(speed=0.45, aim_error=0.4, noise=0.05),
    "stage-4": Skill(speed=0.75, aim_error=0.15, noise=0.03),
    "expert": Skill(speed=1.0, aim_error=0.0, noise=0.003),
}
"""The behaviours, weakest first: what a learner looks like on its way to the optimum."""


class PointRobotTeacher(Teacher):
    """Walks towards the goal with a skill's speed, aim error and noise: an analytic, task-conditioned controller.

    With full speed and no noise it is the optimal policy: the axes are independent and each is best served by the
    largest move towards the goal.
    """

    behaviours = tuple(SKILLS)

    def __init__(self, horizon: int) -> None:
        """Keep the horizon: a lane's noise for the whole episode is drawn at its reset."""
        self._horizon = horizon

    def reset(
        self, behaviours: Sequence[str], parameters: Sequence[TaskParameters], seeds: Sequence[int]
    ) -> None:
        """Draw each lane's aim error and noise from its own seed."""
        for name in set(behaviours):
            if name not in SKILLS:
                raise UnknownNameError("teacher behaviour", name, SKILLS)
        draws = np.stack(
            [np.random.default_rng(seed).standard_normal((self._horizon + 1, 2)) for seed in seeds]
        )
        skills = [SKILLS[name] for name in behaviours]
        goals = np.array([task["goal"] for task in parameters], np.float64)
        aim_error = np.array([[skill.aim_error] for skill in skills]) * np.linalg.norm(
            goals, axis=1, keepdims=True
        )
        self._noise = np.array([skill.noise for skill in skills])[:, None, None] * draws[:, 1:]
        self._reach = np.array([skill.speed for skill in skills])[:, None] * MAX_MOVE
        self._aim = goals + aim_error * draws[:, 0]
        self._timestep = 0

    def act(self, observation: Array) -> Array:
        """Step towards the aim, at most at the lane's speed, plus its noise."""
        move = self.act_without_noise(observation) + self._noise[:, self._timestep]
        self._timestep += 1
        return np.asarray(np.clip(move, -MAX_MOVE, MAX_MOVE))

    def act_without_noise(self, observation: Array) -> Array:
        """Step towards the aim, at most at the lane's speed."""
        away = self._aim - np.asarray(observation, np.float64)
        return np.asarray(np.clip(away, -self._reach, self._reach))


class PointRobotFamily(TaskFamily):
    """Tasks are goals in the plane: `{"goal": [x, y]}`."""

    name: ClassVar[str] = "point-robot"

    def spaces(self, horizon: int) -> Spaces:
        """Two position coordinates in, two moves of at most 0.1 out."""
        return Spaces(
            2, horizon, action_low=(-MAX_MOVE, -MAX_MOVE), action_high=(MAX_MOVE, MAX_MOVE)
        )

    def check_parameters(self, parameters: TaskParameters) -> None:
        """A task is exactly one goal of two finite numbers."""
        goal = parameters.get("goal")
        if set(parameters) != {"goal"} or not isinstance(goal, list | tuple) or len(goal) != 2:
            raise ValueError("expected exactly 'goal', a list of two numbers")
        if not all(
            isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x)
            for x in goal
        ):
            raise ValueError("goal must hold two finite numbers")

    def environment(self, horizon: int) -> BatchedEnvironment:
        """A batched Point-Robot."""
        return PointRobotEnvironment(self.spaces(horizon))

    def teacher(self, folder: Path, horizon: int) -> Teacher:
        """The analytic teacher; it needs no weights."""
        del folder
        return PointRobotTeacher(horizon)

    def return_bounds(self, parameters: TaskParameters, horizon: int) -> tuple[float, float]:
        """From always walking away on both axes to the analytic optimum (each axis at full speed to the goal)."""
        goal = np.abs(np.asarray(parameters["goal"], np.float64))
        walked = MAX_MOVE * np.arange(1, horizon + 1)[:, None]
        best = -np.linalg.norm(np.maximum(goal - walked, 0.0), axis=1).sum()
        worst = -np.linalg.norm(goal + walked, axis=1).sum()
        return float(worst), float(best)
