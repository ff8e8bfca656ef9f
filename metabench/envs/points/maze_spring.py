"""The damped spring that pulls the ball of Point-Maze, and the blind policy that it makes: straight to the goal.

Who does not know the walls can do little else than pull towards the goal, which is seen; noise frees the ball from some
corners.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import Field, ValidationError

from metabench.envs.batched import TaskParameters
from metabench.envs.blind import BlindPolicy, BlindScripts
from metabench.envs.spaces import Array
from metabench.errors import first_problem
from metabench.system.strict_model import StrictModel

WIDTHS = {"achieved_goal": 2, "desired_goal": 2, "observation": 4}
"""Numbers in each entry of the observation."""

STIFFNESS, DAMPING = 10.0, 1.0
"""Action for each cell of distance, and against each cell a second of speed."""

NOISES = (0.0, 0.5, 1.0, 2.0, 4.0)
"""Standard deviations of the noise in each action coordinate that blind springs are tried with."""


def locate_entries(keys: Sequence[str]) -> tuple[slice, slice]:
    """Where in the observation position and velocity stand, and where the goal; `keys` name both."""
    starts = np.cumsum([0, *(WIDTHS[key] for key in keys)]).tolist()
    place = dict(zip(keys, starts, strict=False))
    state, goal = place["observation"], place["desired_goal"]
    return slice(state, state + WIDTHS["observation"]), slice(goal, goal + WIDTHS["desired_goal"])


def pull_ball(state: Array, aims: Array) -> Array:
    """`(lanes, 2)` pulls of balls with `state`, positions and velocities, `(lanes, 4)`, to `aims`, `(lanes, 2)`."""
    return np.asarray(STIFFNESS * (aims - state[:, :2]) - DAMPING * state[:, 2:])


class BlindSpring(StrictModel):
    """What `references/blind.json` holds."""

    script: str = Field(description="its name among the springs that were tried")
    noise: float = Field(ge=0, description="standard deviation of what is added to each coordinate")


def list_blind_springs(keys: Sequence[str]) -> BlindScripts:
    """Springs to the goal with noise of several strengths; `keys` are those of the observation."""

    def propose(training: Sequence[TaskParameters], horizon: int) -> dict[str, dict[str, Any]]:
        del training, horizon
        springs = [
            BlindSpring(script=f"straight to the goal, noise {noise:g}", noise=noise)
            for noise in NOISES
        ]
        return {each.script: each.model_dump(mode="json") for each in springs}

    def load(content: Mapping[str, Any], horizon: int) -> BlindPolicy:
        try:
            return SpringPolicy(BlindSpring.model_validate(content), keys, horizon)
        except ValidationError as error:
            raise ValueError(first_problem(error)) from error

    return BlindScripts(propose, load)


class SpringPolicy(BlindPolicy):
    """Pulls the ball straight to the goal."""

    def __init__(self, spring: BlindSpring, keys: Sequence[str], horizon: int) -> None:
        """Keep where the observation has what, and the horizon: noise is drawn for the whole episode at its reset."""
        self._state, self._goal = locate_entries(keys)
        self._noise_size, self._horizon = spring.noise, horizon

    def reset(self, seeds: Sequence[int]) -> None:
        """Draw each lane's noise from its own seed."""
        draws = [np.random.default_rng(seed).standard_normal((self._horizon, 2)) for seed in seeds]
        self._noise = self._noise_size * np.stack(draws)
        self._timestep = 0

    def act(self, observation: Array) -> Array:
        """`(lanes, 2)` float64."""
        seen = np.asarray(observation, np.float64)
        pull = np.clip(pull_ball(seen[:, self._state], seen[:, self._goal]), -1.0, 1.0)
        self._timestep += 1
        return np.asarray(np.clip(pull + self._noise[:, self._timestep - 1], -1.0, 1.0))
