"""What the point robots share: a point in the plane that moves by its action, and a teacher that walks to a goal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from metabench.envs.batched import BatchedEnvironment, BatchStep, TaskParameters
from metabench.envs.family import Teacher
from metabench.envs.scene import Scene
from metabench.envs.spaces import Array, Spaces
from metabench.errors import UnknownNameError

MAX_MOVE = 0.1
"""Largest move on each axis in one step."""

ReadTasks = Callable[[Sequence[TaskParameters]], tuple[Array, Array]]
"""From the lanes' tasks to goals and winds, `(lanes, 2)` float64 each; winds are added to positions in every step."""


def make_spaces(horizon: int) -> Spaces:
    """Two position coordinates in, two moves of at most 0.1 out."""
    return Spaces(2, horizon, action_low=(-MAX_MOVE, -MAX_MOVE), action_high=(MAX_MOVE, MAX_MOVE))


def measure_shortfall(offset: Array, wind: Array, horizon: int) -> tuple[Array, Array]:
    """Distances from the goal after each step, `(horizon,)`: the least and the largest that any moves can lead to.

    The axes are independent, and the nearest place of one step leads to the nearest of the next.

    Args:
        offset: from the start to the goal, `(2,)`.
        wind: of the task, `(2,)`; weaker than the largest move.
        horizon: steps.
    """
    steps = np.arange(1, horizon + 1)[:, None]
    low, high = (offset - steps * (wind + sign * MAX_MOVE) for sign in (1.0, -1.0))
    nearest = np.where((low <= 0) & (high >= 0), 0.0, np.minimum(np.abs(low), np.abs(high)))
    farthest = np.maximum(np.abs(low), np.abs(high))
    return np.linalg.norm(nearest, axis=1), np.linalg.norm(farthest, axis=1)


class PointEnvironment(BatchedEnvironment):
    """Points as arrays of positions, goals and winds, `(lanes, 2)` float64, all from exactly the origin."""

    def __init__(self, spaces: Spaces, read: ReadTasks, pay: Callable[[Array], Array]) -> None:
        """Keep the rules; lanes come with `reset`.

        Args:
            spaces: of `make_spaces`.
            read: goals and winds of tasks.
            pay: from distances to the goals after a step to rewards, `(lanes,)` float64 each.
        """
        self.spaces = spaces
        self._read, self._pay = read, pay
        self._position: Array = np.zeros((0, 2))
        self._goal: Array = np.zeros((0, 2))

    def reset(self, parameters: Sequence[TaskParameters], seeds: Sequence[int]) -> Array:
        """Put every lane at the origin; the reset has no noise, so `seeds` change nothing."""
        del seeds
        self._goal, self._wind = self._read(parameters)
        self._position = np.zeros_like(self._goal)
        return self._position.astype(np.float32)

    def step(self, actions: Array) -> BatchStep:
        """Move every lane by its clipped action and its wind; the distance after the move is what is paid for."""
        self._position = (
            self._position
            + np.clip(np.asarray(actions, np.float64), -MAX_MOVE, MAX_MOVE)
            + self._wind
        )
        offset = self._position - self._goal
        reward = self._pay(np.sqrt(offset[:, 0] ** 2 + offset[:, 1] ** 2))
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


class WalkingTeacher(Teacher):
    """Walks towards the goal with a skill's speed, aim error and noise: an analytic, task-conditioned controller.

    It knows the wind as well, and takes it off its moves. With full speed and no noise it is the optimal policy: the
    axes are independent and each is best served by the largest move towards the goal.
    """

    def __init__(self, horizon: int, skills: Mapping[str, Skill], read: ReadTasks) -> None:
        """Keep the rules, and the horizon: a lane's noise for the whole episode is drawn at its reset.

        Args:
            horizon: steps of an episode.
            skills: of the behaviours, weakest first.
            read: goals and winds of tasks.
        """
        self._horizon, self._skills, self._read = horizon, skills, read
        self.behaviours = tuple(skills)  # type: ignore[misc]  # each family has skills of its own

    def reset(
        self, behaviours: Sequence[str], parameters: Sequence[TaskParameters], seeds: Sequence[int]
    ) -> None:
        """Draw each lane's aim error and noise from its own seed."""
        for name in set(behaviours):
            if name not in self._skills:
                raise UnknownNameError("teacher behaviour", name, self._skills)
        draws = np.stack(
            [np.random.default_rng(seed).standard_normal((self._horizon + 1, 2)) for seed in seeds]
        )
        skills = [self._skills[name] for name in behaviours]
        goals, self._wind = self._read(parameters)
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
        way = self._aim - np.asarray(observation, np.float64) - self._wind
        return np.asarray(np.clip(way, -self._reach, self._reach))


FARTHEST = 1e6
"""No coordinate of a task is larger."""


def check_point(parameters: TaskParameters, name: str) -> None:
    """Raise `ValueError` with one line unless a task says exactly `name`, two numbers of at most `FARTHEST`."""
    point = parameters.get(name)
    if set(parameters) != {name} or not isinstance(point, list | tuple) or len(point) != 2:
        raise ValueError(f"expected exactly {name!r}, a list of two numbers")
    # Compared, not asked whether they are finite: no float holds an integer like 10**400.
    if not all(
        isinstance(x, int | float) and not isinstance(x, bool) and abs(x) <= FARTHEST for x in point
    ):
        raise ValueError(f"{name} must hold two numbers between {-FARTHEST:g} and {FARTHEST:g}")
