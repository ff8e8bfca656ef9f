"""What a policy is told of a suite: the shapes and bounds of observations and actions, and the horizon."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]

ACTION_TOLERANCE = 1e-6
"""Actions may be out of bounds by so much: the bounds are rounded to float32."""


@dataclass(frozen=True)
class Spaces:
    """The interface of a suite's tasks.

    Actions are continuous (`action_low` and `action_high` are given) or discrete (`num_actions` is given).

    Attributes:
        observation_dim: length of an observation vector.
        horizon: the largest number of steps of an episode.
        action_low: lower bound of each action coordinate; empty for discrete actions.
        action_high: upper bound of each action coordinate; empty for discrete actions.
        num_actions: number of discrete actions; 0 for continuous actions.
    """

    observation_dim: int
    horizon: int
    action_low: tuple[float, ...] = ()
    action_high: tuple[float, ...] = ()
    num_actions: int = 0

    def __post_init__(self) -> None:
        """Refuse impossible spaces with a `ValueError`."""
        if self.observation_dim < 1 or self.horizon < 1:
            raise ValueError("observation_dim and horizon must be at least 1")
        if bool(self.action_low) == bool(self.num_actions):
            raise ValueError("give either action bounds (continuous) or num_actions (discrete)")
        if len(self.action_low) != len(self.action_high):
            raise ValueError("action_low and action_high must have the same length")
        if any(low >= high for low, high in zip(self.action_low, self.action_high, strict=True)):
            raise ValueError("action_low must be below action_high")

    @property
    def discrete(self) -> bool:
        """Whether actions are integers in `range(num_actions)`."""
        return self.num_actions > 0

    @property
    def action_dim(self) -> int:
        """Length of an action feature vector: coordinates, or the one-hot width of discrete actions."""
        return self.num_actions if self.discrete else len(self.action_low)

    def action_features(self, actions: Array) -> Array:
        """Turn actions into features for a network.

        Args:
            actions: `(..., action_dim)` floats in bounds, or `(...,)` integers for discrete actions.

        Returns:
            `(..., action_dim)` float32: coordinates scaled to [-1, 1], or one-hot rows.
        """
        if self.discrete:
            return np.eye(self.num_actions, dtype=np.float32)[np.asarray(actions, dtype=np.int64)]
        low, high = self._bounds()
        return np.asarray(
            2.0 * (np.asarray(actions, np.float32) - low) / (high - low) - 1.0, np.float32
        )

    def actions_from_features(self, features: Array) -> Array:
        """Turn a network's output back into actions: the inverse of `action_features`.

        Args:
            features: `(..., action_dim)` scaled coordinates (clipped to [-1, 1]) or one score an action.

        Returns:
            `(..., action_dim)` float32 in bounds, or `(...,)` int64, the action of the largest score.
        """
        if self.discrete:
            return np.asarray(np.argmax(features, axis=-1), np.int64)
        low, high = self._bounds()
        unit = (np.clip(np.asarray(features, np.float32), -1.0, 1.0) + 1.0) / 2.0
        return np.asarray(np.clip(low + unit * (high - low), low, high))

    def find_action_problem(self, actions: Array, leading: tuple[int, ...] = ()) -> str | None:
        """The problem with some actions, in words; None if they are valid.

        Zeros are always valid, because lanes that have ended get null actions.

        Args:
            actions: expected are `(*leading, action_dim)` floats in bounds, or `leading` integers.
            leading: the axes before an action's own: none for a single action, `(lanes,)` for those of all lanes.
        """
        shape = leading if self.discrete else (*leading, self.action_dim)
        if actions.shape != shape or actions.dtype.kind not in ("iu" if self.discrete else "fiu"):
            kind = "whole numbers" if self.discrete else "floats"
            return (
                f"expected {kind} of shape {shape}, found {actions.dtype} of shape {actions.shape}"
            )
        if self.discrete:
            fits = (actions >= 0) & (actions < self.num_actions)
            bounds = f"0 to {self.num_actions - 1}"
        else:
            low, high = self._taken
            fits = (actions >= low) & (actions <= high)  # nothing that is not a number is
            bounds = f"{list(self.action_low)} to {list(self.action_high)}"
        if fits.all():
            return None
        lane = np.unravel_index(int(np.argmin(fits)), fits.shape)[: len(leading)]
        where = f" in lane {lane[0]}" if lane else ""
        return f"expected {bounds}, found {actions[lane].tolist()}{where}"

    def null_actions(self, lanes: int) -> Array:
        """The previous action at an episode's start: zeros, `(lanes, action_dim)` or `(lanes,)`."""
        if self.discrete:
            return np.zeros(lanes, np.int64)
        return np.zeros((lanes, self.action_dim), np.float32)

    def uniform_actions(self, generator: np.random.Generator, size: tuple[int, ...]) -> Array:
        """Uniformly random actions: `(*size, action_dim)` float32, or `size` int64."""
        if self.discrete:
            return generator.integers(self.num_actions, size=size)
        low, high = self._bounds()
        draw = generator.random((*size, self.action_dim))
        return np.asarray(np.clip((low + draw * (high - low)).astype(np.float32), low, high))

    @functools.cached_property
    def _taken(self) -> tuple[Array, Array]:
        """Bounds of what is taken, with room for rounding."""
        low, high = np.asarray(self.action_low), np.asarray(self.action_high)
        return np.minimum(low, 0.0) - ACTION_TOLERANCE, np.maximum(high, 0.0) + ACTION_TOLERANCE

    def _bounds(self) -> tuple[Array, Array]:
        return np.asarray(self.action_low, np.float32), np.asarray(self.action_high, np.float32)
