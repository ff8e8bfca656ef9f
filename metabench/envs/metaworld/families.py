"""A task is one of Meta-World's environments, and the numbers that fix it.

Either `rand_vec`, which fixes where object and goal are, as in Meta-World's own benchmarks. Or, in environments with a
puck, `goal` alone: then each episode begins with the puck in another place, drawn from its seed as Meta-World draws it.

Observation: hand (3), how open the gripper is (1), position and quaternion of up to two objects (14), the same 18
numbers of the step before, and three zeros where Meta-World's single-task benchmarks show the goal. Action: three
offsets of the hand and the gripper's effort, in [-1, 1]. Reward: Meta-World's v2, 0 to 10 a step. Episodes never end
early, success or not. All episodes of a task with a `rand_vec` begin alike. Success is stored for every step.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from metabench.envs.batched import BatchedEnvironment, TaskParameters
from metabench.envs.blind import BlindScripts
from metabench.envs.family import MediumErrors, TaskFamily, Teacher
from metabench.envs.metaworld.environments import RANGES
from metabench.envs.metaworld.task import make_spaces
from metabench.envs.spaces import Array, Spaces
from metabench.errors import UnknownNameError
from metabench.system.cores import count_available_cores

LARGEST_REWARD = 10.0

SMALLEST_ERROR, LARGEST_ERROR = 0.002, 1.0
"""Deviations of `medium`'s error that calibration looks between, in metres."""

PUCK = ("pick-place-v3", "push-v3", "reach-v3")
"""Environments that take a `goal` alone: the first half of their `rand_vec`, the puck's place, is not written into the
model, which the lanes of a task share."""


class MetaWorldFamily(TaskFamily):
    """Tasks: `{"environment": "reach-v3", "goal": [-0.06, 0.87, 0.2]}`, or `rand_vec` instead of `goal`."""

    name: ClassVar[str] = "meta-world"

    def spaces(self, horizon: int) -> Spaces:
        """39 observations, 4 actions in [-1, 1]."""
        return make_spaces(horizon)

    def check_parameters(self, parameters: TaskParameters) -> None:
        """A known environment, and a `rand_vec` or, where the puck's place is free, a `goal` within its range."""
        if set(parameters) not in ({"environment", "rand_vec"}, {"environment", "goal"}):
            found = ", ".join(sorted(parameters))
            raise ValueError(
                f"expected exactly 'environment' and 'rand_vec', or 'environment' and 'goal', found {found}"
            )
        name = parameters["environment"]
        if not isinstance(name, str) or name not in RANGES:
            raise ValueError(str(UnknownNameError("environment of Meta-World", str(name), RANGES)))
        low, high = RANGES[name]
        key = "rand_vec"
        if "goal" in parameters:
            if name not in PUCK:
                raise ValueError(
                    f"goal: {name} must be given by a rand_vec; {', '.join(PUCK)} take a goal alone"
                )
            key, low, high = "goal", low[3:], high[3:]
        values = parameters[key]
        if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != len(low):
            raise ValueError(f"{key} of {name} must have {len(low)} numbers")
        for i, value in enumerate(values):
            if (
                isinstance(value, bool)
                or not isinstance(value, int | float)
                or not low[i] <= value <= high[i]
            ):
                raise ValueError(
                    f"{key}[{i}] of {name} must lie between {low[i]:g} and {high[i]:g}, not {value!r}"
                )

    def environment(self, horizon: int) -> BatchedEnvironment:
        """Lanes in worker processes, one a core; in this process if it has one core only."""
        from metabench.envs.workers import WorkerLanes

        if count_available_cores() > 1:
            return WorkerLanes(
                "metabench.envs.metaworld.lanes:make_lanes",
                {"horizon": horizon},
                self.spaces(horizon),
            )
        from metabench.envs.metaworld.lanes import MetaWorldLanes

        return MetaWorldLanes(horizon)

    def teacher(self, folder: Path, horizon: int) -> Teacher:
        """Meta-World's scripted policies, which are shown the goal; `folder` holds how wrong `medium` is."""
        from metabench.envs.metaworld.teacher import ScriptedTeacher

        return ScriptedTeacher(folder, horizon)

    def medium_errors(self) -> MediumErrors:
        """Deviations in metres, one an environment."""
        from metabench.envs.metaworld.teacher import write_errors

        return MediumErrors(
            SMALLEST_ERROR,
            LARGEST_ERROR,
            lambda parameters: str(parameters["environment"]),
            write_errors,
        )

    def blind_scripts(self) -> BlindScripts:
        """The hand, and each environment's scripted policy, at the mean goal and all through the goals' box."""
        from metabench.envs.metaworld.blind_scripts import load_script, propose_scripts

        return BlindScripts(propose_scripts, load_script)

    def task_vector(self, parameters: TaskParameters) -> Array:
        """Which environment, as 0 or 1 for each, and the task's 3 or 6 numbers, filled up with zeros to 6."""
        numbers = parameters["goal"] if "goal" in parameters else parameters["rand_vec"]
        vector = np.zeros(len(RANGES) + 6)
        vector[list(RANGES).index(parameters["environment"])] = 1.0
        vector[len(RANGES) : len(RANGES) + len(numbers)] = numbers
        return vector

    def return_bounds(self, parameters: TaskParameters, horizon: int) -> tuple[float, float]:
        """No step pays less than nothing or more than 10."""
        return 0.0, LARGEST_REWARD * horizon
