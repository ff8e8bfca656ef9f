"""The columns of logged transitions, a row a transition: checked when made, read in blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from metabench.envs import Array
from metabench.errors import DataError

BLOCK = 131_072
"""Rows read at once; longer episodes are read whole."""


class Column(Protocol):
    """What a column can do: tell its shape and dtype, and read rows."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows first."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """As it is stored."""

    def __getitem__(self, rows: slice, /) -> Array:
        """Some rows; raises `DataError` if they cannot be read."""


@dataclass(frozen=True)
class FlatRows:
    """N transitions of one task, each column by its own name; checked for shapes and lengths when made.

    Attributes:
        path: the file, for messages.
        keys: what the file calls each column.
        observations: `(N, observation_dim)` numbers.
        actions: `(N, action_dim)` floats, or `(N,)` or `(N, 1)` integers for discrete actions.
        rewards: `(N,)` or `(N, 1)` numbers.
        terminals: `(N,)` or `(N, 1)`, 0 or 1: the task ended the episode with this row.
        timeouts: the same, a time limit did; or None.
        next_observations: as `observations`, or None.
    """

    path: Path
    keys: Mapping[str, str]
    observations: Column
    actions: Column
    rewards: Column
    terminals: Column
    timeouts: Column | None = None
    next_observations: Column | None = None

    def __post_init__(self) -> None:
        """Raise `DataError` naming the first column whose shape, length or kind of numbers is not as it should be."""
        self._check("observations", "N rows of numbers", "buif", len(self.observations.shape) == 2)
        shaped = self._is_single("actions") if self.discrete else len(self.actions.shape) == 2
        self._check("actions", "N rows of floats, or N integers", "iuf", shaped)
        self._check("rewards", "N numbers", "buif", self._is_single("rewards"))
        self._check("terminals", "N flags", "buif", self._is_single("terminals"))
        if self.timeouts is not None:
            self._check("timeouts", "N flags", "buif", self._is_single("timeouts"))
        if self.next_observations is not None:
            alike = self.next_observations.shape[1:] == self.observations.shape[1:]
            self._check("next_observations", "rows as wide as the observations", "buif", alike)
        if min(self.observations.shape) == 0:
            raise DataError(
                f"{self.path}: {self.keys['observations']}: is empty, of shape {self.observations.shape}"
            )

    @property
    def count(self) -> int:
        """N."""
        return self.observations.shape[0]

    @property
    def observation_dim(self) -> int:
        """Length of an observation."""
        return self.observations.shape[1]

    @property
    def discrete(self) -> bool:
        """Whether actions are single integers."""
        return self.actions.dtype.kind in "iu"

    @property
    def action_dim(self) -> int:
        """Coordinates of a continuous action."""
        return self.actions.shape[1]

    def read_numbers(self, name: str, start: int, stop: int) -> Array:
        """Rows of a column as float32 (discrete actions int64); raises `DataError` unless all are finite."""
        stored = np.asarray(getattr(self, name)[start:stop])
        if name == "actions" and self.discrete:
            return stored.reshape(-1).astype(np.int64)
        with np.errstate(over="ignore"):
            values = stored.astype(np.float32)
        if not np.isfinite(values).all():
            place = tuple(int(axis[0]) for axis in np.nonzero(~np.isfinite(values)))
            expected = "expected finite float32 numbers"
            raise DataError(
                f"{self.path}: {self.keys[name]}: row {start + place[0]}: {expected}, found {stored[place]}"
            )
        return values.reshape(-1) if name == "rewards" else values

    def read_flags(self, name: str) -> Array:
        """A whole column of flags, `(N,)` bool; raises `DataError` unless all are 0 or 1."""
        flags = np.zeros(self.count, bool)
        for start in range(0, self.count, BLOCK):
            values = np.asarray(getattr(self, name)[start : start + BLOCK]).reshape(-1)
            wrong = (values != 0) & (values != 1)
            if wrong.any():
                row = int(np.argmax(wrong))
                problem = f"row {start + row}: expected 0 or 1, found {values[row]}"
                raise DataError(f"{self.path}: {self.keys[name]}: {problem}")
            flags[start : start + BLOCK] = values != 0
        return flags

    def _is_single(self, name: str) -> bool:
        return getattr(self, name).shape[1:] in ((), (1,))

    def _check(self, name: str, expected: str, kinds: str, shaped: bool) -> None:
        column: Column = getattr(self, name)
        place = f"{self.path}: {self.keys[name]}"
        if column.dtype.kind not in kinds or not shaped or not column.shape:
            raise DataError(
                f"{place}: expected {expected}, found {column.dtype} of shape {column.shape}"
            )
        if column.shape[0] != self.observations.shape[0]:
            rows = f"{self.observations.shape[0]} rows as {self.keys['observations']} has"
            raise DataError(f"{place}: expected {rows}, found {column.shape[0]}")
