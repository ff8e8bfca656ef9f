"""Task families: what a suite's tasks have in common, and the teacher that can act in all of them."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import ClassVar

import numpy as np

from metabench.envs.batched import BatchedEnvironment, TaskParameters
from metabench.envs.spaces import Array, Spaces
from metabench.errors import UnknownNameError

FAMILIES: Mapping[str, str] = {
    "ant-dir": "metabench.envs.locomotion.families:AntDirFamily",
    "cheetah-dir": "metabench.envs.locomotion.families:CheetahDirFamily",
    "cheetah-vel": "metabench.envs.locomotion.families:CheetahVelFamily",
    "corridor": "metabench.envs.corridor:CorridorFamily",
    "hopper-param": "metabench.envs.locomotion.families:HopperParamFamily",
    "point-robot": "metabench.envs.point_robot:PointRobotFamily",
    "walker-param": "metabench.envs.locomotion.families:WalkerParamFamily",
}
"""Family name to `module:class`; modules are imported on first use."""


class Teacher(ABC):
    """A task-conditioned behaviour that data collection uses; the privileged upper bound in tables.

    Everything is computed in float64, and a lane's actions depend on its behaviour, task and seed only.
    """

    behaviours: ClassVar[tuple[str, ...]]
    """Names it can act as, weakest first; `expert` is always among them, `random` never."""

    @abstractmethod
    def reset(self, behaviours: Sequence[str], parameters: Sequence[TaskParameters], seeds: Sequence[int]) -> None:
        """Start one episode a lane: which behaviour, in which task, with which seed."""

    @abstractmethod
    def act(self, observation: Array) -> Array:
        """Actions for all lanes: `(lanes, action_dim)` float64 in bounds, or `(lanes,)` integers."""


class TaskFamily(ABC):
    """The rules that a suite's tasks share."""

    name: ClassVar[str]

    @abstractmethod
    def spaces(self, horizon: int) -> Spaces:
        """The spaces of every task of the family, with the suite's horizon."""

    @abstractmethod
    def check_parameters(self, parameters: TaskParameters) -> None:
        """Raise `ValueError` with one line if `parameters` do not fix a task of this family."""

    @abstractmethod
    def environment(self, horizon: int) -> BatchedEnvironment:
        """A new batched environment."""

    @abstractmethod
    def teacher(self, folder: Path, horizon: int) -> Teacher:
        """The family's teacher; `folder` is the suite's `teachers/` folder with its weights, if it has any."""

    @property
    def rules(self) -> str:
        """What a task is, in words for users: by default the text at the head of the family's module."""
        module = inspect.getmodule(type(self))
        return inspect.cleandoc((module.__doc__ if module else None) or self.__doc__ or "")

    def warnings(self) -> tuple[str, ...]:
        """What users should know of the family's simulator as it is installed here; records keep it."""
        return ()

    def task_vector(self, parameters: TaskParameters) -> Array:
        """A task as a vector in which like tasks are near: what probes of task codes are judged by.

        By default all numbers of the parameters, in the order of their names.
        """
        return np.concatenate([np.ravel(np.asarray(parameters[name], np.float64)) for name in sorted(parameters)])

    def return_bounds(self, parameters: TaskParameters, horizon: int) -> tuple[float, float]:
        """The smallest and largest return that any episode of the task can have (infinite if unknown)."""
        del parameters, horizon
        return float("-inf"), float("inf")


def family_names() -> tuple[str, ...]:
    """Names of all task families."""
    return tuple(sorted(FAMILIES))


def load_family(name: str) -> TaskFamily:
    """Import and make the family `name`; raises `UnknownNameError`."""
    if name not in FAMILIES:
        raise UnknownNameError("task family", name, FAMILIES)
    module, _, attribute = FAMILIES[name].partition(":")
    family = getattr(import_module(module), attribute)()
    assert isinstance(family, TaskFamily)
    return family
