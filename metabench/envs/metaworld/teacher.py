"""Meta-World's scripted policies as teacher: shown the goal, clipped to the action bounds, noisy; `medium` is weakened.

The expert acts as the scripted policy does. In each episode of `medium` its actions are multiplied by a skill between 0
and 1: a uniform number to the power of an exponent that is found for each environment. So one dataset holds episodes
from nearly idle to nearly perfect. Noise is drawn anew at every step; were it correlated in time, methods that see
their last actions would learn to repeat them.
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
from metabench.envs.metaworld.families import ACTION_DIM, task_key
from metabench.envs.metaworld.lane import MetaWorldLane, compile_model
from metabench.envs.spaces import Array
from metabench.errors import DataError, UnknownNameError

NOISE = {"medium": 0.3, "expert": 0.1}
"""Standard deviation of what is added to every action, by behaviour.

A scripted policy is deterministic and so is the start of an episode: without it all trajectories of a task were one.
"""

SKILL_FILE = "medium.json"
"""In `teachers/`: environment to the exponent of `medium`'s skill."""


class ScriptedTeacher(Teacher):
    """The scripted policy of each lane's environment."""

    behaviours = ("medium", "expert")

    def __init__(self, folder: Path, horizon: int) -> None:
        """Keep `folder`, where `medium` finds its exponents."""
        self._folder, self._horizon = folder, horizon
        self._goals: dict[tuple[Any, ...], Array] = {}

    def reset(self, behaviours: Sequence[str], parameters: Sequence[TaskParameters], seeds: Sequence[int]) -> None:
        """Draw each lane's skill and noise from its own seed.

        Raises:
            DataError: `medium` is wanted, and the suite's `teachers/medium.json` does not say how weak it is.
        """
        from metaworld.policies import ENV_POLICY_MAP

        for name in set(behaviours):
            if name not in self.behaviours:
                raise UnknownNameError("teacher behaviour", name, self.behaviours)
        exponents = read_exponents(self._folder) if "medium" in behaviours else {}
        self._learn_goals(parameters)
        self._policies = [ENV_POLICY_MAP[task["environment"]]() for task in parameters]
        self._shown = np.array([self._goals[task_key(task)] for task in parameters])
        self._skill = np.ones((len(parameters), 1))
        self._noise = np.zeros((len(parameters), self._horizon, ACTION_DIM))
        for lane, (behaviour, task, seed) in enumerate(zip(behaviours, parameters, seeds, strict=True)):
            generator = np.random.default_rng(seed)
            self._noise[lane] = NOISE[behaviour] * generator.standard_normal((self._horizon, ACTION_DIM))
            if behaviour == "medium":
                self._skill[lane] = generator.random() ** self._exponent(exponents, task["environment"])
        self._timestep = 0

    def act(self, observation: Array) -> Array:
        """`(lanes, 4)` float64: the scripted action times the lane's skill, plus noise."""
        seen = np.asarray(observation, np.float64).copy()
        seen[:, -3:] = self._shown
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the policies' actions are out of bounds: they are clipped
            scripted = np.array(
                [policy.get_action(seen[lane]) for lane, policy in enumerate(self._policies)], np.float64
            )
        noise = self._noise[:, self._timestep]
        self._timestep += 1
        return np.clip(self._skill * np.clip(scripted, -1.0, 1.0) + noise, -1.0, 1.0)

    def _exponent(self, exponents: Mapping[str, float], name: str) -> float:
        if name not in exponents:
            raise DataError(f"{self._folder / SKILL_FILE}: says nothing of {name!r}; run `metabench teacher calibrate`")
        return exponents[name]

    def _learn_goals(self, parameters: Sequence[TaskParameters]) -> None:
        """Ask the simulator where the goal of each task is: in some environments it follows from the object's place."""
        missing: dict[str, list[tuple[Any, ...]]] = {}
        for key in dict.fromkeys(task_key(task) for task in parameters):
            if key not in self._goals:
                missing.setdefault(key[0], []).append(key)
        for name, keys in missing.items():
            lane = MetaWorldLane(name, compile_model(name))
            for key in keys:
                lane.reset(np.array(key[1:]))
                self._goals[key] = lane.goal


def read_exponents(folder: Path) -> dict[str, float]:
    """Environment to exponent of skill, as `medium.json` of a suite's `teachers/` says; raises `DataError`."""
    path = folder / SKILL_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}; run `metabench teacher calibrate`") from error
    except ValueError as error:
        raise DataError(f"{path}: not valid JSON: {error}") from error
    exponents = content.get("skill_exponent") if isinstance(content, dict) else None
    if not isinstance(exponents, dict):
        raise DataError(f"{path}: skill_exponent: expected a number for each environment")
    for name, exponent in exponents.items():
        if isinstance(exponent, bool) or not isinstance(exponent, int | float) or not 0.0 <= exponent < float("inf"):
            raise DataError(f"{path}: skill_exponent.{name}: expected a finite number from 0, found {exponent!r}")
    return exponents


def write_exponents(folder: Path, exponents: Mapping[str, float]) -> Path:
    """Write what `read_exponents` reads; returns the file."""
    folder.mkdir(exist_ok=True)
    path = folder / SKILL_FILE
    path.write_text(json.dumps({"skill_exponent": dict(exponents)}, indent=1) + "\n", encoding="utf-8")
    return path
