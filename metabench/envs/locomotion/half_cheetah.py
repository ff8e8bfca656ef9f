"""Half-cheetah at a hidden speed (`cheetah-vel`) or in a hidden direction (`cheetah-dir`).

Gymnasium's half-cheetah, 5 simulator steps of 0.01 s a step. The observation is the positions without the root's x (8),
the velocities (9) and the torso's place in the world (3); the reward is minus the distance from the wanted speed, or
the speed in the wanted direction, minus 0.05 times the squared norm of the action. Episodes never end early.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from metabench.envs.batched import TaskParameters
from metabench.envs.locomotion.environment import LocomotionEnvironment
from metabench.envs.locomotion.simulator import Body, LaneSimulator
from metabench.envs.spaces import Array

BODY = Body("half_cheetah.xml", frame_skip=5)


class HalfCheetahEnvironment(LocomotionEnvironment):
    """Lanes of half-cheetah; `key` names the parameter that the reward depends on."""

    control_cost: ClassVar[float] = 0.05

    def __init__(self, key: str, *args: Any) -> None:
        """Make an environment whose tasks are `{"speed": ...}` or `{"direction": ...}`."""
        super().__init__(*args)
        self._key = key
        self._torso = np.array(self.model.body("torso").pos)

    def _reset_noise(self, generator: np.random.Generator) -> tuple[Array, Array]:
        positions = generator.uniform(-0.1, 0.1, self.model.nq)
        return positions, 0.1 * generator.standard_normal(self.model.nv)

    def _begin(self, parameters: Sequence[TaskParameters]) -> None:
        self._wanted = np.array([task[self._key] for task in parameters], np.float64)

    def _observation(self, simulator: LaneSimulator) -> Array:
        """The torso's place is that before the last simulator step: MuJoCo computes it at a step's beginning."""
        x, z = simulator.last_positions[:, 0], simulator.last_positions[:, 1]
        torso = self._torso + np.stack([x, np.zeros_like(x), z], axis=1)
        return np.concatenate([simulator.positions[:, 1:], simulator.velocities, torso], axis=1)

    def _reward(self, before: Array, after: Array, actions: Array) -> Array:
        speed = (after[:, 0] - before[:, 0]) / self.seconds
        gain = -np.abs(speed - self._wanted) if self._key == "speed" else self._wanted * speed
        return np.asarray(gain - self.control_cost * np.square(actions).sum(axis=1))
