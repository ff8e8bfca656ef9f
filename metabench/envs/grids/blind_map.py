"""Blind policies of the dark rooms: a map that says of every cell how likely each action is.

It is all that a policy can be that sees the cell alone and remembers nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import Field, ValidationError, field_validator

from metabench.envs.blind import BlindPolicy
from metabench.envs.grids.grid import MOVES, SIZE, number_cells
from metabench.envs.spaces import Array
from metabench.errors import first_problem
from metabench.system.strict_model import StrictModel

NEARLY_ONE = 1e-3
"""Chances of a cell are rounded: their sum may differ from 1 by so much."""


class BlindMap(StrictModel):
    """What `references/blind.json` holds."""

    script: str = Field(description="its name among the maps that were tried")
    dealt: bool = Field(
        description="each episode deals the five actions to the columns of the map anew, by its seed"
    )
    chances: tuple[tuple[float, ...], ...] = Field(
        min_length=SIZE * SIZE,
        max_length=SIZE * SIZE,
        description="a row a cell, (0, 0), (0, 1), ... (8, 8), a column an action",
    )

    @field_validator("chances")
    @classmethod
    def _check_chances(cls, chances: tuple[tuple[float, ...], ...]) -> Any:
        for number, row in enumerate(chances):
            right = len(row) == len(MOVES) and min(row) >= 0 and abs(sum(row) - 1) < NEARLY_ONE
            if not right:
                cell = divmod(number, SIZE)
                raise ValueError(
                    f"cell {cell}: expected {len(MOVES)} chances that sum to 1, found {row}"
                )
        return chances


def describe_map(script: str, chances: Array, *, dealt: bool = False) -> dict[str, Any]:
    """The content of a map: `chances` are `(81, 5)`."""
    rows = np.round(chances, 4).tolist()
    return BlindMap(script=script, dealt=dealt, chances=rows).model_dump(mode="json")


def describe_choices(script: str, actions: Sequence[int] | Array) -> dict[str, Any]:
    """The content of a map that takes one of the `(81,)` actions in each cell, for certain."""
    return describe_map(script, np.eye(len(MOVES))[np.asarray(actions)])


def load_map(content: Mapping[str, Any], horizon: int) -> BlindPolicy:
    """The policy that acts by a map; raises `ValueError` with one line if `content` is none."""
    try:
        return MapPolicy(BlindMap.model_validate(content), horizon)
    except ValidationError as error:
        raise ValueError(first_problem(error)) from error


class MapPolicy(BlindPolicy):
    """Draws each lane's action by the chances of its cell."""

    def __init__(self, content: BlindMap, horizon: int) -> None:
        """Keep the map, and the horizon: a lane's draws for the whole episode are made at its reset."""
        self._limits = np.cumsum(np.array(content.chances), axis=1)  # (81, 5)
        self._dealt, self._horizon = content.dealt, horizon

    def reset(self, seeds: Sequence[int]) -> None:
        """Deal the actions, and draw, from each lane's own seed."""
        generators = [np.random.default_rng(seed) for seed in seeds]
        actions = len(MOVES)
        self._draws = np.stack([each.random(self._horizon) for each in generators])
        self._actions = np.stack(
            [
                each.permutation(actions) if self._dealt else np.arange(actions)
                for each in generators
            ]
        )
        self._timestep = 0

    def act(self, observation: Array) -> Array:
        """`(lanes,)` int64."""
        numbers = number_cells(np.rint(observation).astype(np.int64))
        draws = self._draws[:, self._timestep]
        self._timestep += 1
        columns = (draws[:, None] >= self._limits[numbers, :-1]).sum(axis=1)
        return np.asarray(np.take_along_axis(self._actions, columns[:, None], axis=1)[:, 0])
