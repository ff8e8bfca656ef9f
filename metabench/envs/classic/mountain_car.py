"""MountainCar: rock a weak car out of a valley up to a flag.

The dynamics, the reset and the end of an episode are those of Gymnasium's `MountainCar-v0`, to the last bit. The state
is position and speed; the car starts at rest, its position uniform in [-0.6, -0.4]. Actions are 0 (left), 1 (coast)
and 2 (right). Every step costs 1. The flag, reached with at least the task's speed, ends the episode and is its
success. The observation is the state.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from metabench.envs.batched import BatchedEnvironment, BatchStep, TaskParameters
from metabench.envs.classic.parameters import check_numbers, columns
from metabench.envs.classic.teacher import ClassicTeacher
from metabench.envs.family import TaskFamily, Teacher
from metabench.envs.scene import MOVING, STILL, Circle, Polyline, Scene
from metabench.envs.spaces import Array, Spaces

LEFT_END, RIGHT_END = -1.2, 0.6
"""Positions of the valley's ends; the left one is a wall that stops the car."""

FASTEST = 0.07
"""Largest speed."""

START = (-0.6, -0.4)
"""Where the car starts."""

RANGES = {
    "force": (1e-4, 0.01),
    "gravity": (1e-4, 0.01),
    "flag": (-0.3, RIGHT_END),
    "flag_speed": (0.0, FASTEST),
}
"""What each parameter may be."""

SKILL_EXPONENT = 0.46
"""Of `medium`: with it the normalised score is about 50 in training tasks. A larger one makes it weaker."""


class MountainCarEnvironment(BatchedEnvironment):
    """All lanes of MountainCar as two arrays: positions and speeds, `(lanes,)` float64."""

    def __init__(self, spaces: Spaces) -> None:
        """Keep the spaces; lanes come with `reset`."""
        self.spaces = spaces
        self._position: Array = np.zeros(0)
        self._speed: Array = np.zeros(0)

    def reset(self, parameters: Sequence[TaskParameters], seeds: Sequence[int]) -> Array:
        """Put every car at rest where its seed says."""
        self._force, self._gravity, self._flag, self._flag_speed = columns(parameters, *RANGES)
        self._position = np.array(
            [np.random.default_rng(seed).uniform(*START) for seed in seeds], np.float64
        )
        self._speed = np.zeros(len(seeds))
        return self._observation()

    def step(self, actions: Array) -> BatchStep:
        """Push every car; the flag ends the episode and is its success."""
        # The C library's cosine, as in Gymnasium: NumPy's differs in the last bit on some machines.
        slope = np.array([math.cos(x) for x in (3 * self._position).tolist()])
        speed = self._speed + (
            (np.asarray(actions, np.int64) - 1) * self._force + slope * -self._gravity
        )
        speed = np.clip(speed, -FASTEST, FASTEST)
        self._position = np.clip(self._position + speed, LEFT_END, RIGHT_END)
        self._speed = np.where((self._position == LEFT_END) & (speed < 0), 0.0, speed)
        reached = (self._position >= self._flag) & (self._speed >= self._flag_speed)
        return BatchStep(self._observation(), np.full(len(reached), -1.0), reached, reached)

    def scene(self, lane: int) -> Scene:
        """The car in its valley, drawn with Gymnasium's height of the ground, and the flag as the goal."""
        ground = np.linspace(LEFT_END, RIGHT_END, 37).tolist()
        valley = Polyline(tuple((x, _height(x)) for x in ground), STILL)
        x, flag = float(self._position[lane]), float(self._flag[lane])
        car = Circle((x, _height(x) + 0.05), 0.05, MOVING)
        middle = (LEFT_END + RIGHT_END) / 2
        return Scene(
            "side", (middle, 0.0), (valley, car), goal=(flag, _height(flag)), width=1.9, marks=False
        )

    def _observation(self) -> Array:
        return np.stack([self._position, self._speed], axis=1).astype(np.float32)


def _height(x: float) -> float:
    """Of the ground at position `x`, as Gymnasium draws it."""
    return 0.45 * math.sin(3 * x) + 0.55


class MountainCarTeacher(ClassicTeacher):
    """Always pushes the way the car is going."""

    def learn(self, parameters: Sequence[TaskParameters]) -> None:
        """Nothing: it is the same in every task."""

    def choose(self, observation: Array) -> Array:
        """Right, or left while the car rolls to the left."""
        return np.where(observation[:, 1] < 0, 0, 2)


class MountainCarFamily(TaskFamily):
    """Tasks are the car's force, gravity, and the flag's place and least speed."""

    name: ClassVar[str] = "mountain-car"

    def spaces(self, horizon: int) -> Spaces:
        """Position and speed in, three actions out."""
        return Spaces(2, horizon, num_actions=3)

    def check_parameters(self, parameters: TaskParameters) -> None:
        """A task is exactly four numbers in `RANGES`."""
        check_numbers(parameters, RANGES)

    def environment(self, horizon: int) -> BatchedEnvironment:
        """A batched MountainCar."""
        return MountainCarEnvironment(self.spaces(horizon))

    def teacher(self, folder: Path, horizon: int) -> Teacher:
        """The scripted teacher; it needs no weights."""
        del folder
        return MountainCarTeacher(self.spaces(horizon), SKILL_EXPONENT)

    def return_bounds(self, parameters: TaskParameters, horizon: int) -> tuple[float, float]:
        """From never reaching the flag to driving there from the nearest start at full speed."""
        fewest = math.ceil((parameters["flag"] - START[1]) / FASTEST)
        return -float(horizon), -float(min(fewest, horizon))
