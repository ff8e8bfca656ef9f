"""CartPole: keep a pole upright on a cart by pushing left or right; what cart, pole and push weigh is hidden.

The dynamics, the reset and the ends of an episode are those of Gymnasium's `CartPole-v1`, to the last bit. The state is
the cart's position and speed and the pole's angle and angular speed, each uniform in [-0.05, 0.05] at the reset; a
step is 0.02 s. Action 1 pushes with the task's force and action 0 with its negative, so a negative force swaps the
actions. Every step earns 1. The episode ends when the cart is more than 2.4 from the middle or the pole more than 12
degrees off. There is no notion of success: the return is the number of steps. The observation is the state, nothing of
the task.
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
from metabench.envs.classic.parameters import check_numbers, columns
from metabench.envs.classic.teacher import ClassicTeacher
from metabench.envs.family import TaskFamily, Teacher
from metabench.envs.scene import MOVING, STILL, Capsule, Scene, make_rectangle
from metabench.envs.spaces import Array, Spaces

SECONDS = 0.02
"""Length of a step."""

FARTHEST = 2.4
"""The cart's largest distance from the middle."""

STEEPEST = 12 * 2 * math.pi / 360
"""The pole's largest angle."""

CART_HEIGHT = 0.3
"""Of the cart in pictures."""

START = 0.05
"""Largest absolute value of each number of the first state."""

RANGES = {
    "gravity": (1.0, 30.0),
    "cart_mass": (0.1, 10.0),
    "pole_mass": (0.01, 2.0),
    "half_length": (0.1, 5.0),
    "force": (-50.0, 50.0),
}
"""What each parameter may be; half the pole's length, as in Gymnasium."""

STATE_COST = (1.0, 0.1, 10.0, 1.0)
"""Of the teacher: the price of each state coordinate's square."""

FORCE_COST = 0.01
"""Of the teacher: the price of the force's square."""

SKILL_EXPONENT = 1.3
"""Of `medium`: with it the normalised score is about 50 in training tasks. A larger one makes it weaker."""


@dataclass(frozen=True)
class CartPolePhysics:
    """The numbers of each lane's task, `(lanes,)` float64 each; `force` is that of action 1."""

    gravity: Array
    cart_mass: Array
    pole_mass: Array
    half_length: Array
    force: Array

    @staticmethod
    def of(tasks: Sequence[TaskParameters]) -> CartPolePhysics:
        """One lane a task."""
        return CartPolePhysics(*columns(tasks, *RANGES))

    def advance(self, state: Array, force: Array) -> Array:
        """The states a step later.

        Args:
            state: `(4, lanes)` float64: position, speed, angle, angular speed.
            force: `(lanes,)` float64.

        Returns:
            `(4, lanes)` float64. Sums and products are in Gymnasium's order, so that the last bits agree.
        """
        position, speed, angle, angular_speed = state
        cosine, sine = np.cos(angle), np.sin(angle)
        total_mass = self.pole_mass + self.cart_mass
        moment = self.pole_mass * self.half_length
        push = (force + moment * np.square(angular_speed) * sine) / total_mass
        angular_acceleration = (self.gravity * sine - cosine * push) / (
            self.half_length * (4.0 / 3.0 - self.pole_mass * np.square(cosine) / total_mass)
        )
        acceleration = push - moment * angular_acceleration * cosine / total_mass
        return np.stack(
            [
                position + SECONDS * speed,
                speed + SECONDS * acceleration,
                angle + SECONDS * angular_speed,
                angular_speed + SECONDS * angular_acceleration,
            ]
        )


class CartPoleEnvironment(BatchedEnvironment):
    """All lanes of CartPole as one array of states, `(4, lanes)` float64."""

    def __init__(self, spaces: Spaces) -> None:
        """Keep the spaces; lanes come with `reset`."""
        self.spaces = spaces
        self._physics = CartPolePhysics.of([])
        self._state: Array = np.zeros((4, 0))
        self._steps = 0

    def reset(self, parameters: Sequence[TaskParameters], seeds: Sequence[int]) -> Array:
        """Draw each lane's state near upright from its seed."""
        self._physics = CartPolePhysics.of(parameters)
        draws = [np.random.default_rng(seed).uniform(-START, START, 4) for seed in seeds]
        self._state = np.array(draws).reshape(-1, 4).T.copy()
        self._steps = 0
        return self._observation()

    def step(self, actions: Array) -> BatchStep:
        """Push every cart; a lane ends when its cart is too far out or its pole too steep."""
        force = np.where(np.asarray(actions) == 1, self._physics.force, -self._physics.force)
        self._state = self._physics.advance(self._state, force)
        self._steps += 1
        fallen = (np.abs(self._state[0]) > FARTHEST) | (np.abs(self._state[2]) > STEEPEST)
        return BatchStep(self._observation(), np.ones(len(fallen)), fallen)

    def scene(self, lane: int) -> Scene:
        """The cart on the ground and its pole, in a frame that shows the whole track and the whole pole."""
        position, _, angle, _ = self._state[:, lane].tolist()
        length = 2.0 * float(self._physics.half_length[lane])
        tip = position + length * math.sin(angle), CART_HEIGHT + length * math.cos(angle)
        cart = make_rectangle((position, CART_HEIGHT / 2), 0.5, CART_HEIGHT, STILL)
        pole = Capsule(((position, CART_HEIGHT), tip), 0.05, MOVING)
        width = 2.0 * max(FARTHEST + 0.3, length)
        return Scene(
            "side", (0.0, 0.0), (cart, pole), width=width, caption=f"{self._steps * SECONDS:.2f} s"
        )

    def _observation(self) -> Array:
        return self._state.T.astype(np.float32)


def compute_balancing_gains(parameters: TaskParameters) -> Array:
    """`(4,)` gains K of the linear-quadratic regulator of the task near upright: the best force is -K state."""
    # Upright at rest is a fixed point; one lane starts a little off it in each coordinate, one is pushed a little. So
    # close to it the dynamics are linear to twelve digits.
    little = 1e-6
    start, force = np.hstack([np.eye(4), np.zeros((4, 1))]), np.array([0.0, 0.0, 0.0, 0.0, 1.0])
    moved = CartPolePhysics.of([parameters] * 5).advance(little * start, little * force) / little
    transition, response = moved[:, :4], moved[:, 4:]
    cost = np.diag(STATE_COST)
    value = solve_discrete_are(transition, response, cost, np.array([[FORCE_COST]]))
    gains = np.linalg.solve(
        FORCE_COST + response.T @ value @ response, response.T @ value @ transition
    )
    return np.asarray(gains[0])


class CartPoleTeacher(ClassicTeacher):
    """Pushes to the side that the task's linear-quadratic regulator wants, always with the whole force."""

    def learn(self, parameters: Sequence[TaskParameters]) -> None:
        """Work out each task's gains, once for all its lanes."""
        keys = [tuple(task[name] for name in RANGES) for task in parameters]
        gains = {
            key: compute_balancing_gains(task)
            for key, task in dict(zip(keys, parameters, strict=True)).items()
        }
        self._gains = np.array([gains[key] for key in keys]).T
        self._positive = np.array([task["force"] > 0 for task in parameters])

    def choose(self, observation: Array) -> Array:
        """The action whose push has the sign of the best force."""
        # Summed in a fixed order: a matrix product's order may depend on the number of lanes.
        position, speed, angle, angular_speed = self._gains * observation.T
        wanted = -(position + speed + angle + angular_speed)
        return np.asarray((wanted > 0) == self._positive, np.int64)


class CartPoleFamily(TaskFamily):
    """Tasks are gravity, masses, half the pole's length and a force: `{"gravity": 9.8, "cart_mass": 1.0, ...}`."""

    name: ClassVar[str] = "cartpole"

    def spaces(self, horizon: int) -> Spaces:
        """Four numbers in, two actions out."""
        return Spaces(4, horizon, num_actions=2)

    def check_parameters(self, parameters: TaskParameters) -> None:
        """A task is exactly five numbers in `RANGES`, its force not 0."""
        check_numbers(parameters, RANGES)
        if parameters["force"] == 0:
            raise ValueError("force must not be 0")

    def environment(self, horizon: int) -> BatchedEnvironment:
        """A batched CartPole."""
        return CartPoleEnvironment(self.spaces(horizon))

    def teacher(self, folder: Path, horizon: int) -> Teacher:
        """The computed teacher; it needs no weights."""
        del folder
        return CartPoleTeacher(self.spaces(horizon), SKILL_EXPONENT)

    def return_bounds(self, parameters: TaskParameters, horizon: int) -> tuple[float, float]:
        """An episode has at least one step and at most the horizon's."""
        del parameters
        return 1.0, float(horizon)
