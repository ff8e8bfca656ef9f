"""GridWorld: walk over a small grid to the column of goals before its last wall.

Cells are (x, y), counted from 0; the outermost ring is wall, and the column before the right wall is goal. An episode
starts in column 1, its row uniform over the free ones. Actions are 0 (x + 1), 1 (x - 1), 2 (y + 1) and 3 (y - 1). A
step earns -1 + 0.01 x of the new cell, in a goal 10 more, in a wall 10 less; both end the episode, and a goal is its
success. The observation is (x, y) as two plain numbers, not one-hot: what a model of the world has to predict.
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
from metabench.envs.scene import MOVING, WALL, Circle, Scene, make_rectangle
from metabench.envs.spaces import Array, Spaces

MOVES = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
"""Change of (x, y) by action."""

STEP_REWARD, COLUMN_REWARD, GOAL_REWARD, WALL_REWARD = -1.0, 0.01, 10.0, -10.0
"""Of every step, of each unit of x, of a goal and of a wall."""

GOALS = (205, 226, 205)
"""Colour of the goals in pictures."""

RANGES = {"width": (4, 16), "height": (4, 16)}
"""What each parameter may be, walls included; in wider grids the way to the goals would not pay."""

SKILL_EXPONENT = 1.0
"""Of `medium`: with it the normalised score is about 50 in training tasks. A larger one makes it weaker."""


class GridWorldEnvironment(BatchedEnvironment):
    """All lanes of GridWorld as one array of cells, `(lanes, 2)` int64."""

    def __init__(self, spaces: Spaces) -> None:
        """Keep the spaces; lanes come with `reset`."""
        self.spaces = spaces
        self._cell: Array = np.zeros((0, 2), np.int64)

    def reset(self, parameters: Sequence[TaskParameters], seeds: Sequence[int]) -> Array:
        """Put every lane into the row of column 1 that its seed says."""
        self._width, self._height = columns(parameters, *RANGES)
        rows = [
            np.random.default_rng(seed).integers(1, task["height"] - 1)
            for task, seed in zip(parameters, seeds, strict=True)
        ]
        self._cell = np.array([[1, row] for row in rows], np.int64).reshape(-1, 2)
        return self._cell.astype(np.float32)

    def step(self, actions: Array) -> BatchStep:
        """Walk in every lane; goals and walls end the episode."""
        self._cell = self._cell + MOVES[np.asarray(actions, np.int64)]
        x, y = self._cell.T
        wall = (x <= 0) | (x >= self._width - 1) | (y <= 0) | (y >= self._height - 1)
        goal = (x == self._width - 2) & ~wall
        reward = STEP_REWARD + COLUMN_REWARD * x + GOAL_REWARD * goal + WALL_REWARD * wall
        return BatchStep(self._cell.astype(np.float32), reward, goal | wall, goal)

    def scene(self, lane: int) -> Scene:
        """The grid from above: walls all round, the column of goals pale, the walker as a disc."""
        width, height = int(self._width[lane]), int(self._height[lane])
        middle = (width - 1) / 2, (height - 1) / 2
        shapes = (
            make_rectangle(middle, width, height, WALL),
            make_rectangle(middle, width - 2, height - 2, (255, 255, 255)),
            make_rectangle((width - 2, middle[1]), 1.0, height - 2, GOALS),
            Circle((float(self._cell[lane, 0]), float(self._cell[lane, 1])), 0.35, MOVING),
        )
        return Scene("above", middle, shapes, width=max(width, height * 4 / 3) + 1.0, marks=False)


class GridWorldTeacher(ClassicTeacher):
    """Walks straight to the goals."""

    def learn(self, parameters: Sequence[TaskParameters]) -> None:
        """Nothing: it is the same in every task."""

    def choose(self, observation: Array) -> Array:
        """Always x + 1."""
        return np.zeros(len(observation), np.int64)


class GridWorldFamily(TaskFamily):
    """Tasks are sizes of the grid, walls included: `{"width": 8, "height": 8}`."""

    name: ClassVar[str] = "grid-world"

    def spaces(self, horizon: int) -> Spaces:
        """A cell in, four actions out."""
        return Spaces(2, horizon, num_actions=4)

    def check_parameters(self, parameters: TaskParameters) -> None:
        """A task is exactly two whole numbers in `RANGES`."""
        check_numbers(parameters, RANGES, whole=True)

    def environment(self, horizon: int) -> BatchedEnvironment:
        """A batched GridWorld."""
        return GridWorldEnvironment(self.spaces(horizon))

    def teacher(self, folder: Path, horizon: int) -> Teacher:
        """The scripted teacher; it needs no weights."""
        del folder
        return GridWorldTeacher(self.spaces(horizon), SKILL_EXPONENT)

    def return_bounds(self, parameters: TaskParameters, horizon: int) -> tuple[float, float]:
        """From lingering in column 1 and then hitting its left wall to walking straight to a goal."""
        steps = min(parameters["width"] - 3, horizon)
        best = sum(STEP_REWARD + COLUMN_REWARD * (1 + step) for step in range(1, steps + 1))
        if steps == parameters["width"] - 3:
            best += GOAL_REWARD
        worst = (horizon - 1) * (STEP_REWARD + COLUMN_REWARD) + STEP_REWARD + WALL_REWARD
        return worst, best
