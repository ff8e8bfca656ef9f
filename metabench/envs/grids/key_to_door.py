"""Dark Key-to-Door: find a key that is not seen, then the door that it opens.

Nine by nine cells; an episode begins in the middle, (4, 4). Actions are 0 (stay), 1 (up), 2 (right), 3 (down) and
4 (left); a move into the edge stays. The first step that ends in the key's cell earns 1; after it, the first that ends
in the door's cell earns 1 and ends the episode, which is its success. All other steps earn nothing, and nothing is
random. The observation is the cell (x, y) as two plain numbers: whether the key was found is for policies to remember.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from metabench.envs.batched import BatchedEnvironment, BatchStep, TaskParameters
from metabench.envs.blind import BlindScripts
from metabench.envs.family import TaskFamily, Teacher
from metabench.envs.grids.blind_map import describe_choices, load_map
from metabench.envs.grids.grid import (
    CENTRE,
    DOWN,
    GOAL,
    LEFT,
    MOVES,
    RIGHT,
    SIZE,
    STAY,
    UP,
    GridEnvironment,
    check_cell,
    check_names,
    make_spaces,
    number_cells,
)
from metabench.envs.grids.teacher import GridTeacher
from metabench.envs.scene import Scene
from metabench.envs.spaces import Array, Spaces

MISTAKES = {"stage-1": 0.95, "stage-2": 0.88, "medium": 0.8, "stage-4": 0.65, "expert": 0.0}
"""Probability of a random action, by behaviour; `medium` has about half the expert's return."""

KEY = (245, 222, 150)
"""Colour of the key's cell in pictures, until it is found."""


class KeyToDoorEnvironment(GridEnvironment):
    """All lanes of Dark Key-to-Door: walkers, keys and doors, `(lanes, 2)` int64, and who has the key, `(lanes,)`."""

    def reset(self, parameters: Sequence[TaskParameters], seeds: Sequence[int]) -> Array:
        """Put every walker into the middle; the reset has no noise, so `seeds` change nothing."""
        del seeds
        self._key, self._door = read_places(parameters)
        self._has_key = np.zeros(len(parameters), bool)
        return self._place_walkers(len(parameters), CENTRE)

    def step(self, actions: Array) -> BatchStep:
        """Walk in every lane; the key and after it the door earn 1 each, the door ends the episode."""
        self._move_walkers(np.asarray(actions, np.int64))
        found = self._find_walkers(self._key) & ~self._has_key
        opened = self._find_walkers(self._door) & self._has_key
        self._has_key = self._has_key | found
        return BatchStep(self._observe(), (found | opened).astype(np.float64), opened, opened)

    def scene(self, lane: int) -> Scene:
        """The room with its door, and with the key until it is found."""
        marked = [(self._door[lane], GOAL)]
        return self._draw_room(
            lane, marked if self._has_key[lane] else [*marked, (self._key[lane], KEY)]
        )


class KeyToDoorTeacher(GridTeacher):
    """Walks to the key, and from there to the door."""

    def learn(self, parameters: Sequence[TaskParameters]) -> None:
        """Read the places; nobody has a key yet."""
        self._key, self._door = read_places(parameters)
        self._has_key = np.zeros(len(parameters), bool)
        self._begun = False

    def find_targets(self, cells: Array) -> Array:
        """The key until a step has ended there, then the door."""
        if self._begun:
            self._has_key = self._has_key | (cells == self._key).all(axis=1)
        self._begun = True
        return np.where(self._has_key[:, None], self._door, self._key)


class KeyToDoorFamily(TaskFamily):
    """Tasks are two cells, x and y of the key, x and y of the door: `{"key_and_door": [1, 2, 8, 4]}`."""

    name: ClassVar[str] = "key-to-door"

    def spaces(self, horizon: int) -> Spaces:
        """A cell in, five actions out."""
        return make_spaces(horizon)

    def check_parameters(self, parameters: TaskParameters) -> None:
        """A task is exactly two different cells."""
        check_names(parameters, "key_and_door")
        places = parameters["key_and_door"]
        if not isinstance(places, list | tuple) or len(places) != 4:
            raise ValueError(f"key_and_door must be four numbers, x and y of each, not {places!r}")
        cells = {"key": list(places[:2]), "door": list(places[2:])}
        for name in cells:
            check_cell(cells, name)
        if cells["key"] == cells["door"]:
            raise ValueError(f"key_and_door must be two cells, not one, {cells['key']}, twice")

    def environment(self, horizon: int) -> BatchedEnvironment:
        """A batched Dark Key-to-Door."""
        return KeyToDoorEnvironment(self.spaces(horizon))

    def teacher(self, folder: Path, horizon: int) -> Teacher:
        """The analytic teacher; it needs no weights."""
        del folder
        return KeyToDoorTeacher(horizon, MISTAKES)

    def blind_scripts(self) -> BlindScripts:
        """Tours through many cells."""
        return BlindScripts(propose_tours, load_map)

    def return_bounds(self, parameters: TaskParameters, horizon: int) -> tuple[float, float]:
        """From nothing to both, where the shortest way is short enough."""
        (key,), (door,) = read_places([parameters])
        to_key = max(int(np.abs(key - CENTRE).sum()), 1)
        to_door = to_key + int(np.abs(door - key).sum())
        return 0.0, float((to_key <= horizon) + (to_door <= horizon))


def read_places(parameters: Sequence[TaskParameters]) -> tuple[Array, Array]:
    """`(lanes, 2)` int64 twice: each lane's key and door."""
    places = np.array([task["key_and_door"] for task in parameters], np.int64).reshape(-1, 4)
    return places[:, :2], places[:, 2:]


def propose_tours(training: Sequence[TaskParameters], horizon: int) -> dict[str, dict[str, Any]]:
    """Staying in the middle, and spirals out of it: one for each first move and each way to turn.

    Whoever sees no rewards walks one way in every task. Of `horizon` steps, none can end in more cells than there are
    steps; a spiral never comes to a cell twice. So over all keys and doors no other blind policy is better in the mean.
    """
    del training, horizon
    tours = {"stay in the middle": np.full(SIZE * SIZE, STAY)}
    for first, name in ((UP, "up"), (RIGHT, "right"), (DOWN, "down"), (LEFT, "left")):
        for turn, way in ((1, "clockwise"), (-1, "counter-clockwise")):
            tours[f"a spiral, first {name}, {way}"] = draw_spiral(first, turn)
    return {name: describe_choices(name, actions) for name, actions in tours.items()}


def draw_spiral(first: int, turn: int) -> Array:
    """`(81,)` actions, one a cell, of a walk from the middle through every cell; at its end it stays.

    Args:
        first: the first move, 1 to 4.
        turn: 1 turns clockwise, -1 counter-clockwise.
    """
    actions = np.full(SIZE * SIZE, STAY)
    cell, move = np.array(CENTRE), first
    for side in range(2 * SIZE - 1):
        # Sides are 1, 1, 2, 2, 3, 3, ... moves long; the last is one shorter, for the room ends there.
        for _ in range(min(side // 2 + 1, SIZE - 1)):
            actions[number_cells(cell)] = move
            cell = cell + MOVES[move]
        move = 1 + (move - 1 + turn) % (len(MOVES) - 1)
    return actions
