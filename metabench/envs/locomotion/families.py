"""The families' tasks: what fixes one, what the teacher sees of it, and how wide teachers are trained.

Nothing here imports MuJoCo: suites can be listed and checked without it.
"""

from __future__ import annotations

import inspect
import math
from abc import abstractmethod
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar, TypeGuard

import numpy as np

from metabench.envs.batched import BatchedEnvironment, TaskParameters
from metabench.envs.family import TaskFamily, Teacher, TeacherTraining, clip_to_unit
from metabench.envs.locomotion.network_teacher import NetworkTeacher
from metabench.envs.locomotion.versions import TESTED_MUJOCO
from metabench.envs.spaces import Array, Spaces


class LocomotionFamily(TaskFamily):
    """A MuJoCo family; its teacher reads weights from the suite's `teachers/` folder."""

    observation_dim: ClassVar[int]
    action_dim: ClassVar[int]
    feature_dim: ClassVar[int]
    """Length of the teacher's input."""

    def spaces(self, horizon: int) -> Spaces:
        """Actions are torques scaled to [-1, 1]."""
        ones = (1.0,) * self.action_dim
        return Spaces(
            self.observation_dim, horizon, action_low=tuple(-one for one in ones), action_high=ones
        )

    def teacher(self, folder: Path, horizon: int) -> Teacher:
        """The trained teacher."""
        return NetworkTeacher(
            folder,
            self.spaces(horizon),
            self.teacher_features,
            self.feature_dim,
            self.to_environment,
        )

    def teacher_training(self) -> TeacherTraining:
        """PPO on this simulator, over tasks as `draw` gives them."""
        return TeacherTraining(
            self.feature_dim,
            self.action_dim,
            self.teacher_features,
            self.draw,
            to_environment=self.to_environment,
        )

    def to_environment(self, actions: Array, parameters: Sequence[TaskParameters]) -> Array:
        """The teacher's actions as the simulator takes them, in [-1, 1]."""
        return clip_to_unit(actions, parameters)

    @property
    def rules(self) -> str:
        """The text above, of each family."""
        return inspect.cleandoc(self.__doc__ or "")

    def warnings(self) -> tuple[str, ...]:
        """Whether MuJoCo is another version than the tested one."""
        installed = version("mujoco")
        if installed == TESTED_MUJOCO:
            return ()
        return (f"MuJoCo {installed} is not the tested {TESTED_MUJOCO}: trajectories may differ",)

    @abstractmethod
    def teacher_features(self, observations: Array, parameters: Sequence[TaskParameters]) -> Array:
        """What the teacher's network reads: `(lanes, feature_dim)` float64."""

    @abstractmethod
    def draw(self, generator: np.random.Generator) -> TaskParameters:
        """A task of the distribution that teachers are trained on: as wide as the suites and their far tasks."""


class CheetahFamily(LocomotionFamily):
    """Half-cheetah with a task of one number."""

    observation_dim, action_dim, feature_dim = 20, 6, 18
    key: ClassVar[str]
    """Name of the number."""

    def environment(self, horizon: int) -> BatchedEnvironment:
        """A batched half-cheetah."""
        from metabench.envs.locomotion.half_cheetah import BODY, HalfCheetahEnvironment

        return HalfCheetahEnvironment(self.key, self.spaces(horizon), BODY)

    def teacher_features(self, observations: Array, parameters: Sequence[TaskParameters]) -> Array:
        """Positions and velocities, and the task's number; not the place in the world."""
        wanted = np.array([[task[self.key]] for task in parameters], np.float64)
        return np.concatenate([observations[:, :17], wanted], axis=1)


class CheetahVelFamily(CheetahFamily):
    """Half-cheetah at a hidden speed: a task is `{"speed": metres a second}`.

    Gymnasium's half-cheetah, 0.05 s a step. Observation: the positions without the root's x (8), the velocities (9)
    and the torso's place in the world (3). Reward: minus the distance of the speed from the hidden one, minus 0.05
    times the squared norm of the action. Episodes never end early.
    """

    name = "cheetah-vel"
    key = "speed"

    def check_parameters(self, parameters: TaskParameters) -> None:
        """A task is exactly one speed, from 0 to 10."""
        _check_number(parameters, self.key, 0.0, 10.0)

    def draw(self, generator: np.random.Generator) -> TaskParameters:
        """A speed from 0 to 4."""
        return {"speed": float(generator.uniform(0.0, 4.0))}

    def return_bounds(self, parameters: TaskParameters, horizon: int) -> tuple[float, float]:
        """No reward is positive."""
        return float("-inf"), 0.0


class CheetahDirFamily(CheetahFamily):
    """Half-cheetah in a hidden direction: a task is `{"direction": 1}` (forwards) or `{"direction": -1}`.

    Gymnasium's half-cheetah, 0.05 s a step. Observation: the positions without the root's x (8), the velocities (9)
    and the torso's place in the world (3). Reward: the speed in the hidden direction, minus 0.05 times the squared
    norm of the action. Episodes never end early.
    """

    name = "cheetah-dir"
    key = "direction"

    def check_parameters(self, parameters: TaskParameters) -> None:
        """A task is exactly one direction, 1 or -1."""
        _check_number(parameters, self.key, -1.0, 1.0)
        if abs(parameters["direction"]) != 1:
            raise ValueError(f"direction must be 1 or -1, not {parameters['direction']}")

    def draw(self, generator: np.random.Generator) -> TaskParameters:
        """Either direction."""
        return {"direction": int(generator.choice((-1, 1)))}


class AntDirFamily(LocomotionFamily):
    """Ant in a hidden direction of the plane: a task is `{"angle": radians from the x axis}`.

    Gymnasium's ant, 0.05 s a step. Observation: the positions without the root's x and y (13) and the velocities (14).
    Reward: the root's speed in the hidden direction, minus 0.5 times the squared norm of the action, plus 1. Contact
    forces count nowhere. Episodes never end early, even upside down.
    """

    name = "ant-dir"
    observation_dim, action_dim, feature_dim = 27, 8, 27

    def check_parameters(self, parameters: TaskParameters) -> None:
        """A task is exactly one angle, from 0 to 2 pi."""
        _check_number(parameters, "angle", 0.0, 2.0 * math.pi)

    def environment(self, horizon: int) -> BatchedEnvironment:
        """A batched ant."""
        from metabench.envs.locomotion.ant import BODY, AntEnvironment

        return AntEnvironment(self.spaces(horizon), BODY)

    def teacher_features(self, observations: Array, parameters: Sequence[TaskParameters]) -> Array:
        """The observation as seen from a frame whose x axis is the wanted direction.

        All tasks are then the same, to run along x, from different first headings: the root's orientation (quaternion
        at 1:5) and velocity (13:15) turn with the frame; the angular velocity is the body's own.
        """
        angle = np.array([task["angle"] for task in parameters], np.float64)
        cos, sin = np.cos(angle), np.sin(angle)
        # Seen from a frame that is turned by `angle` about z, the root's orientation is q' = (turn by -angle) * q.
        half_cos, half_sin = np.cos(angle / 2.0), np.sin(angle / 2.0)
        features = observations.copy()
        w, x, y, z = observations[:, 1:5].T
        quaternion = np.stack(
            [
                half_cos * w + half_sin * z,
                half_cos * x + half_sin * y,
                half_cos * y - half_sin * x,
                half_cos * z - half_sin * w,
            ],
            axis=1,
        )
        # q and -q are one orientation: the network always sees that with w above zero.
        features[:, 1:5] = np.where(quaternion[:, :1] < 0.0, -quaternion, quaternion)
        features[:, 13] = cos * observations[:, 13] + sin * observations[:, 14]
        features[:, 14] = cos * observations[:, 14] - sin * observations[:, 13]
        return features

    def task_vector(self, parameters: TaskParameters) -> Array:
        """The direction as a unit vector: angles near 0 and near 2 pi are alike."""
        return np.array([math.cos(parameters["angle"]), math.sin(parameters["angle"])])

    def draw(self, generator: np.random.Generator) -> TaskParameters:
        """Any angle."""
        return {"angle": float(generator.uniform(0.0, 2.0 * math.pi))}


def _check_number(parameters: TaskParameters, key: str, low: float, high: float) -> None:
    value = parameters.get(key)
    if set(parameters) != {key} or not is_number(value):
        raise ValueError(f"expected exactly {key!r}, a number")
    if not low <= value <= high:
        raise ValueError(f"{key} must lie between {low:g} and {high:g}, not {value!r:.40}")


def is_number(value: object) -> TypeGuard[float]:
    """Whether `value` is a number; Python's booleans would count as such."""
    return isinstance(value, int | float) and not isinstance(value, bool)
