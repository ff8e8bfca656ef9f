"""Darkroom: find the one cell of a dark room that pays, and stay there.

Nine by nine cells; an episode begins in the middle, (4, 4). Actions are 0 (stay), 1 (up), 2 (right), 3 (down) and
4 (left); a move into the edge stays. Every step that ends in the goal's cell earns 1, all others nothing; nothing ends
an episode and nothing is random. The observation is the cell (x, y) as two plain numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from metabench.envs.batched import BatchedEnvironment, BatchStep, TaskParameters
from metabench.envs.blind import BlindScripts
from metabench.envs.family import TaskFamily, Teacher
from metabench.envs.grids.blind_map import load_map
from metabench.envs.grids.blind_walk import propose_walks
from metabench.envs.grids.grid import (
    CENTRE,
    GOAL,
    GridEnvironment,
    check_cell,
    check_names,
    make_spaces,
    read_cells,
)
from metabench.envs.grids.teacher import GridTeacher
from metabench.envs.scene import Scene
from metabench.envs.spaces import Array, Spaces

MISTAKES = {"stage-1": 0.9, "stage-2": 0.65, "medium": 0.4, "stage-4": 0.15, "expert": 0.0}
"""Probability of a random action, by behaviour; `medium` has about half the expert's return."""


class DarkroomEnvironment(GridEnvironment):
    """All lanes of Darkroom: walkers and goals, `(lanes, 2)` int64."""

    def reset(self, parameters: Sequence[TaskParameters], seeds: Sequence[int]) -> Array:
        """Put every walker into the middle; the reset has no noise, so `seeds` change nothing."""
        del seeds
        self._goal = read_cells(parameters, "goal")
        return self._place_walkers(len(parameters), CENTRE)

    def step(self, actions: Array) -> BatchStep:
        """Walk in every lane; a step that ends in the goal earns 1."""
        self._move_walkers(np.asarray(actions, np.int64))
        reward = self._find_walkers(self._goal).astype(np.float64)
        return BatchStep(self._observe(), reward, np.zeros(len(reward), bool))

    def scene(self, lane: int) -> Scene:
        """The room with its goal."""
        return self._draw_room(lane, [(self._goal[lane], GOAL)])


class DarkroomTeacher(GridTeacher):
    """Walks to the goal and stays."""

    def learn(self, parameters: Sequence[TaskParameters]) -> None:
        """Read the goals."""
        self._goal = read_cells(parameters, "goal")

    def find_targets(self, cells: Array) -> Array:
        """Always the goal."""
        return self._goal


class DarkroomFamily(TaskFamily):
    """Tasks are goals, cells of the room: `{"goal": [7, 2]}`."""

    name: ClassVar[str] = "darkroom"

    def spaces(self, horizon: int) -> Spaces:
        """A cell in, five actions out."""
        return make_spaces(horizon)

    def check_parameters(self, parameters: TaskParameters) -> None:
        """A task is exactly one cell."""
        check_names(parameters, "goal")
        check_cell(parameters, "goal")

    def environment(self, horizon: int) -> BatchedEnvironment:
        """A batched Darkroom."""
        return DarkroomEnvironment(self.spaces(horizon))

    def teacher(self, folder: Path, horizon: int) -> Teacher:
        """The analytic teacher; it needs no weights."""
        del folder
        return DarkroomTeacher(horizon, MISTAKES)

    def blind_scripts(self) -> BlindScripts:
        """Walks that pass cells worth passing and stay in one."""
        return BlindScripts(propose_walks, load_map)

    def return_bounds(self, parameters: TaskParameters, horizon: int) -> tuple[float, float]:
        """From nothing to the shortest way, its last step included, and staying."""
        distance = sum(abs(a - b) for a, b in zip(parameters["goal"], CENTRE, strict=True))
        return 0.0, float(max(horizon - max(distance, 1) + 1, 0))
