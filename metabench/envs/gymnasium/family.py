"""Environments that others have registered with Gymnasium, one a lane, stepped one after another in this process.

A task is an environment's id with arguments for its constructor. Time limits of the environment are taken off: an
episode ends when its task says so or at the suite's horizon. The observation is flattened; of one that is a dictionary
the suite names the entries that are shown. The task's success is what the environment's info calls `success`,
`is_success` or `goal_achieved`.
"""

from __future__ import annotations

import atexit
import importlib.util
import json
import re
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from metabench.envs.batched import BatchedEnvironment, BatchStep, TaskParameters, refuse_copy
from metabench.envs.declared_spaces import DeclaredSpaces
from metabench.envs.family import NoTeacher, TaskFamily, Teacher
from metabench.envs.spaces import Array, Spaces
from metabench.errors import MetabenchError, NoEnvironmentError, SimulationError
from metabench.system.extras import say_installation

if TYPE_CHECKING:
    import gymnasium
    from gymnasium.envs.registration import EnvSpec

EXTRAS: Mapping[str, str] = {"gymnasium_robotics": "robotics"}
"""Packages of environments that an extra of metabench installs."""

_ID = re.compile(r"([A-Za-z_][\w.]*:)?([\w-]+/)?[\w.-]+-v\d+", re.ASCII)
_RESERVED = ("id", "max_episode_steps", "disable_env_checker", "render_mode", "entry_point")
"""Arguments of `gymnasium.make` that are not the constructor's, or not a task's."""

_LARGEST_SEED = 2**31
"""Seeds are below this: not every environment takes larger ones."""


SUCCESS = ("success", "is_success", "goal_achieved")
"""What environments call success in their infos; the first that is there counts."""


def find_success(infos: Mapping[str, Any]) -> str | None:
    """The key under which infos tell success; None if they do not."""
    return next((key for key in SUCCESS if key in infos), None)


def find_registered_environment(name: object, entry_point: object) -> str | None:
    """What a suite calls the environment `name` that recorded data says it comes from; None if it is not known here.

    Nothing that the data names is imported: its entry point only tells which of the packages known here has the id.
    """
    import gymnasium

    if not isinstance(name, str) or ":" in name or not _ID.fullmatch(name):
        return None
    package = str(entry_point).partition(".")[0]
    if package in EXTRAS:
        return f"{package}:{name}"
    return name if name in gymnasium.registry else None


def describe_registered(environment: str) -> tuple[EnvSpec, gymnasium.Env[Any, Any]]:
    """What Gymnasium knows of the id `environment`, time limit included, and one of them, to be looked at and closed.

    Raises:
        MetabenchError: it is no id, or cannot be made here.
    """
    if not _ID.fullmatch(environment):
        raise MetabenchError(
            f"environment {environment!r}: expected a Gymnasium id: 'Pendulum-v1' or 'module:Name-v0'"
        )
    made = _make_registered(environment)
    assert made.spec is not None
    return made.spec, made


def _make_registered(environment: str, **arguments: Any) -> gymnasium.Env[Any, Any]:
    """The environment of an id; raises `MetabenchError` if its package is missing or it cannot be made."""
    import gymnasium

    package = environment.partition(":")[0].partition(".")[0] if ":" in environment else ""
    if package and importlib.util.find_spec(package) is None:
        remedy = (
            f"{say_installation(EXTRAS[package])}" if package in EXTRAS else "install its package"
        )
        raise MetabenchError(
            f"environment {environment!r} needs the package {package!r}, which is missing; {remedy}"
        )
    try:
        made: gymnasium.Env[Any, Any] = gymnasium.make(
            environment, disable_env_checker=True, **arguments
        )
    except Exception as error:
        raise MetabenchError(f"environment {environment!r} cannot be made: {error}") from error
    return made


class GymnasiumLanes(BatchedEnvironment):
    """One Gymnasium environment a lane, made anew at every reset, so that nothing is left of earlier episodes.

    An environment that truncates an episode by itself, time limits apart, ends it as a termination does: it cannot be
    stepped on. Lanes that have ended are not stepped; they repeat their last observation.
    """

    lanes_at_once = 100

    __reduce__ = refuse_copy

    def __init__(self, family: GymnasiumFamily, horizon: int) -> None:
        """Make lanes as `family` does; they come with `reset`."""
        self._lanes: list[gymnasium.Env[Any, Any]] = []
        self._family = family
        self._rendered = False
        self.spaces = family.spaces(horizon)
        self._parameters: list[TaskParameters] = []

    def reset(self, parameters: Sequence[TaskParameters], seeds: Sequence[int]) -> Array:
        """Make each lane's environment and reset it with the lane's seed."""
        self._close()
        self._parameters = list(parameters)
        self._step = 0
        self._observation = np.zeros((len(parameters), self.spaces.observation_dim), np.float32)
        self._ended = np.zeros(len(parameters), bool)
        for lane, (task, seed) in enumerate(zip(parameters, seeds, strict=True)):
            self._lanes.append(self._family.make(task))
            observation, _ = self._lanes[lane].reset(seed=seed % _LARGEST_SEED)
            self._observe(lane, observation)
        return self._observation.copy()

    def step(self, actions: Array) -> BatchStep:
        """Step the lanes that have not ended."""
        self._step += 1
        reward, success = np.zeros(len(self._lanes)), np.zeros(len(self._lanes), bool)
        has_success = False
        for lane in np.flatnonzero(~self._ended).tolist():
            action = (
                int(actions[lane])
                if self.spaces.discrete
                else np.asarray(actions[lane], self._dtype(lane))
            )
            observation, reward[lane], terminated, truncated, info = self._lanes[lane].step(action)
            if not np.isfinite(reward[lane]):
                raise SimulationError(lane, self._step, self._parameters[lane])
            self._observe(lane, observation)
            self._ended[lane] = terminated or truncated
            key = find_success(info)
            if key is not None:
                has_success = True
                success[lane] = bool(info[key])
        return BatchStep(
            self._observation.copy(), reward, self._ended.copy(), success if has_success else None
        )

    def frame(self, lane: int, width: int, height: int) -> Array | None:
        """What the environment itself renders, made to fit; None where it does not render `rgb_array`."""
        from metabench.envs.gymnasium.pictures import render_fitting

        picture = render_fitting(self._lanes[lane], width, height)
        if picture is not None and not self._rendered:
            self._rendered = True
            # Before OpenGL itself ends with the process: closed later, viewers complain.
            atexit.register(_close_living, weakref.ref(self))
        return picture

    def _observe(self, lane: int, observation: Any) -> None:
        from metabench.envs.gymnasium.spaces import flatten_observations

        flat = flatten_observations(observation, self._family.declared.observation_keys, leading=0)
        if not np.isfinite(flat).all():
            raise SimulationError(lane, self._step, self._parameters[lane])
        self._observation[lane] = flat

    def _dtype(self, lane: int) -> Any:
        return self._lanes[lane].action_space.dtype

    def _close(self) -> None:
        while self._lanes:
            self._lanes.pop().close()

    def __del__(self) -> None:
        """Close the environments: some hold windows or files."""
        self._close()


def _close_living(lanes: weakref.ref[GymnasiumLanes]) -> None:
    living = lanes()
    if living is not None:
        living._close()


class GymnasiumFamily(TaskFamily):
    """Tasks are environments: `{"environment": "Pendulum-v1", "arguments": {"g": 9.0}}`.

    `module:Id-v0` imports the module first, as `gymnasium.make` does; it registers the id. A task known from recorded
    data only is `{"recorded": "the data's id"}`: it can be trained on, not acted in.
    """

    name: ClassVar[str] = "gymnasium"
    declares_spaces: ClassVar[bool] = True

    def __init__(self, declared: DeclaredSpaces) -> None:
        """Keep the spaces that suite.toml declares; every environment is checked against them when it is made."""
        self.declared = declared

    def spaces(self, horizon: int) -> Spaces:
        """Those declared."""
        return self.declared.spaces(horizon)

    def check_parameters(self, parameters: TaskParameters) -> None:
        """A task is an environment's id and, if it takes any, arguments of plain values; or the id of its data."""
        if set(parameters) == {"recorded"}:
            if not isinstance(parameters["recorded"], str) or not parameters["recorded"]:
                raise ValueError("recorded must be the id of the task's data")
            return
        if not {"environment"} <= set(parameters) <= {"environment", "arguments"}:
            raise ValueError("expected 'environment' and perhaps 'arguments', or 'recorded' alone")
        environment, arguments = parameters["environment"], parameters.get("arguments", {})
        if not isinstance(environment, str) or not _ID.fullmatch(environment):
            raise ValueError(
                "environment must be a Gymnasium id: 'Pendulum-v1' or 'module:Name-v0'"
            )
        if not isinstance(arguments, Mapping):
            raise ValueError("arguments must be a table of the constructor's arguments")
        for reserved in _RESERVED:
            if reserved in arguments:
                raise ValueError(f"arguments: {reserved!r} is not a task's to set")
        try:
            json.dumps(arguments, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"arguments: expected plain finite values: {error}") from error

    def list_packages(self, parameters: TaskParameters) -> tuple[str, ...]:
        """The package of an id `module:Id-v0`; those that an extra installs are known by their versions."""
        package, named, _ = str(parameters.get("environment", "")).partition(":")
        package = package.partition(".")[0]
        return (package,) if named and package not in EXTRAS else ()

    def environment(self, horizon: int) -> BatchedEnvironment:
        """New lanes."""
        return GymnasiumLanes(self, horizon)

    def make(self, parameters: TaskParameters) -> gymnasium.Env[Any, Any]:
        """A task's environment without time limit.

        Raises:
            MetabenchError: there is none, it cannot be made, or it has other spaces than those declared.
        """
        from metabench.envs.gymnasium.pictures import find_render_mode
        from metabench.envs.gymnasium.spaces import check_declared

        if "recorded" in parameters:
            raise NoEnvironmentError(
                f"no environment: it is known only from the recorded data {parameters['recorded']!r}; "
                "methods can train on it, but not act in it; name one: "
                "`metabench suite from-minari ... --environment Hopper-v5`, or in "
                'suite.toml parameters = { environment = "Hopper-v5" }'
            )
        environment, arguments = parameters["environment"], parameters.get("arguments", {})
        mode = find_render_mode(environment)  # not every constructor takes one
        rendering = {} if mode is None else {"render_mode": mode}
        made = _make_registered(environment, max_episode_steps=-1, **arguments, **rendering)
        try:
            check_declared(self.declared, made.observation_space, made.action_space)
        except ValueError as error:
            made.close()
            raise MetabenchError(f"environment {environment!r}: {error}") from error
        return made

    def check_available(self, parameters: TaskParameters, horizon: int) -> None:
        """Make the environment once."""
        del horizon
        self.make(parameters).close()

    def teacher(self, folder: Path, horizon: int) -> Teacher:
        """There is none."""
        del folder, horizon
        return NoTeacher(self.name)

    def task_vector(self, parameters: TaskParameters) -> Array | None:
        """The arguments in the order of their names, if they are numbers."""
        arguments = parameters.get("arguments", {})
        if not arguments or not all(type(value) in (int, float) for value in arguments.values()):
            return None
        return np.array([arguments[name] for name in sorted(arguments)], np.float64)
