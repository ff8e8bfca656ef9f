"""The batched environment: every lane is one episode of one task, all lanes step together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from metabench.envs.scene import Scene
from metabench.envs.spaces import Array, Spaces

TaskParameters: TypeAlias = Mapping[str, Any]
"""The explicit numbers that fix one task, as written in suite.toml: `{"goal": [0.3, -0.2]}`."""


@dataclass(frozen=True)
class BatchStep:
    """What one step of all lanes returned.

    Attributes:
        observation: `(lanes, observation_dim)` float32, after the step.
        reward: `(lanes,)` float64.
        terminated: `(lanes,)` bool, the task itself ended the episode. Time limits are the caller's.
        success: `(lanes,)` bool, or None where the family has no notion of success.
    """

    observation: Array
    reward: Array
    terminated: Array
    success: Array | None = None


class BatchedEnvironment(ABC):
    """Lanes of different tasks of one family, stepped at once.

    A lane's trajectory depends on its task, its seed and its actions only: never on the other lanes, their
    number or their order. Lanes that have terminated may be stepped on; the caller ignores what they return.
    """

    spaces: Spaces
    lanes_at_once: int = 4096
    """How many lanes are a good number for one `reset`: more may take too much memory. Results do not depend on it."""

    @abstractmethod
    def reset(self, parameters: Sequence[TaskParameters], seeds: Sequence[int]) -> Array:
        """Start one episode a lane.

        Args:
            parameters: the task of each lane.
            seeds: the seed of each lane's reset noise.

        Returns:
            `(lanes, observation_dim)` float32, the first observations.
        """

    @abstractmethod
    def step(self, actions: Array) -> BatchStep:
        """Step all lanes by `(lanes, action_dim)` floats in bounds, or `(lanes,)` integers."""

    def scene(self, lane: int) -> Scene | None:
        """The lane as it is now, for pictures in reports and cards; None, as by default, if there is nothing to see.

        It only looks: lanes go on as if nobody had asked.
        """
        del lane
        return None
