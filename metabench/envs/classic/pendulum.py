"""Pendulum: swing a rod up and hold it there with a torque too weak to lift it; the rod and the motor are hidden.

The dynamics, the reset and the reward are those of Gymnasium's `Pendulum-v1`, to the last bit of float64; a step is
0.05 s. The torque is the action, clipped to [-2, 2], times the task's gain, which may be negative: then the motor turns
the other way. The reward, before the move, is minus (angle² + 0.1 speed² + 0.001 torque²), the angle counted from
upright. The first angle is uniform on the circle, the first speed uniform in [-1, 1]; speeds are clipped to [-8, 8].
Nothing ends an episode, and there is no notion of success. The observation is the angle's cosine and sine and the
speed, nothing of the task.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from scipy.linalg import solve_discrete_are

from metabench.envs.batched import BatchedEnvironment, BatchStep, TaskParameters
from metabench.envs.classic.parameters import check_numbers
from metabench.envs.classic.teacher import ClassicTeacher
from metabench.envs.family import TaskFamily, Teacher
from metabench.envs.scene import MOVING, STILL, Capsule, Circle, Scene
from metabench.envs.spaces import Array, Spaces

SECONDS = 0.05
"""Length of a step."""

STRONGEST = 2.0
"""Largest action."""

FASTEST = 8.0
"""Largest angular speed."""

RANGES = {"gravity": (1.0, 30.0), "mass": (0.1, 10.0), "length": (0.2, 5.0), "gain": (-20.0, 20.0)}
"""What each parameter may be."""

SKILL_EXPONENT = 1.7
"""Of `medium`: with it the normalised score is about 50 in training tasks. A larger one makes it weaker."""

COSTS = (1.0, 0.1, 0.001)
"""The price of the squares of angle, speed and torque."""

CATCH = 5.0
"""Of the teacher: in the upper half it holds instead of swinging once holding needs at most so many times the strongest
action. It is then caught all the same, and well above 1 it loses least time: 0.75 to 10 were tried in training tasks.
"""

PUMP = 20.0
"""Of the teacher: action for each unit of missing energy, in units of what lies between flat and upright."""


@dataclass(frozen=True)
class PendulumPhysics:
    """The numbers of each lane's task, `(lanes,)` float64 each.

    Attributes:
        fall: angular acceleration by gravity when the rod lies flat.
        response: angular acceleration for each unit of torque.
        gain: torque for each unit of action.
    """

    fall: Array
    response: Array
    gain: Array

    @staticmethod
    def of(tasks: Sequence[TaskParameters]) -> PendulumPhysics:
        """One lane a task. Plain floats and `**`, as Gymnasium has it: an array's square may differ in the last bit."""
        return PendulumPhysics(
            np.array([3 * task["gravity"] / (2 * task["length"]) for task in tasks], np.float64),
            np.array([3.0 / (task["mass"] * task["length"] ** 2) for task in tasks], np.float64),
            np.array([task["gain"] for task in tasks], np.float64),
        )

    def advance(self, state: Array, torque: Array) -> Array:
        """The states a step later.

        Args:
            state: `(2, lanes)` float64: angle from upright, angular speed.
            torque: `(lanes,)` float64.

        Returns:
            `(2, lanes)` float64. Sums and products are in Gymnasium's order, so that the last bits agree.
        """
        angle, speed = state
        speed = np.clip(
            speed + (self.fall * np.sin(angle) + self.response * torque) * SECONDS,
            -FASTEST,
            FASTEST,
        )
        return np.stack([angle + speed * SECONDS, speed])


def wrap_angle(angle: Array) -> Array:
    """Angles in [-π, π)."""
    return np.asarray((angle + np.pi) % (2 * np.pi) - np.pi)


class PendulumEnvironment(BatchedEnvironment):
    """All lanes of Pendulum as one array of states, `(2, lanes)` float64."""

    def __init__(self, spaces: Spaces) -> None:
        """Keep the spaces; lanes come with `reset`."""
        self.spaces = spaces
        self._physics = PendulumPhysics.of([])
        self._state: Array = np.zeros((2, 0))
        self._lengths: list[float] = []
        self._steps = 0

    def reset(self, parameters: Sequence[TaskParameters], seeds: Sequence[int]) -> Array:
        """Draw each lane's angle and speed from its seed."""
        self._physics = PendulumPhysics.of(parameters)
        high = np.array([np.pi, 1.0])
        draws = [np.random.default_rng(seed).uniform(-high, high) for seed in seeds]
        self._state = np.array(draws).reshape(-1, 2).T.copy()
        self._lengths, self._steps = [float(task["length"]) for task in parameters], 0
        return self._observation()

    def step(self, actions: Array) -> BatchStep:
        """Turn every rod; the reward is that of the state before."""
        action = np.clip(np.asarray(actions, np.float64)[:, 0], -STRONGEST, STRONGEST)
        torque = self._physics.gain * action
        angle, speed = self._state
        # Powers, not products: Gymnasium's scalars take them so, and one in a thousand differs in its last bit.
        square = [np.float_power(part, 2.0) for part in (wrap_angle(angle), speed, torque)]
        cost = COSTS[0] * square[0] + COSTS[1] * square[1] + COSTS[2] * square[2]
        self._state = self._physics.advance(self._state, torque)
        self._steps += 1
        return BatchStep(self._observation(), -cost, np.zeros(len(cost), bool))

    def scene(self, lane: int) -> Scene:
        """The rod on its pivot, in a frame of so many lengths of the rod that it stays within."""
        angle, length = float(self._state[0, lane]), self._lengths[lane]
        tip = (
            -length * math.sin(angle),
            length * math.cos(angle),
        )  # angles turn to the left, as Gymnasium draws them
        rod = Capsule(((0.0, 0.0), tip), 0.08 * length, MOVING)
        pivot = Circle((0.0, 0.0), 0.05 * length, STILL)
        floor = 0.0, -1.2 * length
        caption = f"{self._steps * SECONDS:.2f} s"
        return Scene("side", floor, (rod, pivot), width=3.8 * length, marks=False, caption=caption)

    def _observation(self) -> Array:
        angle, speed = self._state
        return np.stack([np.cos(angle), np.sin(angle), speed], axis=1).astype(np.float32)


def compute_holding_gains(parameters: TaskParameters) -> Array:
    """`(2,)` gains K of the linear-quadratic regulator of the task at the top: the best action is -K (angle, speed)."""
    fall, response, gain = (part.item() for part in vars(PendulumPhysics.of([parameters])).values())
    transition = np.array([[1.0 + fall * SECONDS**2, SECONDS], [fall * SECONDS, 1.0]])
    pull = gain * response * np.array([[SECONDS**2], [SECONDS]])
    cost, price = np.diag(COSTS[:2]), np.array([[COSTS[2] * gain**2]])
    value = solve_discrete_are(transition, pull, cost, price)
    return np.asarray(
        np.linalg.solve(price + pull.T @ value @ pull, pull.T @ value @ transition)[0]
    )


class PendulumTeacher(ClassicTeacher):
    """Pumps energy into the swing until the rod can reach the top, then holds it there by the task's regulator."""

    def learn(self, parameters: Sequence[TaskParameters]) -> None:
        """Work out each task's gains, once for all its lanes."""
        self._physics = PendulumPhysics.of(parameters)
        keys = [tuple(task[name] for name in RANGES) for task in parameters]
        gains = {
            key: compute_holding_gains(task)
            for key, task in dict(zip(keys, parameters, strict=True)).items()
        }
        self._gains = np.array([gains[key] for key in keys]).T

    def choose(self, observation: Array) -> Array:
        """`(lanes, 1)`: hold where that is possible, else push along the swing by what energy is missing."""
        cosine, sine, speed = observation.T
        hold = -(self._gains[0] * np.arctan2(sine, cosine) + self._gains[1] * speed)
        # Energy in units of what gravity gives between flat and upright.
        missing = (1.0 - cosine) - np.square(speed) / (2.0 * self._physics.fall)
        along = np.where(speed >= 0, 1.0, -1.0) * np.sign(self._physics.gain)
        held = (cosine > 0) & (np.abs(hold) <= CATCH * STRONGEST)
        action = np.where(held, hold, PUMP * missing * along)
        return np.asarray(np.clip(action, -STRONGEST, STRONGEST)[:, None])


class PendulumFamily(TaskFamily):
    """Tasks are gravity, mass, length and gain: `{"gravity": 10.0, "mass": 1.0, "length": 1.0, "gain": 1.0}`."""

    name: ClassVar[str] = "pendulum"

    def spaces(self, horizon: int) -> Spaces:
        """Three numbers in, one of at most 2 out."""
        return Spaces(3, horizon, action_low=(-STRONGEST,), action_high=(STRONGEST,))

    def check_parameters(self, parameters: TaskParameters) -> None:
        """A task is exactly four numbers in `RANGES`, its gain not 0."""
        check_numbers(parameters, RANGES)
        if parameters["gain"] == 0:
            raise ValueError("gain must not be 0")

    def environment(self, horizon: int) -> BatchedEnvironment:
        """A batched Pendulum."""
        return PendulumEnvironment(self.spaces(horizon))

    def teacher(self, folder: Path, horizon: int) -> Teacher:
        """The computed teacher; it needs no weights."""
        del folder
        return PendulumTeacher(self.spaces(horizon), SKILL_EXPONENT)

    def return_bounds(self, parameters: TaskParameters, horizon: int) -> tuple[float, float]:
        """From hanging down at full speed and torque at every step to resting at the top."""
        largest = (np.pi, FASTEST, STRONGEST * parameters["gain"])
        cost = sum(price * value**2 for price, value in zip(COSTS, largest, strict=True))
        return -float(cost) * horizon, 0.0
