"""Hopper and walker that must stay up: an episode ends when the body falls, as in Gymnasium.

As `random_parameters`, but for the end of episodes and two more kinds of numbers that a task may have: how strong each
actuator is, and in which direction it turns its joint.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from metabench.envs.batched import TaskParameters
from metabench.envs.locomotion.random_parameters import BODIES, RandomParametersEnvironment
from metabench.envs.locomotion.simulator import LaneSimulator
from metabench.envs.spaces import Array, Spaces


@dataclass(frozen=True)
class HealthyRange:
    """States in which a body counts as up; the numbers are Gymnasium's.

    Attributes:
        height: of the torso, metres: least and most.
        angle: of the torso from upright, radians, to either side.
        largest: absolute value that no position but the place and no velocity may reach.
    """

    height: tuple[float, float]
    angle: float
    largest: float


HEALTHY = {
    "hopper-healthy": HealthyRange((0.7, float("inf")), 0.2, 100.0),
    "walker-healthy": HealthyRange((0.8, 2.0), 1.0, float("inf")),
}
"""By the name of the family."""

SAME_BODY = {"hopper-healthy": "hopper-param", "walker-healthy": "walker-param"}


class HealthyBodyEnvironment(RandomParametersEnvironment):
    """Lanes of hopper or walker whose episodes end with a fall."""

    def __init__(self, spaces: Spaces, family: str, threads: int | None = None) -> None:
        """Compile the nominal model of the family's body."""
        super().__init__(spaces, BODIES[SAME_BODY[family]], threads)
        self._range = HEALTHY[family]

    def task_model(self, parameters: TaskParameters) -> mujoco.MjModel:
        """The scaled model, with its actuators scaled and turned."""
        model = super().task_model(parameters)
        factors = np.array(parameters["strength"]) * np.array(parameters["direction"])
        model.actuator_gear[:, 0] = self.model.actuator_gear[:, 0] * factors
        return model

    def _find_ended(self, simulator: LaneSimulator) -> Array:
        positions, velocities, up = simulator.positions, simulator.velocities, self._range
        height, angle = positions[:, 1], positions[:, 2]
        healthy = (height > up.height[0]) & (height < up.height[1]) & (np.abs(angle) < up.angle)
        state = np.concatenate(
            [positions[:, 2:], velocities], axis=1
        )  # Gymnasium leaves x and z out
        return np.asarray(~(healthy & (np.abs(state) < up.largest).all(axis=1)))
