"""Meta-World's scripted policies as teacher: shown the goal, clipped to the action bounds, noisy; `medium` is weakened.

The expert acts as the scripted policy does. `medium` misjudges where its hand is: in each episode it is shown the hand
off its place, by an error drawn for the episode. So it goes beside the goal, or grasps beside the object, as far as
that; one dataset holds episodes from nearly perfect to hopeless, all of them purposeful. How large errors are is found
for each environment. Noise is drawn anew at every step; were it correlated in time, methods that see their last actions
would learn to repeat them.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from metabench.envs.batched import TaskParameters
from metabench.envs.family import Teacher
from metabench.envs.metaworld.lane import MetaWorldLane, compile_model
from metabench.envs.metaworld.task import ACTION_DIM, task_key
from metabench.envs.spaces import Array
from metabench.errors import DataError, UnknownNameError

NOISE = 0.1
"""Standard deviation of what is added to every action.

A scripted policy is deterministic, and so may be the start of an episode: without it all trajectories were one.
"""

ERRORS_FILE = "medium.json"
"""In `teachers/`: environment to the deviation of `medium`'s error, in metres on each axis."""

HAND = (slice(0, 3), slice(18, 21))
"""Where an observation has the hand: now, and one step ago."""


class ScriptedTeacher(Teacher):
    """The scripted policy of each lane's environment."""

    behaviours = ("medium", "expert")

    def __init__(self, folder: Path, horizon: int) -> None:
        """Keep `folder`, where `medium` finds how large its errors are."""
        self._folder, self._horizon = folder, horizon
        self._goals: dict[tuple[Any, ...], Array] = {}

    def reset(
        self, behaviours: Sequence[str], parameters: Sequence[TaskParameters], seeds: Sequence[int]
    ) -> None:
        """Draw each lane's noise and error from its own seed.

        Raises:
            DataError: `medium` is wanted, and the suite's `teachers/medium.json` does not say how large errors are.
        """
        from metaworld.policies import ENV_POLICY_MAP

        for name in set(behaviours):
            if name not in self.behaviours:
                raise UnknownNameError("teacher behaviour", name, self.behaviours)
        errors = read_errors(self._folder) if "medium" in behaviours else {}
        self._goals |= find_goals(
            [task for task in parameters if task_key(task) not in self._goals]
        )
        self._policies = [ENV_POLICY_MAP[task["environment"]]() for task in parameters]
        self._shown = np.array([self._goals[task_key(task)] for task in parameters])
        self._error = np.zeros((len(parameters), 3))
        self._noise = np.zeros((len(parameters), self._horizon, ACTION_DIM))
        for lane, (behaviour, task, seed) in enumerate(
            zip(behaviours, parameters, seeds, strict=True)
        ):
            generator = np.random.default_rng(seed)
            self._noise[lane] = NOISE * generator.standard_normal((self._horizon, ACTION_DIM))
            if behaviour == "medium":
                self._error[lane] = self._deviation(
                    errors, task["environment"]
                ) * generator.standard_normal(3)
        self._timestep = 0

    def act(self, observation: Array) -> Array:
        """`(lanes, 4)` float64: the scripted action for what the lane is shown, plus noise."""
        noise = self._noise[:, self._timestep]
        self._timestep += 1
        return np.clip(self.act_without_noise(observation) + noise, -1.0, 1.0)

    def act_without_noise(self, observation: Array) -> Array:
        """`(lanes, 4)` float64: the scripted action for what the lane is shown."""
        seen = np.asarray(observation, np.float64).copy()
        seen[:, -3:] = self._shown
        for hand in HAND:
            seen[:, hand] += self._error
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # that the policies' actions are out of bounds: they are clipped
            scripted = np.array(
                [policy.get_action(seen[lane]) for lane, policy in enumerate(self._policies)],
                np.float64,
            )
        return np.clip(scripted, -1.0, 1.0)

    def _deviation(self, errors: Mapping[str, float], name: str) -> float:
        if name not in errors:
            raise DataError(
                f"{self._folder / ERRORS_FILE}: has no entry for {name!r}; run `metabench teacher calibrate`"
            )
        return errors[name]


def find_goals(parameters: Sequence[TaskParameters]) -> dict[tuple[Any, ...], Array]:
    """`task_key` to `(3,)` goal, asked of the simulator: in some environments it follows from the object's place."""
    missing: dict[str, dict[tuple[Any, ...], TaskParameters]] = {}
    for task in parameters:
        missing.setdefault(task["environment"], {})[task_key(task)] = task
    goals = {}
    for name, tasks in missing.items():
        lane = MetaWorldLane(name, compile_model(name))
        for key, task in tasks.items():
            lane.begin(task, seed=0)
            goals[key] = lane.goal
    return goals


def read_errors(folder: Path) -> dict[str, float]:
    """Environment to deviation of the error, as `medium.json` of a suite's `teachers/` says; raises `DataError`."""
    path = folder / ERRORS_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read: {error.strerror}; run `metabench teacher calibrate`"
        ) from error
    except ValueError as error:
        raise DataError(f"{path}: not valid JSON: {error}") from error
    errors = content.get("hand_error") if isinstance(content, dict) else None
    if not isinstance(errors, dict):
        raise DataError(f"{path}: hand_error: expected a number for each environment")
    for name, deviation in errors.items():
        if (
            isinstance(deviation, bool)
            or not isinstance(deviation, int | float)
            or not 0.0 <= deviation < float("inf")
        ):
            raise DataError(
                f"{path}: hand_error.{name}: expected a finite number from 0, found {deviation!r}"
            )
    return errors


def write_errors(folder: Path, errors: Mapping[str, float]) -> Path:
    """Write what `read_errors` reads; returns the file."""
    folder.mkdir(exist_ok=True)
    path = folder / ERRORS_FILE
    path.write_text(json.dumps({"hand_error": dict(errors)}, indent=1) + "\n", encoding="utf-8")
    return path
