"""Between Gymnasium's spaces and observations and those of a suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np

from metabench.envs.declared_spaces import DeclaredSpaces
from metabench.envs.spaces import Array


def declare_spaces(
    observation_space: gymnasium.Space[Any],
    action_space: gymnasium.Space[Any],
    observation_keys: Sequence[str] = (),
) -> DeclaredSpaces:
    """Declare Gymnasium's spaces.

    Args:
        observation_space: a box of floating-point numbers, or a dictionary of such boxes.
        action_space: a box of bounded floating-point numbers, or `Discrete` counted from 0.
        observation_keys: the dictionary's entries to show; empty for a box.

    Raises:
        ValueError: they are of another kind.
    """
    shown: list[Any] = [observation_space]
    if isinstance(observation_space, gymnasium.spaces.Dict):
        known = list(observation_space.spaces)
        unknown = [key for key in observation_keys if key not in known]
        if unknown or not observation_keys:
            found = f"found {unknown[0]!r}" if unknown else "found none"
            raise ValueError(f"observation_keys: expected some of {', '.join(known)}, {found}")
        shown = [observation_space.spaces[key] for key in observation_keys]
    elif observation_keys:
        raise ValueError("observation_keys: the observation space is no dictionary; expected none")
    for space in shown:
        if not isinstance(space, gymnasium.spaces.Box) or space.dtype.kind != "f":
            raise ValueError(
                f"observation space: expected a box of floating-point numbers, found {space}"
            )
    observation_dim = sum(int(np.prod(space.shape)) for space in shown)
    if isinstance(action_space, gymnasium.spaces.Discrete):
        if action_space.start != 0:
            raise ValueError(f"action space: expected actions counted from 0, found {action_space}")
        return DeclaredSpaces(
            observation_dim=observation_dim,
            observation_keys=tuple(observation_keys),
            num_actions=int(action_space.n),
        )
    if (
        not isinstance(action_space, gymnasium.spaces.Box)
        or action_space.dtype.kind != "f"
        or len(action_space.shape) != 1
    ):
        raise ValueError(
            f"action space: expected Discrete or a box of one axis of floats, found {action_space}"
        )
    if not (np.isfinite(action_space.low).all() and np.isfinite(action_space.high).all()):
        raise ValueError(f"action space: expected finite bounds, found {action_space}")
    return DeclaredSpaces(
        observation_dim=observation_dim,
        observation_keys=tuple(observation_keys),
        action_low=tuple(action_space.low.tolist()),
        action_high=tuple(action_space.high.tolist()),
    )


def check_declared(
    declared: DeclaredSpaces,
    observation_space: gymnasium.Space[Any],
    action_space: gymnasium.Space[Any],
) -> None:
    """Raise `ValueError` with one line unless Gymnasium's spaces are those declared; bounds count as float32."""
    found = declare_spaces(observation_space, action_space, declared.observation_keys)
    if found.observation_dim != declared.observation_dim:
        raise ValueError(
            f"observation space: expected {declared.observation_dim} numbers, found {observation_space}"
        )
    if found.num_actions != declared.num_actions or not all(
        np.array_equal(np.float32(getattr(found, bound)), np.float32(getattr(declared, bound)))
        for bound in ("action_low", "action_high")
    ):
        raise ValueError(
            f"action space: expected {_describe_actions(declared)}, found {action_space}"
        )


def flatten_observations(
    observations: Array | Mapping[str, Array], keys: Sequence[str], leading: int
) -> Array:
    """Observations as vectors: the entries `keys` of a dictionary one after another, each in C order.

    Args:
        observations: an array, or one for each key; axes after the first `leading` are the observation's.
        keys: the entries to take, in this order; empty for an array.
        leading: number of axes that are kept: 0 for one observation, 1 for those of an episode.

    Returns:
        `(..., observation_dim)` float32.
    """
    taken = (
        [np.asarray(observations[key]) for key in keys]
        if isinstance(observations, Mapping)
        else [observations]
    )
    parts = [np.asarray(part, np.float32).reshape(*np.shape(part)[:leading], -1) for part in taken]
    return np.concatenate(parts, axis=-1)


def _describe_actions(declared: DeclaredSpaces) -> str:
    if declared.num_actions:
        return f"{declared.num_actions} discrete actions"
    return f"{len(declared.action_low)} coordinates from {list(declared.action_low)} to {list(declared.action_high)}"
