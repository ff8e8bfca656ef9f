"""Many MuJoCo lanes at once: the state layout, the threads and the divergence check of all families."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gymnasium
import mujoco
import numpy as np
from mujoco import rollout

from metabench.envs.locomotion.versions import TESTED_MUJOCO
from metabench.envs.spaces import Array
from metabench.errors import SimulationError
from metabench.system.cores import count_available_cores


@dataclass(frozen=True)
class Body:
    """A robot and the time it is simulated in.

    Attributes:
        model_file: the MJCF file among Gymnasium's assets.
        frame_skip: simulator steps in one step of the environment.
        timestep: seconds of a simulator step; None keeps the file's.
    """

    model_file: str
    frame_skip: int
    timestep: float | None = None

    def compile(self) -> mujoco.MjModel:
        """Compile the model, without warm starts.

        `mjDSBL_WARMSTART` makes position and velocity the whole state of a lane: otherwise the constraint solver
        starts from the last step's forces, which a batch of lanes does not keep, and trajectories part.
        """
        if mujoco.__version__ != TESTED_MUJOCO:
            warnings.warn(
                f"MuJoCo {mujoco.__version__} is not the tested {TESTED_MUJOCO}: trajectories may differ",
                stacklevel=2,
            )
        path = Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets" / self.model_file
        spec = mujoco.MjSpec.from_file(str(path))
        if self.timestep is not None:
            spec.option.timestep = self.timestep
        spec.option.disableflags |= mujoco.mjtDisableBit.mjDSBL_WARMSTART
        return spec.compile()


class LaneSimulator:
    """Lanes of one body, each with a model and a state of its own, stepped together by MuJoCo's threads.

    A lane's state is time, positions and velocities: `(lanes, 1 + nq + nv)` float64.
    """

    def __init__(self, frame_skip: int, threads: int | None = None) -> None:
        """Make a simulator without lanes.

        Args:
            frame_skip: simulator steps in one `step`.
            threads: how many; None for `OMP_NUM_THREADS`, or without it all that this process may use.
        """
        self._frame_skip = frame_skip
        self._threads = threads or count_available_cores()
        self._rollout = rollout.Rollout(nthread=self._threads if self._threads > 1 else 0)
        self._models: list[mujoco.MjModel] = []
        self._data: list[mujoco.MjData] = []

    def reset(self, models: Sequence[mujoco.MjModel], positions: Array, velocities: Array) -> None:
        """Give every lane its model, `(lanes, nq)` positions and `(lanes, nv)` velocities."""
        self._models = list(models)
        self._data = [mujoco.MjData(models[0]) for _ in range(max(self._threads, 1))]
        self._size = models[0].nq
        self._seconds = self._frame_skip * models[0].opt.timestep
        self._steps = 0
        self._states = np.concatenate(
            [np.zeros((len(self._models), 1)), positions, velocities], axis=1
        )[:, None]

    def step(self, controls: Array) -> None:
        """Hold `(lanes, nu)` float64 controls for `frame_skip` simulator steps.

        Raises:
            SimulationError: a lane's state is beyond what MuJoCo accepts, or MuJoCo has reset it; names lane and step.
        """
        repeated = np.broadcast_to(
            controls[:, None], (len(controls), self._frame_skip, controls.shape[1])
        )
        self._states, _ = self._rollout.rollout(
            self._models, self._data, self._states[:, -1], repeated
        )
        self._steps += 1
        # After a warning (bad position, velocity, acceleration or control) MuJoCo's clock does not get this far.
        late = (
            np.abs(self._states[:, -1, 0] - self._steps * self._seconds)
            > 0.5 * self._seconds / self._frame_skip
        )
        # A state that MuJoCo would reset in the next step only; not a number is not within bounds either.
        diverged = late | ~(np.abs(self._states[:, -1]) <= mujoco.mjMAXVAL).all(axis=1)
        if diverged.any():
            raise SimulationError(int(np.flatnonzero(diverged)[0]), self._steps)

    @property
    def steps(self) -> int:
        """Steps since the reset."""
        return self._steps

    @property
    def positions(self) -> Array:
        """`(lanes, nq)` now."""
        return np.asarray(self._states[:, -1, 1 : 1 + self._size])

    @property
    def velocities(self) -> Array:
        """`(lanes, nv)` now."""
        return np.asarray(self._states[:, -1, 1 + self._size :])

    @property
    def last_positions(self) -> Array:
        """`(lanes, nq)` before the last simulator step; where no step has been made, as `positions`."""
        return np.asarray(self._states[:, max(self._states.shape[1] - 2, 0), 1 : 1 + self._size])
