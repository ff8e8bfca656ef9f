"""The families whose tasks scale the body's physics (hopper-param, walker-param); again without MuJoCo."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from metabench.envs.batched import BatchedEnvironment, TaskParameters
from metabench.envs.locomotion.families import LocomotionFamily, is_number
from metabench.envs.spaces import Array


class ParameterFamily(LocomotionFamily):
    """A body whose physics is scaled: factors of mass, inertia, damping and friction, each above zero.

    `mass` has one a body, `inertia` three a body, `damping` one a joint, `friction` three (sliding, torsional,
    rolling) a geometry, the floor first.
    """

    bodies: ClassVar[int]
    joints: ClassVar[int]
    bases: ClassVar[Mapping[str, float]] = {
        "mass": 1.5,
        "inertia": 1.5,
        "damping": 1.3,
        "friction": 1.5,
    }
    """A factor is its base to the power of an exponent, uniform in [-3, 3] in training."""

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each parameter."""
        return {
            "mass": (self.bodies,),
            "inertia": (self.bodies, 3),
            "damping": (self.joints,),
            "friction": (self.bodies + 1, 3),
        }

    def check_parameters(self, parameters: TaskParameters) -> None:
        """All four parameters, of the right lengths, all numbers finite and above zero."""
        if set(parameters) != set(self.shapes):
            raise ValueError(
                f"expected exactly {', '.join(self.shapes)}, found {', '.join(sorted(parameters))}"
            )
        for key, shape in self.shapes.items():
            values = np.array(
                parameters[key], object
            )  # float64 would turn texts and booleans into numbers
            if values.shape != shape:
                raise ValueError(f"{key} must have shape {shape}, not {values.shape}")
            if not all(
                is_number(value) and 0.0 < value <= sys.float_info.max for value in values.flat
            ):
                raise ValueError(f"{key} must hold finite numbers above zero")

    def environment(self, horizon: int) -> BatchedEnvironment:
        """A batched body of the family's name."""
        from metabench.envs.locomotion.random_parameters import BODIES, RandomParametersEnvironment

        return RandomParametersEnvironment(self.spaces(horizon), BODIES[self.name])

    def teacher_features(self, observations: Array, parameters: Sequence[TaskParameters]) -> Array:
        """The observation, and the exponents of all factors divided by 3."""
        # Lanes share the parameters of their task as one object: the logarithms are taken once a task.
        exponents = {id(task): self._exponents(task) / 3.0 for task in parameters}
        return np.concatenate([observations, [exponents[id(task)] for task in parameters]], axis=1)

    def draw(self, generator: np.random.Generator) -> TaskParameters:
        """Exponents uniform in [-3, 3], or, in a fifth of the draws, in [-4.5, 4.5]."""
        return self.draw_factors(generator, 4.5 if generator.random() < 0.2 else 3.0)

    def draw_factors(
        self, generator: np.random.Generator | np.random.RandomState, largest: float
    ) -> TaskParameters:
        """Factors whose exponents are uniform in [-largest, largest]."""
        return {
            key: np.power(self.bases[key], generator.uniform(-largest, largest, shape)).tolist()
            for key, shape in self.shapes.items()
        }

    def task_vector(self, parameters: TaskParameters) -> Array:
        """The exponents of all factors."""
        return self._exponents(parameters)

    def _exponents(self, parameters: TaskParameters) -> Array:
        return np.concatenate(
            [
                np.log(np.array(parameters[key])).ravel() / math.log(self.bases[key])
                for key in self.shapes
            ]
        )


class HopperParamFamily(ParameterFamily):
    """Hopper with hidden physics: a task is 34 factors of mass, inertia, damping and friction.

    Gymnasium's hopper at 0.016 s a step, twice its own. Observation: the positions without the root's x (5) and the
    velocities, clipped to [-10, 10] (6). Reward: the speed, plus 1, minus 0.001 times the squared norm of the action.
    Episodes never end early: the 1 is paid lying down as well.
    """

    name = "hopper-param"
    observation_dim, action_dim, feature_dim = 11, 3, 11 + 34
    bodies, joints = 4, 3


class WalkerParamFamily(ParameterFamily):
    """Walker with hidden physics: a task is 58 factors of mass, inertia, damping and friction.

    Gymnasium's walker at 0.016 s a step, twice its own. Observation: the positions without the root's x (8) and the
    velocities, clipped to [-10, 10] (9). Reward: the speed, plus 1, minus 0.001 times the squared norm of the action.
    Episodes never end early: the 1 is paid lying down as well.
    """

    name = "walker-param"
    observation_dim, action_dim, feature_dim = 17, 6, 17 + 58
    bodies, joints = 7, 6


class HealthyFamily(ParameterFamily):
    """A body that must stay up, with hidden physics, strengths and directions of its actuators.

    `strength` has a factor and `direction` a 1 or -1 for each actuator.
    """

    bases: ClassVar[Mapping[str, float]] = {**ParameterFamily.bases, "strength": 1.2}

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each parameter that is a factor."""
        return {**super().shapes, "strength": (self.joints,)}

    def check_parameters(self, parameters: TaskParameters) -> None:
        """All factors, and a direction for each actuator."""
        if "direction" not in parameters:
            raise ValueError("expected a direction for each actuator, found none")
        directions = np.array(parameters["direction"], object)
        if directions.shape != (self.joints,) or not all(
            is_number(value) and abs(value) == 1 for value in directions
        ):
            raise ValueError(f"direction must hold {self.joints} numbers, each 1 or -1")
        super().check_parameters({key: parameters[key] for key in parameters if key != "direction"})

    def environment(self, horizon: int) -> BatchedEnvironment:
        """A batched body whose episodes end with a fall."""
        from metabench.envs.locomotion.healthy_bodies import HealthyBodyEnvironment

        return HealthyBodyEnvironment(self.spaces(horizon), self.name)

    def to_environment(self, actions: Array, parameters: Sequence[TaskParameters]) -> Array:
        """The teacher knows which actuators are turned: its network acts as if none were, and never sees it."""
        directions = np.array([task["direction"] for task in parameters], np.float64)
        return np.clip(actions, -1.0, 1.0) * directions

    def draw(self, generator: np.random.Generator) -> TaskParameters:
        """Factors as of the family without falls; directions make no difference to the teacher."""
        return {**super().draw(generator), "direction": [1] * self.joints}

    def task_vector(self, parameters: TaskParameters) -> Array:
        """The exponents of all factors, and the directions."""
        return np.concatenate([self._exponents(parameters), parameters["direction"]])


class HopperHealthyFamily(HealthyFamily):
    """Hopper that must stay up: a task is 37 factors of mass, inertia, damping, friction and strength, 3 directions.

    Gymnasium's hopper at 0.016 s a step, twice its own. Observation: the positions without the root's x (5) and the
    velocities, clipped to [-10, 10] (6). Reward: the speed, plus 1, minus 0.001 times the squared norm of the action.
    An episode ends when the torso is lower than 0.7 m or leans by more than 0.2.
    """

    name = "hopper-healthy"
    observation_dim, action_dim, feature_dim = 11, 3, 11 + 37
    bodies, joints = 4, 3


class WalkerHealthyFamily(HealthyFamily):
    """Walker that must stay up: a task is 64 factors of mass, inertia, damping, friction and strength, 6 directions.

    Gymnasium's walker at 0.016 s a step, twice its own. Observation: the positions without the root's x (8) and the
    velocities, clipped to [-10, 10] (9). Reward: the speed, plus 1, minus 0.001 times the squared norm of the action.
    An episode ends when the torso is lower than 0.8 m, higher than 2 m or leans by more than 1.
    """

    name = "walker-healthy"
    observation_dim, action_dim, feature_dim = 17, 6, 17 + 64
    bodies, joints = 7, 6
