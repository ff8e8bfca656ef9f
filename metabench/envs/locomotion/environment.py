"""What the MuJoCo families share: reset noise, stepping, a model a task; a family adds observation and reward."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Sequence

import mujoco
import numpy as np

from metabench.envs.batched import BatchedEnvironment, BatchStep, TaskParameters, refuse_copy
from metabench.envs.locomotion.picture import BodyRenderer, is_seen_from_above, project_limbs
from metabench.envs.locomotion.simulator import Body, LaneSimulator
from metabench.envs.scene import Scene
from metabench.envs.spaces import Array, Spaces
from metabench.errors import SimulationError


class LocomotionEnvironment(BatchedEnvironment):
    """Lanes of one body; episodes never end early unless a family's tasks say so."""

    __reduce__ = refuse_copy

    def __init__(self, spaces: Spaces, body: Body, threads: int | None = None) -> None:
        """Compile the nominal model; lanes come with `reset`. For `threads` see `LaneSimulator`."""
        self.spaces = spaces
        self.model = body.compile()
        self.seconds = body.frame_skip * self.model.opt.timestep
        self._simulator = LaneSimulator(body.frame_skip, threads)
        self._parameters: tuple[TaskParameters, ...] = ()
        self._renderer: BodyRenderer | None = None

    def reset(self, parameters: Sequence[TaskParameters], seeds: Sequence[int]) -> Array:
        """Put every lane at the nominal pose plus noise from its own seed."""
        self._parameters = tuple(parameters)
        noise = [self._reset_noise(np.random.default_rng(seed)) for seed in seeds]
        positions = self.model.qpos0 + np.array([position for position, _ in noise])
        velocities = np.array([velocity for _, velocity in noise])
        keys = [json.dumps(task, sort_keys=True) for task in parameters]
        models = {
            key: self.task_model(task)
            for key, task in dict(zip(keys, parameters, strict=True)).items()
        }
        self._simulator.reset([models[key] for key in keys], positions, velocities)
        self._begin(parameters)
        return self._observation(self._simulator).astype(np.float32)

    def step(self, actions: Array) -> BatchStep:
        """Apply the actions for one step of the environment.

        Raises:
            SimulationError: a lane diverged; names its task, lane and step.
        """
        actions = np.asarray(actions, np.float64)
        before = self._simulator.positions
        try:
            self._simulator.step(actions)
        except SimulationError as error:
            raise SimulationError(error.lane, error.step, self._parameters[error.lane]) from error
        reward = self._reward(before, self._simulator.positions, actions)
        observation = self._observation(self._simulator).astype(np.float32)
        return BatchStep(observation, reward, self._find_ended(self._simulator))

    @property
    def positions(self) -> Array:
        """`(lanes, nq)` joint positions now."""
        return self._simulator.positions

    def scene(self, lane: int) -> Scene:
        """The body's limbs: from above around its root, or from the side over the ground below their middle."""
        positions = self.positions[lane]
        limbs = project_limbs(self.model, positions)  # tasks scale what limbs weigh, not their size
        caption = f"{self._simulator.steps * self.seconds:.1f} s"
        direction = self._wanted_direction(self._parameters[lane])
        if is_seen_from_above(self.model):
            root = float(positions[0]), float(positions[1])
            return Scene("above", root, tuple(limbs), direction=direction, caption=caption)
        middle = float(np.mean([[end[0] for end in limb.ends] for limb in limbs]))
        return Scene("side", (middle, 0.0), tuple(limbs), direction=direction, caption=caption)

    def frame(self, lane: int, width: int, height: int) -> Array:
        """The body as MuJoCo renders it, followed by the camera; raises `NoRendererError`."""
        if self._renderer is None or self._renderer.size != (width, height):
            self._renderer = BodyRenderer(self.model, width, height)
        direction = self._wanted_direction(self._parameters[lane])
        return self._renderer.render(self.positions[lane], direction)

    def _wanted_direction(self, parameters: TaskParameters) -> float | None:
        """The direction in the picture that the task wants, if it wants one in the plane."""
        del parameters
        return None

    def task_model(self, parameters: TaskParameters) -> mujoco.MjModel:
        """The model of one task; the nominal one unless the family's tasks differ in dynamics."""
        del parameters
        return self.model

    def _find_ended(self, simulator: LaneSimulator) -> Array:
        """`(lanes,)` bool: the task ends the episode in this state."""
        return np.zeros(len(simulator.positions), bool)

    @abstractmethod
    def _reset_noise(self, generator: np.random.Generator) -> tuple[Array, Array]:
        """Noise of the first `(nq,)` positions and `(nv,)` velocities."""

    @abstractmethod
    def _begin(self, parameters: Sequence[TaskParameters]) -> None:
        """Keep what the rewards of these lanes need."""

    @abstractmethod
    def _observation(self, simulator: LaneSimulator) -> Array:
        """`(lanes, observation_dim)`."""

    @abstractmethod
    def _reward(self, before: Array, after: Array, actions: Array) -> Array:
        """`(lanes,)` from `(lanes, nq)` positions before and after the step and the actions."""
