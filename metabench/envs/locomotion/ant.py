"""Ant in a hidden direction of the plane (`ant-dir`).

Gymnasium's ant, 5 simulator steps of 0.01 s a step. The observation is the positions without the root's x and y (13)
and the velocities (14); the reward is the root's speed in the wanted direction, minus 0.5 times the squared norm of the
action, plus 1. Contact forces count neither in observation nor reward. Episodes never end early, even upside down.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metabench.envs.batched import TaskParameters
from metabench.envs.locomotion.environment import LocomotionEnvironment
from metabench.envs.locomotion.simulator import Body, LaneSimulator
from metabench.envs.spaces import Array

BODY = Body("ant.xml", frame_skip=5)


class AntEnvironment(LocomotionEnvironment):
    """Lanes of ant; a task is `{"angle": radians}`."""

    def _reset_noise(self, generator: np.random.Generator) -> tuple[Array, Array]:
        positions = generator.uniform(-0.1, 0.1, self.model.nq)
        return positions, 0.1 * generator.standard_normal(self.model.nv)

    def _begin(self, parameters: Sequence[TaskParameters]) -> None:
        angle = np.array([task["angle"] for task in parameters], np.float64)
        self._direction = np.stack([np.cos(angle), np.sin(angle)], axis=1)

    def _wanted_direction(self, parameters: TaskParameters) -> float:
        return float(parameters["angle"])

    def _observation(self, simulator: LaneSimulator) -> Array:
        return np.concatenate([simulator.positions[:, 2:], simulator.velocities], axis=1)

    def _reward(self, before: Array, after: Array, actions: Array) -> Array:
        velocity = (after[:, :2] - before[:, :2]) / self.seconds
        forward = velocity[:, 0] * self._direction[:, 0] + velocity[:, 1] * self._direction[:, 1]
        return np.asarray(forward - 0.5 * np.square(actions).sum(axis=1) + 1.0)
