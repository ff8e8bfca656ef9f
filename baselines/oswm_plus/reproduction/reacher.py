"""Reacher, the paper's sixth environment: Gymnasium's version 5, which is no suite here, in the form of one.

The paper has version 4: its observation holds one number more, which is always 0, and its reward is of where the finger
is before the step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import mujoco
import numpy as np

from metabench import Array, BatchedEnvironment, BatchStep, Spaces, TaskParameters, Teacher

NAME, ID = "reacher", "Reacher-v5"

INNER, OUTER = 0.10, 0.11
"""Lengths of the arm's two parts, the second to the tip of the finger."""

PULL, BRAKE = 0.3, 0.045
"""How strongly the expert turns towards the angles that it wants, and against its speed: the best of some pairs."""


@dataclass(frozen=True)
class OneTask:
    """The task: there is nothing to choose.

    Attributes:
        parameters: none.
    """

    parameters: TaskParameters


@dataclass(frozen=True)
class Reacher:
    """What the reproduction asks of a suite."""

    name: str = NAME

    @property
    def spaces(self) -> Spaces:
        """Ten numbers in, two torques out, 50 steps."""
        return Spaces(10, 50, action_low=(-1.0, -1.0), action_high=(1.0, 1.0))

    def environment(self) -> BatchedEnvironment:
        """New lanes."""
        return ReacherLanes(self.spaces)

    def teacher(self) -> Teacher:
        """The expert."""
        return ReacherExpert()

    def split(self, name: str) -> Sequence[OneTask]:
        """The one task, whatever the split."""
        del name
        return (OneTask({}),)


class ReacherLanes(BatchedEnvironment):
    """One simulator steps all lanes one after another, each from its own state and from nothing else."""

    def __init__(self, spaces: Spaces) -> None:
        """Make the simulator; lanes come with `reset`."""
        import gymnasium

        self.spaces = spaces
        self._simulator: Any = gymnasium.make(ID).unwrapped
        self._states: list[tuple[Array, Array]] = []

    def reset(self, parameters: Sequence[TaskParameters], seeds: Sequence[int]) -> Array:
        """Draw each lane's arm and target from its seed."""
        del parameters
        seen, self._states = [], []
        for seed in seeds:
            seen.append(self._simulator.reset(seed=int(seed))[0])
            self._states.append(self._read_state())
        return np.asarray(seen, np.float32)

    def step(self, actions: Array) -> BatchStep:
        """Gymnasium's step in every lane; nothing ends an episode."""
        simulator, seen, rewards = self._simulator, [], []
        for lane, action in enumerate(np.asarray(actions, np.float64)):
            # The solver starts where it ended; without this a lane's last bits would be of the lane before it.
            mujoco.mj_resetData(simulator.model, simulator.data)
            simulator.set_state(*self._states[lane])
            observation, reward, *_ = simulator.step(action)
            self._states[lane] = self._read_state()
            seen.append(observation)
            rewards.append(float(reward))
        return BatchStep(
            np.asarray(seen, np.float32), np.asarray(rewards), np.zeros(len(seen), bool)
        )

    def _read_state(self) -> tuple[Array, Array]:
        """Positions and velocities of the joints, and of the target."""
        data = self._simulator.data
        return data.qpos.copy(), data.qvel.copy()


class ReacherExpert(Teacher):
    """Turns both joints towards the nearer of the two ways in which the arm reaches the target."""

    behaviours: ClassVar[tuple[str, ...]] = ("expert",)

    def reset(
        self, behaviours: Sequence[str], parameters: Sequence[TaskParameters], seeds: Sequence[int]
    ) -> None:
        """Nothing is remembered, and nothing drawn."""

    def act(self, observation: Array) -> Array:
        """`(lanes, 2)` torques, in shares of the largest."""
        seen = observation.astype(np.float64)
        angles = np.arctan2(seen[:, 2:4], seen[:, :2])  # (lanes, 2)
        across, along = seen[:, 5], seen[:, 4]
        # The law of cosines tells the elbow's angle; targets beyond reach are pointed at.
        bent = np.arccos(
            np.clip((along**2 + across**2 - INNER**2 - OUTER**2) / (2 * INNER * OUTER), -1.0, 1.0)
        )
        ways = []
        for elbow in (bent, -bent):
            aside = np.arctan2(OUTER * np.sin(elbow), INNER + OUTER * np.cos(elbow))
            wanted = np.stack([np.arctan2(across, along) - aside, elbow], axis=1)
            ways.append((wanted - angles + np.pi) % (2 * np.pi) - np.pi)
        nearer = np.abs(ways[0]).sum(1) <= np.abs(ways[1]).sum(1)
        turn = np.where(nearer[:, None], *ways)
        return np.clip(PULL * turn - BRAKE * seen[:, 6:8], -1.0, 1.0)
