"""The blind policy of a suite: it knows neither the task nor what happened before.

What a teacher earns above it is what finding out the task is worth. It is either a trained network or one of a family's
fixed scripts; which of them, a suite's folder `references/` says.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from metabench.envs.batched import TaskParameters
from metabench.envs.spaces import Array


class BlindPolicy(ABC):
    """Maps the present observation to an action: no task, no reward, no earlier observation or action.

    A lane's actions depend only on its seed, its observations and the number of steps.
    """

    @abstractmethod
    def reset(self, seeds: Sequence[int]) -> None:
        """Start one episode a lane; `seeds[i]` is the only randomness of lane i."""

    @abstractmethod
    def act(self, observation: Array) -> Array:
        """Actions for `(lanes, observation_dim)`: `(lanes, action_dim)` float64 in bounds, or `(lanes,)` integers."""


@dataclass(frozen=True)
class BlindScripts:
    """The scripts of a family whose blind policy is not trained.

    Attributes:
        propose: the scripts worth trying, by name, as plain content; from the training tasks' numbers and the horizon
            alone.
        load: one of them from its content; raises `ValueError` with one line if that is none.
    """

    propose: Callable[[Sequence[TaskParameters], int], Mapping[str, Mapping[str, Any]]]
    load: Callable[[Mapping[str, Any], int], BlindPolicy]
    """Takes the content and the horizon."""
