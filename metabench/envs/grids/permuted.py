"""Darkroom-Permuted: the way to the goal is known, what the five actions do is not.

Nine by nine cells; an episode begins in (0, 0), and the goal is always (8, 8). The moves are those of Darkroom: stay,
up, right, down, left; which action makes which is the task. Every step that ends in the goal's cell earns 1, all others
nothing; nothing ends an episode and nothing is random. The observation is the cell (x, y) as two plain numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from metabench.envs.batched import BatchedEnvironment, BatchStep, TaskParameters
from metabench.envs.blind import BlindScripts
from metabench.envs.family import TaskFamily, Teacher
from metabench.envs.grids.blind_ascent import propose_climbs
from metabench.envs.grids.blind_map import load_map
from metabench.envs.grids.grid import (
    GOAL,
    MOVES,
    SIZE,
    GridEnvironment,
    check_names,
    make_spaces,
)
from metabench.envs.grids.teacher import GridTeacher
from metabench.envs.scene import Scene
from metabench.envs.spaces import Array, Spaces

START, END = (0, 0), (SIZE - 1, SIZE - 1)
"""Where episodes begin, and the goal."""

MISTAKES = {"stage-1": 0.85, "stage-2": 0.65, "medium": 0.45, "stage-4": 0.2, "expert": 0.0}
"""Probability of a random action, by behaviour; `medium` has about half the expert's return."""


class PermutedEnvironment(GridEnvironment):
    """All lanes of Darkroom-Permuted: walkers, `(lanes, 2)`, and what actions do, `(lanes, 5)`, both int64."""

    def reset(self, parameters: Sequence[TaskParameters], seeds: Sequence[int]) -> Array:
        """Put every walker into its corner; the reset has no noise, so `seeds` change nothing."""
        del seeds
        self._moves = read_moves(parameters)
        return self._place_walkers(len(parameters), START)

    def step(self, actions: Array) -> BatchStep:
        """Walk in every lane as its task understands the action; a step that ends in the goal earns 1."""
        taken = np.asarray(actions, np.int64)[:, None]
        self._move_walkers(np.take_along_axis(self._moves, taken, axis=1)[:, 0])
        reward = self._find_walkers(np.array(END)).astype(np.float64)
        return BatchStep(self._observe(), reward, np.zeros(len(reward), bool))

    def scene(self, lane: int) -> Scene:
        """The room with its goal."""
        return self._draw_room(lane, [(np.array(END), GOAL)])


class PermutedTeacher(GridTeacher):
    """Walks to the goal and stays: it is told what its actions do."""

    def learn(self, parameters: Sequence[TaskParameters]) -> None:
        """Find the action that makes each move."""
        self._actions = np.argsort(read_moves(parameters), axis=1)

    def find_targets(self, cells: Array) -> Array:
        """Always the goal."""
        return np.broadcast_to(np.array(END), cells.shape)

    def choose(self, moves: Array) -> Array:
        """The actions that make `moves` in each lane's task."""
        return np.take_along_axis(self._actions, moves[:, None], axis=1)[:, 0]


class PermutedFamily(TaskFamily):
    """Tasks say which move, of 0 (stay) to 4 (left), each action makes: `{"moves": [2, 0, 1, 4, 3]}`."""

    name: ClassVar[str] = "darkroom-permuted"

    def spaces(self, horizon: int) -> Spaces:
        """A cell in, five actions out."""
        return make_spaces(horizon)

    def check_parameters(self, parameters: TaskParameters) -> None:
        """A task is exactly one order of the five moves."""
        check_names(parameters, "moves")
        moves = parameters["moves"]
        whole = isinstance(moves, list | tuple) and all(type(each) is int for each in moves)
        if not whole or sorted(moves) != list(range(len(MOVES))):
            raise ValueError(f"moves must be the numbers 0 to 4, each once, not {moves!r}")

    def environment(self, horizon: int) -> BatchedEnvironment:
        """A batched Darkroom-Permuted."""
        return PermutedEnvironment(self.spaces(horizon))

    def teacher(self, folder: Path, horizon: int) -> Teacher:
        """The analytic teacher; it needs no weights."""
        del folder
        return PermutedTeacher(horizon, MISTAKES)

    def blind_scripts(self) -> BlindScripts:
        """Maps that were climbed to by the exact gradient of their return."""
        return BlindScripts(propose_climbs, load_map)

    def task_vector(self, parameters: TaskParameters) -> Array:
        """One-hot moves, `(25,)`: moves are names, and of two orders those are near that share many."""
        return np.asarray(np.eye(len(MOVES))[np.array(parameters["moves"])].ravel())

    def return_bounds(self, parameters: TaskParameters, horizon: int) -> tuple[float, float]:
        """From nothing to the shortest way, its last step included, and staying."""
        return 0.0, float(max(horizon - sum(END) + 1, 0))


def read_moves(parameters: Sequence[TaskParameters]) -> Array:
    """`(lanes, 5)` int64: the move of each action in each lane's task."""
    return np.array([task["moves"] for task in parameters], np.int64).reshape(-1, len(MOVES))
