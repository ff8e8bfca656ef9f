"""The batched environment: every lane is one episode of one task, all lanes step together."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

import numpy as np

from metabench.envs.scene import Scene
from metabench.envs.spaces import Array, Spaces
from metabench.errors import InvalidActionError, MetabenchError

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

    A lane's trajectory depends only on its task, its seed and its actions: never on the other lanes, their number or
    their order. Lanes that have terminated may still be stepped; the caller ignores their results.
    """

    spaces: Spaces
    lanes_at_once: int = 4096
    """How many lanes are a good number for one `reset`: more may take too much memory. Results do not depend on it."""

    _lanes_begun: int | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        """Let `step` of every environment refuse actions that its spaces do not have: simulators take anything."""
        super().__init_subclass__(**options)
        if "reset" in vars(cls):
            cls.reset = _note_lanes(cls.reset)  # type: ignore[method-assign, assignment]
        if "step" in vars(cls):
            cls.step = _check_actions(cls.step)  # type: ignore[method-assign, assignment]

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
        """Step all lanes by `(lanes, action_dim)` floats in bounds, or `(lanes,)` integers.

        Raises:
            InvalidActionError: the actions have a wrong shape or kind, are out of bounds or not finite. metabench
                checks this; an environment need not.
        """

    def scene(self, lane: int) -> Scene | None:
        """The lane's present state as shapes, for reports and cards; None (the default) if there is nothing to see.

        It must not change the lanes.
        """
        del lane
        return None

    def frame(self, lane: int, width: int, height: int) -> Array | None:
        """The lane's present state as its simulator renders it: `(height, width, 3)` uint8. It changes no lane.

        None (the default) if the simulator renders nothing; then `scene` is drawn.

        Raises:
            NoRendererError: the simulator renders, but not on this machine.
        """
        del lane, width, height
        return None


def refuse_copy(environment: BatchedEnvironment) -> NoReturn:
    """`__reduce__` of environments that hold a simulator's memory, threads or processes: a copy would share them.

    Raises:
        MetabenchError: always.
    """
    raise MetabenchError(
        f"{type(environment).__name__} cannot be copied or pickled: it holds a simulator; make another with "
        "suite.environment(), reset it with the same seeds and step it with the same actions"
    )


Reset: TypeAlias = Callable[[Any, Sequence[TaskParameters], Sequence[int]], Array]
TakeStep: TypeAlias = Callable[[Any, Array], BatchStep]


def _note_lanes(reset: Reset) -> Reset:
    @functools.wraps(reset)
    def reset_and_note(
        self: BatchedEnvironment, parameters: Sequence[TaskParameters], seeds: Sequence[int]
    ) -> Array:
        self._lanes_begun = len(parameters)
        return reset(self, parameters, seeds)

    return reset_and_note


def _check_actions(step: TakeStep) -> TakeStep:
    @functools.wraps(step)
    def check_and_step(self: BatchedEnvironment, actions: Array) -> BatchStep:
        lanes = len(actions) if self._lanes_begun is None else self._lanes_begun
        problem = self.spaces.find_action_problem(np.asarray(actions), (lanes,))
        if problem is not None:
            raise InvalidActionError(f"actions: {problem}")
        return step(self, actions)

    return check_and_step
