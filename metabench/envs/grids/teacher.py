"""The teacher of the dark rooms: told where to go, it takes a shortest way, and by mistake any way."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np

from metabench.envs.batched import TaskParameters
from metabench.envs.family import Teacher
from metabench.envs.grids.grid import DOWN, LEFT, RIGHT, STAY, UP, make_spaces
from metabench.envs.spaces import Array
from metabench.errors import UnknownNameError


class GridTeacher(Teacher):
    """Walks to its lane's target; where two ways are as short, the lane's seed takes one, so that experts differ."""

    def __init__(self, horizon: int, mistakes: Mapping[str, float]) -> None:
        """Keep the horizon, as a lane's mistakes are drawn at its reset.

        Args:
            horizon: steps of an episode.
            mistakes: by behaviour, weakest first, the probability of a random action instead of the right one.
        """
        self._spaces = make_spaces(horizon)
        self._mistakes = mistakes
        self.behaviours = tuple(mistakes)  # type: ignore[misc]  # each room has shares of its own

    @abstractmethod
    def learn(self, parameters: Sequence[TaskParameters]) -> None:
        """Work out each lane's task, at the start of its episode."""

    @abstractmethod
    def find_targets(self, cells: Array) -> Array:
        """`(lanes, 2)`: where each lane should go from its cell, `(lanes, 2)` int64; asked once a step."""

    def choose(self, moves: Array) -> Array:
        """`(lanes,)` actions that make `moves`; the same numbers, unless a room says otherwise."""
        return moves

    def reset(
        self, behaviours: Sequence[str], parameters: Sequence[TaskParameters], seeds: Sequence[int]
    ) -> None:
        """Draw each lane's mistakes and turns from its own seed."""
        for name in set(behaviours):
            if name not in self._mistakes:
                raise UnknownNameError("teacher behaviour", name, self._mistakes)
        horizon = self._spaces.horizon
        generators = [np.random.default_rng(seed) for seed in seeds]
        draws = np.stack([generator.random((2, horizon)) for generator in generators])
        rates = np.array([[self._mistakes[name]] for name in behaviours])
        self._mistaken, self._sidewise = draws[:, 0] < rates, draws[:, 1] < 0.5
        self._mistaken_actions = np.stack(
            [self._spaces.uniform_actions(generator, (horizon,)) for generator in generators]
        )
        self.learn(parameters)
        self._timestep = 0

    def act(self, observation: Array) -> Array:
        """One step towards the target, or the lane's mistake of this timestep."""
        step = self._timestep
        self._timestep += 1
        right_actions = self._approach(observation, self._sidewise[:, step])
        return np.where(self._mistaken[:, step], self._mistaken_actions[:, step], right_actions)

    def act_without_noise(self, observation: Array) -> Array:
        """One step towards the target, sideways first."""
        return self._approach(observation, np.ones(len(observation), bool))

    def _approach(self, observation: Array, prefer_sidewise: Array) -> Array:
        """`(lanes,)` actions a step nearer; where two ways are as short, `(lanes,)` bools choose."""
        cells = np.rint(observation).astype(np.int64)
        right, up = (self.find_targets(cells) - cells).T
        sidewise = (right != 0) & ((up == 0) | prefer_sidewise)
        upright = np.where(up > 0, UP, np.where(up < 0, DOWN, STAY))
        return self.choose(np.where(sidewise, np.where(right > 0, RIGHT, LEFT), upright))
