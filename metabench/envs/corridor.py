"""Corridor: find the one cell of a line that ends the episode; discrete actions, termination, reset noise.

Cells are numbered from -8 to 8; an episode begins in cell -1, 0 or 1, drawn from its seed. Actions are 0 (left),
1 (stay) and 2 (right); a move off the end stays. Every step costs 0.1; the step into the goal cell earns 1 on top and
ends the episode. The observation is the cell divided by 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from metabench.envs.batched import BatchedEnvironment, BatchStep, TaskParameters
from metabench.envs.family import TaskFamily, Teacher
from metabench.envs.scene import MOVING, STILL, Circle, Polyline, Scene
from metabench.envs.spaces import Array, Spaces
from metabench.errors import UnknownNameError

END = 8
"""The last cell on either side."""

NEAREST_GOAL = 2
"""Goals are at least this far from the middle, so that no episode begins in one."""

STEP_COST = 0.1
GOAL_REWARD = 1.0

MISTAKES: dict[str, float] = {
    "stage-1": 0.9,
    "stage-2": 0.7,
    "medium": 0.5,
    "stage-4": 0.25,
    "expert": 0.0,
}
"""The teacher's behaviours, weakest first: the probability of a uniformly random action instead of the right one."""


class CorridorEnvironment(BatchedEnvironment):
    """All lanes of Corridor as two arrays: cells and goals, `(lanes,)` int64."""

    def __init__(self, spaces: Spaces) -> None:
        """Keep the spaces; lanes come with `reset`."""
        self.spaces = spaces
        self._cell: Array = np.zeros(0, np.int64)
        self._goal: Array = np.zeros(0, np.int64)

    def reset(self, parameters: Sequence[TaskParameters], seeds: Sequence[int]) -> Array:
        """Put every lane into one of the three middle cells, drawn from its seed."""
        self._goal = np.array([task["goal"] for task in parameters], np.int64)
        self._cell = np.array(
            [np.random.default_rng(seed).integers(-1, 2) for seed in seeds], np.int64
        )
        return self._observation()

    def step(self, actions: Array) -> BatchStep:
        """Move every lane; the goal cell ends the episode and is its success."""
        self._cell = np.clip(self._cell + np.asarray(actions, np.int64) - 1, -END, END)
        reached = self._cell == self._goal
        return BatchStep(self._observation(), GOAL_REWARD * reached - STEP_COST, reached, reached)

    def scene(self, lane: int) -> Scene:
        """The cells in a row, one a metre wide, with the goal cell crossed."""
        walls = [
            Polyline(((cell - 0.5, -0.5), (cell - 0.5, 0.5)), STILL)
            for cell in range(-END, END + 2)
        ]
        edges = [Polyline(((-END - 0.5, y), (END + 0.5, y)), STILL) for y in (-0.5, 0.5)]
        walker = Circle((float(self._cell[lane]), 0.0), 0.35, MOVING)
        goal = float(self._goal[lane]), 0.0
        return Scene(
            "above",
            (0.0, 0.0),
            (*walls, *edges, walker),
            goal=goal,
            width=2 * END + 2.0,
            marks=False,
        )

    def _observation(self) -> Array:
        return (self._cell[:, None] / END).astype(np.float32)


class CorridorTeacher(Teacher):
    """Walks to the goal; weaker behaviours make more uniformly random moves."""

    behaviours = tuple(MISTAKES)

    def __init__(self, spaces: Spaces) -> None:
        """Keep the spaces: a lane's mistakes for the whole episode are drawn at its reset."""
        self._spaces = spaces

    def reset(
        self, behaviours: Sequence[str], parameters: Sequence[TaskParameters], seeds: Sequence[int]
    ) -> None:
        """Draw each lane's mistakes from its own seed."""
        for name in set(behaviours):
            if name not in MISTAKES:
                raise UnknownNameError("teacher behaviour", name, MISTAKES)
        generators = [np.random.default_rng(seed) for seed in seeds]
        rates = np.array([[MISTAKES[name]] for name in behaviours])
        self._mistaken = (
            np.stack([generator.random(self._spaces.horizon) for generator in generators]) < rates
        )
        self._mistakes = np.stack(
            [self._spaces.uniform_actions(draw, (self._spaces.horizon,)) for draw in generators]
        )
        self._goal = np.array([task["goal"] for task in parameters], np.int64)
        self._timestep = 0

    def act(self, observation: Array) -> Array:
        """One step towards the goal, or the lane's mistake of this timestep."""
        cell = np.rint(np.asarray(observation, np.float64)[:, 0] * END).astype(np.int64)
        right = 1 + np.sign(self._goal - cell)
        chosen = np.where(
            self._mistaken[:, self._timestep], self._mistakes[:, self._timestep], right
        )
        self._timestep += 1
        return np.asarray(chosen, np.int64)


class CorridorFamily(TaskFamily):
    """Tasks are goal cells: `{"goal": -5}`."""

    name: ClassVar[str] = "corridor"

    def spaces(self, horizon: int) -> Spaces:
        """One position in, three actions out."""
        return Spaces(1, horizon, num_actions=3)

    def check_parameters(self, parameters: TaskParameters) -> None:
        """A task is exactly one goal cell away from the middle."""
        goal = parameters.get("goal")
        if set(parameters) != {"goal"} or not isinstance(goal, int) or isinstance(goal, bool):
            raise ValueError("expected exactly 'goal', a whole number")
        if not NEAREST_GOAL <= abs(goal) <= END:
            raise ValueError(f"goal must be {NEAREST_GOAL} to {END} cells from the middle")

    def environment(self, horizon: int) -> BatchedEnvironment:
        """A batched Corridor."""
        return CorridorEnvironment(self.spaces(horizon))

    def teacher(self, folder: Path, horizon: int) -> Teacher:
        """The analytic teacher; it needs no weights."""
        del folder
        return CorridorTeacher(self.spaces(horizon))

    def return_bounds(self, parameters: TaskParameters, horizon: int) -> tuple[float, float]:
        """From never reaching the goal to walking there from the nearer first cell."""
        shortest = abs(parameters["goal"]) - 1
        best = GOAL_REWARD - STEP_COST * shortest if shortest <= horizon else -STEP_COST * horizon
        return -STEP_COST * horizon, best
