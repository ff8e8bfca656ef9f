"""SimpleEnv: bring one number to zero by adding to it.

The state s is one number, first uniform in [-start, start]. The action, clipped to [-10, 10], is added to it, and the
sum is clipped to [-limit, limit]; the reward is minus its absolute value after that. Nothing ends an episode, and there
is no notion of success. The observation is the state.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from metabench.envs.batched import BatchedEnvironment, BatchStep, TaskParameters
from metabench.envs.classic.parameters import check_numbers, columns
from metabench.envs.classic.teacher import ClassicTeacher
from metabench.envs.family import TaskFamily, Teacher
from metabench.envs.scene import MOVING, STILL, Capsule, Circle, Scene
from metabench.envs.spaces import Array, Spaces

LARGEST_MOVE = 10.0
"""Largest action."""

RANGES = {"start": (0.0, LARGEST_MOVE), "limit": (LARGEST_MOVE, 1000.0)}
"""What each parameter may be; from every start one move leads to zero."""

SKILL_EXPONENT = 1.7
"""Of `medium`: with it the normalised score is about 50 in training tasks. A larger one makes it weaker."""


class SimpleEnvironment(BatchedEnvironment):
    """All lanes of SimpleEnv as one array of states, `(lanes,)` float64."""

    def __init__(self, spaces: Spaces) -> None:
        """Keep the spaces; lanes come with `reset`."""
        self.spaces = spaces
        self._state: Array = np.zeros(0)
        self._limit: Array = np.zeros(0)

    def reset(self, parameters: Sequence[TaskParameters], seeds: Sequence[int]) -> Array:
        """Draw each lane's state from its seed."""
        start, self._limit = columns(parameters, *RANGES)
        draws = [
            np.random.default_rng(seed).uniform(-s, s)
            for s, seed in zip(start.tolist(), seeds, strict=True)
        ]
        self._state = np.array(draws, np.float64)
        return self._observation()

    def step(self, actions: Array) -> BatchStep:
        """Add every action; the reward is minus the absolute value of what comes out."""
        move = np.clip(np.asarray(actions, np.float64)[:, 0], -LARGEST_MOVE, LARGEST_MOVE)
        self._state = np.clip(self._state + move, -self._limit, self._limit)
        return BatchStep(self._observation(), -np.abs(self._state), np.zeros(len(move), bool))

    def scene(self, lane: int) -> Scene:
        """The number on its line, which ends where it is clipped; the cross is zero."""
        limit, state = float(self._limit[lane]), float(self._state[lane])
        line = Capsule(((-limit, 0.0), (limit, 0.0)), 0.015 * limit, STILL)
        number = Circle((state, 0.0), 0.08 * limit, MOVING)
        return Scene(
            "above", (0.0, 0.0), (line, number), goal=(0.0, 0.0), width=2.4 * limit, marks=False
        )

    def _observation(self) -> Array:
        return self._state[:, None].astype(np.float32)


class SimpleEnvTeacher(ClassicTeacher):
    """Takes the state away."""

    def learn(self, parameters: Sequence[TaskParameters]) -> None:
        """Nothing: it is the same in every task."""

    def choose(self, observation: Array) -> Array:
        """`(lanes, 1)`: minus the state, as far as one move goes."""
        return np.clip(-observation, -LARGEST_MOVE, LARGEST_MOVE)


class SimpleEnvFamily(TaskFamily):
    """Tasks are where the state starts and where it is clipped: `{"start": 5.0, "limit": 30.0}`."""

    name: ClassVar[str] = "simple-env"

    def spaces(self, horizon: int) -> Spaces:
        """One number in, one of at most 10 out."""
        return Spaces(1, horizon, action_low=(-LARGEST_MOVE,), action_high=(LARGEST_MOVE,))

    def check_parameters(self, parameters: TaskParameters) -> None:
        """A task is exactly two numbers in `RANGES`."""
        check_numbers(parameters, RANGES)

    def environment(self, horizon: int) -> BatchedEnvironment:
        """A batched SimpleEnv."""
        return SimpleEnvironment(self.spaces(horizon))

    def teacher(self, folder: Path, horizon: int) -> Teacher:
        """The scripted teacher; it needs no weights."""
        del folder
        return SimpleEnvTeacher(self.spaces(horizon), SKILL_EXPONENT)

    def return_bounds(self, parameters: TaskParameters, horizon: int) -> tuple[float, float]:
        """From always moving away at full length to zero at once."""
        reach = np.minimum(
            parameters["start"] + LARGEST_MOVE * np.arange(1, horizon + 1), parameters["limit"]
        )
        return -float(reach.sum()), 0.0
