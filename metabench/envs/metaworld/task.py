"""What all parts of Meta-World share: the spaces, and a task as something to look up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metabench.envs.spaces import Spaces

OBSERVATION_DIM, ACTION_DIM = 39, 4


def make_spaces(horizon: int) -> Spaces:
    """39 observations, 4 actions in [-1, 1]; equal in all environments."""
    return Spaces(OBSERVATION_DIM, horizon, (-1.0,) * ACTION_DIM, (1.0,) * ACTION_DIM)


def task_key(parameters: Mapping[str, Any]) -> tuple[Any, ...]:
    """The task as something that can be looked up: environment, kind of numbers, numbers."""
    kind = "goal" if "goal" in parameters else "rand_vec"
    return (parameters["environment"], kind, *map(float, parameters[kind]))
