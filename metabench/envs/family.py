"""Task families: what a suite's tasks have in common, and the teacher that can act in all of them."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from metabench.envs.batched import BatchedEnvironment, TaskParameters
from metabench.envs.blind import BlindScripts
from metabench.envs.declared_spaces import DeclaredSpaces
from metabench.envs.spaces import Array, Spaces
from metabench.errors import MetabenchError, UnknownNameError
from metabench.system.foreign import call_foreign, name_raised

FAMILIES: Mapping[str, str] = {
    "ant-dir": "metabench.envs.locomotion.families:AntDirFamily",
    "cartpole": "metabench.envs.classic.cartpole:CartPoleFamily",
    "cheetah-dir": "metabench.envs.locomotion.families:CheetahDirFamily",
    "cheetah-vel": "metabench.envs.locomotion.families:CheetahVelFamily",
    "corridor": "metabench.envs.corridor:CorridorFamily",
    "darkroom": "metabench.envs.grids.darkroom:DarkroomFamily",
    "darkroom-permuted": "metabench.envs.grids.permuted:PermutedFamily",
    "grid-world": "metabench.envs.classic.grid_world:GridWorldFamily",
    "gymnasium": "metabench.envs.gymnasium.family:GymnasiumFamily",
    "hopper-healthy": "metabench.envs.locomotion.parameter_families:HopperHealthyFamily",
    "hopper-param": "metabench.envs.locomotion.parameter_families:HopperParamFamily",
    "key-to-door": "metabench.envs.grids.key_to_door:KeyToDoorFamily",
    "meta-world": "metabench.envs.metaworld.families:MetaWorldFamily",
    "mountain-car": "metabench.envs.classic.mountain_car:MountainCarFamily",
    "pendulum": "metabench.envs.classic.pendulum:PendulumFamily",
    "pointmaze": "metabench.envs.points.point_maze:PointMazeFamily",
    "point-robot": "metabench.envs.points.point_robot:PointRobotFamily",
    "point-robot-sparse": "metabench.envs.points.point_robot_sparse:PointRobotSparseFamily",
    "point-robot-wind": "metabench.envs.points.point_robot_wind:PointRobotWindFamily",
    "simple-env": "metabench.envs.classic.simple_env:SimpleEnvFamily",
    "walker-healthy": "metabench.envs.locomotion.parameter_families:WalkerHealthyFamily",
    "walker-param": "metabench.envs.locomotion.parameter_families:WalkerParamFamily",
}
"""Family name to `module:class`; modules are imported on first use."""

ENTRY_POINT_GROUP = "metabench.families"
"""A plugin's entry point names a family and points at its class: `my-family = "my_suite.family:MyFamily"`."""


class Teacher(ABC):
    """A task-conditioned behaviour that data collection uses; the privileged upper bound in tables.

    Everything is computed in float64. A lane's actions depend only on its behaviour, task and seed.
    """

    behaviours: ClassVar[tuple[str, ...]]
    """Names it can act as, weakest first; `expert` is among them if there are any, `random` never."""

    @abstractmethod
    def reset(
        self, behaviours: Sequence[str], parameters: Sequence[TaskParameters], seeds: Sequence[int]
    ) -> None:
        """Start one episode in each lane: its behaviour, task and seed."""

    @abstractmethod
    def act(self, observation: Array) -> Array:
        """Actions for all lanes: `(lanes, action_dim)` float64 in bounds, or `(lanes,)` integers."""

    def act_without_noise(self, observation: Array) -> Array:
        """Called instead of `act`: the same actions without random noise, for the labels of `expert-actions`.

        The default is `act`, for a teacher whose `expert` has no noise.
        """
        return self.act(observation)


def clip_to_unit(actions: Array, tasks: Sequence[TaskParameters]) -> Array:
    """Actions of environments whose bounds are -1 and 1; the same in every task."""
    return np.clip(actions, -1.0, 1.0)


@dataclass(frozen=True)
class TeacherTraining:
    """What the training of a network teacher needs of a family: one network for all its tasks.

    Attributes:
        feature_dim: length of the network's input.
        action_dim: length of its output: actions in [-1, 1], or logits of choices.
        make_features: `(lanes, observation_dim)` observations and the lanes' tasks to `(lanes, feature_dim)` float64.
        draw_task: a task of the distribution that the teacher is trained on, as wide as the suites and their far tasks.
        discrete: actions are choices.
        to_environment: actions as the network draws them, and the lanes' tasks, to what the environment takes.
    """

    feature_dim: int
    action_dim: int
    make_features: Callable[[Array, Sequence[TaskParameters]], Array]
    draw_task: Callable[[np.random.Generator], TaskParameters]
    discrete: bool = False
    to_environment: Callable[[Array, Sequence[TaskParameters]], Array] = clip_to_unit


@dataclass(frozen=True)
class MediumErrors:
    """How a scripted teacher's `medium` is made worse than its expert: one number for each group of tasks.

    Attributes:
        smallest: error that may be tried, as `largest`.
        largest: the other end.
        name_group: the group that a task belongs to.
        write: put the error of each group into a suite's folder `teachers/`; returns the file.
    """

    smallest: float
    largest: float
    name_group: Callable[[TaskParameters], str]
    write: Callable[[Path, Mapping[str, float]], Path]


class NoTeacher(Teacher):
    """Stands for the teacher of a family that has none: it has no behaviours and refuses to act."""

    behaviours = ()

    def __init__(self, family: str) -> None:
        """Keep the family's name for the error."""
        self._family = family

    def reset(
        self, behaviours: Sequence[str], parameters: Sequence[TaskParameters], seeds: Sequence[int]
    ) -> None:
        """Raise `MetabenchError`."""
        raise MetabenchError(f"task family {self._family!r} has no teacher")

    def act(self, observation: Array) -> Array:
        """Raise `MetabenchError`."""
        raise MetabenchError(f"task family {self._family!r} has no teacher")


class TaskFamily(ABC):
    """The rules that a suite's tasks share."""

    name: ClassVar[str]

    declares_spaces: ClassVar[bool] = False
    """Whether the spaces come from suite.toml, as `DeclaredSpaces` that the class is made with."""

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

    def teacher_training(self) -> TeacherTraining | None:
        """How the teacher's network is trained; None if the teacher has none, or comes with its weights."""
        return None

    def medium_errors(self) -> MediumErrors | None:
        """The error of `medium`, if it can be set; else None."""
        return None

    def blind_scripts(self) -> BlindScripts | None:
        """The scripts among which the blind policy is chosen; None (the default) if the blind policy is trained."""
        return None

    @property
    def rules(self) -> str:
        """A description of the tasks for users; by default the text at the head of the family's module."""
        module = inspect.getmodule(type(self))
        return inspect.cleandoc((module.__doc__ if module else None) or self.__doc__ or "")

    def warnings(self) -> tuple[str, ...]:
        """Warnings about the family's simulator as installed here; records keep them."""
        return ()

    def check_available(self, parameters: TaskParameters, horizon: int) -> None:
        """Raise `MetabenchError` if the task's environment is missing here; by default it never is."""
        del parameters, horizon

    def list_packages(self, parameters: TaskParameters) -> tuple[str, ...]:
        """Packages beside the family's own whose code a task runs; editing them makes other cells. By default none."""
        del parameters
        return ()

    def task_vector(self, parameters: TaskParameters) -> Array | None:
        """A task as a vector, in which similar tasks are near each other; probes of task codes predict it.

        By default all numbers of the parameters, in the order of their names; None if numbers do not describe tasks.
        """
        return np.concatenate(
            [np.ravel(np.asarray(parameters[name], np.float64)) for name in sorted(parameters)]
        )

    def return_bounds(self, parameters: TaskParameters, horizon: int) -> tuple[float, float]:
        """The smallest and largest return that any episode of the task can have (infinite if unknown)."""
        del parameters, horizon
        return float("-inf"), float("inf")


def list_family_names() -> tuple[str, ...]:
    """Names of all task families, built in and plugins', without importing any."""
    return tuple(sorted({*FAMILIES, *_find_plugin_families()}))


def load_family(name: str, spaces: DeclaredSpaces | None = None) -> TaskFamily:
    """Import and make the family `name`; a built-in name wins over a plugin's.

    Args:
        name: the family's name.
        spaces: for a family that takes its spaces from suite.toml.

    Raises:
        UnknownNameError: no family has this name.
        MetabenchError: a plugin cannot be loaded, or two plugins give this name.
        ValueError: the family needs `spaces` and there are none, or has its own.
    """
    if name in FAMILIES:
        module, _, attribute = FAMILIES[name].partition(":")
        family_class = getattr(import_module(module), attribute)
    else:
        family_class = _load_plugin_family(name)
    if family_class.declares_spaces != (spaces is not None):
        if spaces is None:
            raise ValueError(
                f"family {name!r} needs this table: observation_dim, and action bounds or num_actions"
            )
        raise ValueError(f"family {name!r} has its own spaces: expected no such table")
    family = family_class() if spaces is None else family_class(spaces)
    assert isinstance(family, TaskFamily)
    return family


def _find_plugin_families() -> dict[str, tuple[EntryPoint, ...]]:
    """Name to entry points of every plugin's family: one, or more where distributions compete."""
    found: dict[str, dict[str, EntryPoint]] = {}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        found.setdefault(point.name, {})[point.value] = point
    return {name: tuple(points.values()) for name, points in found.items()}


def _load_plugin_family(name: str) -> Any:
    """The class that a plugin registered; installed packages only, never code that a suite.toml points at."""
    plugins = _find_plugin_families()
    if name not in plugins:
        raise UnknownNameError("task family", name, {*FAMILIES, *plugins})
    values = " and ".join(sorted(point.value for point in plugins[name]))
    if len(plugins[name]) > 1:
        raise MetabenchError(
            f"task family {name!r} is registered twice: by {values}; uninstall one of them"
        )
    what = f"task family {name!r}: its plugin {values}"
    with call_foreign(lambda error: MetabenchError(f"{what} failed to load: {name_raised(error)}")):
        found = plugins[name][0].load()
    if not isinstance(found, type) or not issubclass(found, TaskFamily):
        raise MetabenchError(
            f"task family {name!r} ({values}): expected a subclass of metabench.TaskFamily"
        )
    missing = sorted(found.__abstractmethods__)
    if missing:
        raise MetabenchError(
            f"task family {name!r} ({values}): expected it to define {', '.join(missing)}"
        )
    if getattr(found, "name", None) != name:
        raise MetabenchError(
            f"task family {name!r} ({values}): expected its class attribute `name` to be {name!r}"
        )
    return found
