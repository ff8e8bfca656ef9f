"""Many Meta-World episodes in one process."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import mujoco
import numpy as np

from metabench.envs.batched import BatchedEnvironment, BatchStep, TaskParameters, refuse_copy
from metabench.envs.metaworld.lane import MetaWorldLane, compile_model
from metabench.envs.metaworld.picture import TableRenderer
from metabench.envs.metaworld.task import make_spaces, task_key
from metabench.envs.scene import Scene
from metabench.envs.spaces import Array
from metabench.errors import SimulationError


class MetaWorldLanes(BatchedEnvironment):
    """Lanes of any tasks. Seeds change nothing but the puck's place in tasks that leave it open.

    A model takes 20 MB. The lanes of a task share one, and only the tasks of the latest reset are kept.
    """

    lanes_at_once = 250

    __reduce__ = refuse_copy

    def __init__(self, horizon: int) -> None:
        """Lanes come with `reset`."""
        self.spaces = make_spaces(horizon)
        self._compiled: dict[str, mujoco.MjModel] = {}
        self._lanes: list[MetaWorldLane] = []
        self._pools: dict[tuple[Any, ...], list[MetaWorldLane]] = {}
        self._models: dict[tuple[Any, ...], mujoco.MjModel] = {}
        self._renderer: TableRenderer | None = None

    def reset(self, parameters: Sequence[TaskParameters], seeds: Sequence[int]) -> Array:
        """Start one episode a lane."""
        keys = [task_key(task) for task in parameters]
        names = {key[0] for key in keys}
        self._compiled = {name: self._compiled[name] for name in names if name in self._compiled}
        self._pools = {key: self._pools[key] for key in keys if key in self._pools}
        self._models = {key: self._models[key] for key in keys if key in self._models}
        spare = {key: list(pool) for key, pool in self._pools.items()}
        self._lanes = [spare[key].pop() if spare.get(key) else self._make_lane(key) for key in keys]
        self._steps, self._parameters = 0, tuple(parameters)
        return self._stack(
            [
                lane.begin(task, seed)
                for lane, task, seed in zip(self._lanes, parameters, seeds, strict=True)
            ]
        )

    def step(self, actions: Array) -> BatchStep:
        """Step every lane.

        Raises:
            SimulationError: a lane diverged.
        """
        self._steps += 1
        taken = [
            lane.step(action)
            for lane, action in zip(self._lanes, np.asarray(actions, np.float32), strict=True)
        ]
        for i, step in enumerate(taken):
            if step.diverged:
                raise SimulationError(i, self._steps, self._parameters[i])
        return BatchStep(
            observation=self._stack([step.observation for step in taken]),
            reward=np.array([step.reward for step in taken]),
            terminated=np.zeros(len(taken), bool),
            success=np.array([step.success for step in taken]),
        )

    def scene(self, lane: int) -> Scene:
        """One lane's hand, objects and goal from above."""
        return self._lanes[lane].scene()

    def frame(self, lane: int, width: int, height: int) -> Array:
        """One lane's robot and table as MuJoCo renders them; raises `NoRendererError`."""
        model, data = self._lanes[lane].state
        if self._renderer is None or not self._renderer.fits(model, width, height):
            self._renderer = TableRenderer(model, width, height)
        return self._renderer.render(data)

    @property
    def goals(self) -> Array:
        """`(lanes, 3)` the targets, which observations do not show."""
        return np.array([lane.goal for lane in self._lanes])

    def _make_lane(self, key: tuple[Any, ...]) -> MetaWorldLane:
        name = key[0]
        if name not in self._compiled:
            self._compiled[name] = compile_model(name)
        if key not in self._models:
            self._models[key] = copy.copy(self._compiled[name])
        lane = MetaWorldLane(name, self._models[key])
        self._pools.setdefault(key, []).append(lane)
        return lane

    def _stack(self, observations: Sequence[Array]) -> Array:
        return np.array(observations, np.float32).reshape(
            len(observations), self.spaces.observation_dim
        )


def make_lanes(arguments: Mapping[str, Any]) -> MetaWorldLanes:
    """For worker processes: `{"horizon": 500}`."""
    return MetaWorldLanes(arguments["horizon"])
