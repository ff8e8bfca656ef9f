"""Hopper and walker with hidden physics (`hopper-param`, `walker-param`).

The models are Gymnasium's, but 4 simulator steps of 0.004 s a step: 0.016 s, twice the time of Gymnasium's own
environments. A task scales masses, inertias, joint dampings and contact frictions, each number by a factor of its own.
The observation is the positions without the root's x and the velocities, clipped to [-10, 10]; the reward is the speed
plus 1 minus 0.001 times the squared norm of the action. Episodes never end early: the 1 is paid lying down as well.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import mujoco
import numpy as np

from metabench.envs.batched import TaskParameters
from metabench.envs.locomotion.environment import LocomotionEnvironment
from metabench.envs.locomotion.simulator import Body, LaneSimulator
from metabench.envs.spaces import Array

BODIES = {
    "hopper-param": Body("hopper.xml", frame_skip=4, timestep=0.004),
    "walker-param": Body("walker2d.xml", frame_skip=4, timestep=0.004),
}
"""By the name of the family."""


class RandomParametersEnvironment(LocomotionEnvironment):
    """Lanes of hopper or walker; a task is the factors of `parameter_families.ParameterFamily`."""

    def task_model(self, parameters: TaskParameters) -> mujoco.MjModel:
        """A copy of the nominal model with its numbers scaled.

        The world body and the root joints stay as they are: their numbers are zero. Constants that MuJoCo derives when
        it compiles a model (`invweight0` and the like) stay nominal, as in the benchmark that the tasks come from.
        """
        model = copy.copy(self.model)
        model.body_mass[1:] = self.model.body_mass[1:] * np.array(parameters["mass"])
        model.body_inertia[1:] = self.model.body_inertia[1:] * np.array(parameters["inertia"])
        model.dof_damping[3:] = self.model.dof_damping[3:] * np.array(parameters["damping"])
        model.geom_friction[:] = self.model.geom_friction * np.array(parameters["friction"])
        return model

    def _reset_noise(self, generator: np.random.Generator) -> tuple[Array, Array]:
        positions = generator.uniform(-0.005, 0.005, self.model.nq)
        return positions, generator.uniform(-0.005, 0.005, self.model.nv)

    def _begin(self, parameters: Sequence[TaskParameters]) -> None:
        """Rewards do not depend on the task."""

    def _observation(self, simulator: LaneSimulator) -> Array:
        return np.concatenate(
            [simulator.positions[:, 1:], np.clip(simulator.velocities, -10.0, 10.0)], axis=1
        )

    def _reward(self, before: Array, after: Array, actions: Array) -> Array:
        speed = (after[:, 0] - before[:, 0]) / self.seconds
        return np.asarray(speed + 1.0 - 0.001 * np.square(actions).sum(axis=1))
