"""Trajectories on their way: from where they are made or read to where they are stored."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from metabench.data.columns import Columns
from metabench.envs import Array
from metabench.errors import DataError

BuildProgress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

CHUNK = 500
"""Trajectories that are rolled out and written, or read, between two calls of a `BuildProgress`."""

ACTION_DECIMALS = 4
"""Teachers' actions are rounded to 1e-4, so that a last bit of arithmetic does not change what is stored."""


@dataclass(frozen=True)
class ActedEpisodes:
    """Trajectories in the order asked for.

    Attributes:
        columns: the episodes; `columns.tasks` holds suite task ids here, in the order asked for.
        success: `(N,)` bool per transition, or None where the family has no notion of success.
    """

    columns: Columns
    success: Array | None

    def judge_success(self, rule: Literal["last", "any"]) -> Array:
        """`(E,)` whether each episode succeeded: at its last step, or at any.

        Raises:
            DataError: the family has no notion of success.
        """
        if self.success is None:
            raise DataError("episodes tell no success: expected those of a family that has it")
        offsets = self.columns.offsets
        if rule == "last":
            return np.asarray(self.success[offsets[1:] - 1])
        return np.asarray(np.logical_or.reduceat(self.success, offsets[:-1]))


@dataclass(frozen=True)
class Trajectories:
    """A whole dataset as decoded arrays: E episodes with N transitions in all, sorted by task.

    Attributes:
        columns: the episodes; `columns.tasks` holds suite task ids.
        behaviours: `(E,)` text: what acted.
        seeds: `(E,)` int64: each episode's only randomness.
        success: `(N,)` bool a transition, or None where the family has no notion of success.
    """

    columns: Columns
    behaviours: Array
    seeds: Array
    success: Array | None

    def arrays(self) -> dict[str, Array]:
        """All arrays by name, in the fixed order in which they are stored and hashed."""
        columns = self.columns
        arrays = {
            "observations": columns.observations,
            "actions": columns.actions,
            "rewards": columns.rewards,
            "offsets": columns.offsets,
            "terminated": columns.terminated,
            "tasks": columns.tasks,
            "behaviours": self.behaviours,
            "seeds": self.seeds,
        }
        # Those that only some datasets have come last: the digests of the others are as if there were none.
        further = {
            "success": self.success,
            "stages": columns.stages,
            "expert_actions": columns.expert_actions,
        }
        return arrays | {name: values for name, values in further.items() if values is not None}

    @staticmethod
    def from_arrays(arrays: dict[str, Array]) -> Trajectories:
        """The inverse of `arrays`; raises `KeyError` if one is missing."""
        return Trajectories(
            Columns(
                observations=arrays["observations"],
                actions=arrays["actions"],
                rewards=arrays["rewards"],
                offsets=arrays["offsets"],
                terminated=arrays["terminated"],
                tasks=arrays["tasks"],
                stages=arrays.get("stages"),
                expert_actions=arrays.get("expert_actions"),
            ),
            behaviours=arrays["behaviours"],
            seeds=arrays["seeds"],
            success=arrays.get("success"),
        )


def hash_trajectories(trajectories: Trajectories) -> str:
    """`sha256:...` of the decoded arrays, independent of the libraries that stored them.

    Hashed are, for each of `Trajectories.arrays` in its order, the line `name dtype shape` and then the values in C
    order, little-endian; the behaviours as their UTF-8 names, each ended by a line feed.
    """
    total = hashlib.sha256()
    for name, values in trajectories.arrays().items():
        if values.dtype.kind == "U":
            total.update(f"{name} text {values.shape}\n".encode())
            total.update("".join(f"{text}\n" for text in values.tolist()).encode())
        else:
            little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
            total.update(
                f"{name} {values.dtype.kind}{values.dtype.itemsize} {values.shape}\n".encode()
            )
            total.update(little.data)
    return f"sha256:{total.hexdigest()}"


@dataclass(frozen=True)
class TrajectorySource:
    """Trajectories to be stored.

    Attributes:
        parts: the trajectories, sorted by task, made as they are asked for.
        total: how many there are in all.
        stage: what making them is called.
        algorithm: what acted, for Minari's metadata.
        description: what they are, for Minari's metadata.
        notes: what was recorded and is left out of them, a line each.
    """

    parts: Iterable[Trajectories]
    total: int
    stage: str
    algorithm: str
    description: str
    notes: tuple[str, ...] = ()


def join_acted(parts: Sequence[ActedEpisodes]) -> ActedEpisodes:
    """The trajectories of all parts, in order, as one."""
    lengths = np.concatenate([np.diff(part.columns.offsets) for part in parts])
    columns = Columns(
        observations=np.concatenate([part.columns.observations for part in parts]),
        actions=np.concatenate([part.columns.actions for part in parts]),
        rewards=np.concatenate([part.columns.rewards for part in parts]),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        terminated=np.concatenate([part.columns.terminated for part in parts]),
        tasks=np.concatenate([part.columns.tasks for part in parts]),
        stages=_join_known([part.columns.stages for part in parts]),
        expert_actions=_join_known([part.columns.expert_actions for part in parts]),
    )
    return ActedEpisodes(columns, _join_known([part.success for part in parts]))


def _join_known(parts: Sequence[Array | None]) -> Array | None:
    """All parts as one; None where none is known."""
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if known else None


def join_trajectories(parts: Sequence[Trajectories]) -> Trajectories:
    """The trajectories of all parts, in order, as one."""
    whole = join_acted([ActedEpisodes(part.columns, part.success) for part in parts])
    return Trajectories(
        columns=whole.columns,
        behaviours=np.concatenate([part.behaviours for part in parts]),
        seeds=np.concatenate([part.seeds for part in parts]),
        success=whole.success,
    )
