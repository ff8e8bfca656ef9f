"""What the classic teachers share: a computed expert, and a `medium` that makes mistakes.

In each episode of `medium` the teacher has a skill between 0 and 1: a uniform number to the power of the family's
exponent. At every step it acts as the expert does with that probability, and else uniformly at random. So one dataset
holds episodes from nearly random to nearly perfect. Whether a step is a mistake is drawn anew each time; were it
correlated in time, methods that see their last actions would learn to repeat them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from metabench.envs.batched import TaskParameters
from metabench.envs.family import Teacher
from metabench.envs.spaces import Array, Spaces
from metabench.errors import UnknownNameError


class ClassicTeacher(Teacher):
    """Acts as `choose` says, or by mistake."""

    behaviours = ("medium", "expert")

    def __init__(self, spaces: Spaces, skill_exponent: float) -> None:
        """Keep the spaces, as a lane's mistakes are drawn at its reset; a larger exponent makes a weaker `medium`."""
        self._spaces = spaces
        self._skill_exponent = skill_exponent

    @abstractmethod
    def learn(self, parameters: Sequence[TaskParameters]) -> None:
        """Work out what to do in each lane's task."""

    @abstractmethod
    def choose(self, observation: Array) -> Array:
        """The expert's actions: `(lanes, action_dim)` float64, or `(lanes,)` int64; `observation` is float64."""

    def reset(
        self, behaviours: Sequence[str], parameters: Sequence[TaskParameters], seeds: Sequence[int]
    ) -> None:
        """Draw each lane's skill and mistakes from its own seed."""
        for name in set(behaviours):
            if name not in self.behaviours:
                raise UnknownNameError("teacher behaviour", name, self.behaviours)
        lanes, horizon = len(behaviours), self._spaces.horizon
        self._mistaken = np.zeros((lanes, horizon), bool)
        self._mistakes = np.repeat(self._spaces.null_actions(lanes)[:, None], horizon, axis=1)
        for lane, (behaviour, seed) in enumerate(zip(behaviours, seeds, strict=True)):
            if behaviour == "medium":
                generator = np.random.default_rng(seed)
                skill = generator.random() ** self._skill_exponent
                self._mistaken[lane] = generator.random(horizon) >= skill
                self._mistakes[lane] = self._spaces.uniform_actions(generator, (horizon,))
        self.learn(parameters)
        self._timestep = 0

    def act(self, observation: Array) -> Array:
        """The expert's action, or the lane's mistake of this timestep."""
        chosen = self.choose(np.asarray(observation, np.float64))
        mistaken = self._mistaken[:, self._timestep].reshape(-1, *[1] * (chosen.ndim - 1))
        mistakes = self._mistakes[:, self._timestep]
        self._timestep += 1
        return np.where(mistaken, mistakes, chosen)
