"""What the dark rooms share: nine by nine cells, five ways to go, and a walker that the edge holds back.

Cells are (x, y), counted from 0 at the lower left; (4, 4) is the centre.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metabench.envs.batched import BatchedEnvironment, TaskParameters
from metabench.envs.scene import (
    MOVING,
    WALL,
    Circle,
    Colour,
    Polyline,
    Scene,
    Shape,
    make_rectangle,
)
from metabench.envs.spaces import Array, Spaces

SIZE = 9
"""Cells on each side."""

CENTRE = (SIZE // 2, SIZE // 2)

MOVES = np.array([[0, 0], [0, 1], [1, 0], [0, -1], [-1, 0]])
"""Change of (x, y): stay, up, right, down, left."""

GOAL = (205, 226, 205)
"""Colour of what is looked for, in pictures."""

STAY, UP, RIGHT, DOWN, LEFT = range(len(MOVES))


def walk(cells: Array, moves: Array) -> Array:
    """The cells, `(..., 2)`, after `moves`, `(...,)` of 0 to 4; whoever walks into the edge stays."""
    return np.asarray(np.clip(cells + MOVES[moves], 0, SIZE - 1))


def list_cells() -> Array:
    """`(81, 2)`: every cell at the place of its number."""
    return np.stack(np.divmod(np.arange(SIZE * SIZE), SIZE), axis=1)


def number_cells(cells: Array) -> Array:
    """`(...,)` numbers, 0 to 80, of the cells `(..., 2)`."""
    return np.asarray(cells[..., 0] * SIZE + cells[..., 1])


def make_spaces(horizon: int) -> Spaces:
    """The cell as two plain numbers in, five actions out."""
    return Spaces(2, horizon, num_actions=len(MOVES))


def check_cell(parameters: TaskParameters, name: str) -> None:
    """Raise `ValueError` with one line unless the parameter `name` is a cell: two whole numbers from 0 to 8."""
    cell = parameters[name]
    whole = isinstance(cell, list | tuple) and all(type(each) is int for each in cell)
    if not whole or len(cell) != 2 or not all(0 <= each < SIZE for each in cell):
        raise ValueError(
            f"{name} must be a cell, two whole numbers from 0 to {SIZE - 1}, not {cell!r}"
        )


def check_names(parameters: TaskParameters, *names: str) -> None:
    """Raise `ValueError` with one line unless a task says exactly `names`."""
    if set(parameters) != set(names):
        raise ValueError(f"expected exactly {', '.join(map(repr, names))}")


def read_cells(parameters: Sequence[TaskParameters], name: str) -> Array:
    """`(lanes, 2)` int64: the cell that each lane's task calls `name`."""
    return np.array([task[name] for task in parameters], np.int64).reshape(-1, 2)


class GridEnvironment(BatchedEnvironment):
    """Walkers as one array of cells, `(lanes, 2)` int64; what pays and what ends an episode, a subclass says."""

    def __init__(self, spaces: Spaces) -> None:
        """Keep the spaces; lanes come with `reset`."""
        self.spaces = spaces
        self._cell: Array = np.zeros((0, 2), np.int64)

    def _place_walkers(self, lanes: int, cell: tuple[int, int]) -> Array:
        """Put every lane's walker into `cell`; returns the observations."""
        self._cell = np.tile(np.array(cell, np.int64), (lanes, 1))
        return self._observe()

    def _move_walkers(self, moves: Array) -> None:
        """Move every lane's walker: `(lanes,)` of 0 to 4."""
        self._cell = walk(self._cell, moves)

    def _observe(self) -> Array:
        return self._cell.astype(np.float32)

    def _find_walkers(self, cells: Array) -> Array:
        """`(lanes,)` bool: the walker is in its lane's cell."""
        return np.asarray((self._cell == cells).all(axis=1))

    def _draw_room(self, lane: int, marked: Sequence[tuple[Array, Colour]]) -> Scene:
        """The room from above, some cells of a colour of their own, the walker as a disc."""
        middle = float(CENTRE[0]), float(CENTRE[1])
        edges = [number - 0.5 for number in range(SIZE + 1)]
        lines = [Polyline(((edge, edges[0]), (edge, edges[-1])), WALL) for edge in edges]
        lines += [Polyline(((edges[0], edge), (edges[-1], edge)), WALL) for edge in edges]
        filled: list[Shape] = [
            make_rectangle((float(cell[0]), float(cell[1])), 1.0, 1.0, colour)
            for cell, colour in marked
        ]
        x, y = self._cell[lane].tolist()
        walker = Circle((float(x), float(y)), 0.35, MOVING)
        shapes = (*filled, *lines, walker)
        return Scene("above", middle, shapes, width=SIZE + 1.0, marks=False)
