"""Arrays in memory that an evaluator and a policy's own process share; both know the layout, nothing describes it."""

from __future__ import annotations

import dataclasses
import fcntl
import math
import mmap
import os
import tempfile
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from metabench.envs import Array, Spaces
from metabench.evaluation.guarded_policy import PREDICTED
from metabench.methods.contract import Step

STEP_ARRAYS = tuple(field.name for field in dataclasses.fields(Step))
EPISODE_ARRAYS = ("observations", "actions", "rewards")
ACTION = "action"
FUTURE = "future actions"
_ALIGNMENT = 64


class Place(NamedTuple):
    """Type and shape of an array; arrays follow each other in the order of their places."""

    dtype: str
    shape: tuple[int, ...]


def lay_out_step(spaces: Spaces, lanes: int) -> dict[str, Place]:
    """The arrays of a `Step`, and the actions that answer it: as wide as any type that a policy may return."""
    narrow, wide = _action_places(spaces, lanes)
    return {
        "observation": Place("float32", (lanes, spaces.observation_dim)),
        "previous_action": narrow,
        "previous_reward": Place("float32", (lanes,)),
        "timestep": Place("int64", (lanes,)),
        "active": Place("bool", (lanes,)),
        "scored": Place("bool", (lanes,)),
        ACTION: wide,
    }


def episode_places(spaces: Spaces, length: int) -> dict[str, Place]:
    """The arrays of an `Episode` of `length` steps."""
    return {
        "observations": Place("float32", (length + 1, spaces.observation_dim)),
        "actions": _action_places(spaces, length)[0],
        "rewards": Place("float32", (length,)),
    }


def lay_out_support(spaces: Spaces, lengths: Sequence[int]) -> dict[str, Place]:
    """The arrays of episodes of these lengths, one after another; `episode_arrays` takes them apart again."""
    return {
        f"{name} {number}": place
        for number, length in enumerate(lengths)
        for name, place in episode_places(spaces, length).items()
    }


def episode_arrays(views: Mapping[str, Array], episodes: int) -> list[dict[str, Array]]:
    """The views of `lay_out_support`, by episode and the names that `Episode` has for them."""
    return [
        {name: views[f"{name} {number}"] for name in EPISODE_ARRAYS} for number in range(episodes)
    ]


def lay_out_prediction(spaces: Spaces, lengths: Sequence[int], steps: int) -> dict[str, Place]:
    """The episodes so far of lanes, of these lengths, the actions that follow, and the arrays of a `Prediction`."""
    lanes = len(lengths)
    actions = _action_places(spaces, lanes * steps)[0]
    flat, wide = (lanes, steps), (lanes, steps, spaces.observation_dim)
    return {
        **lay_out_support(spaces, lengths),
        FUTURE: Place(actions.dtype, (lanes, steps, *actions.shape[1:])),
        **{
            name: Place("float64", wide if name.startswith("observation") else flat)
            for name in PREDICTED
        },
    }


class SharedArrays:
    """A piece of memory without a name, and views of it as arrays."""

    def __init__(self, descriptor: int) -> None:
        """Take over the open file of that number."""
        self.descriptor = descriptor
        self._memory: mmap.mmap | None = None

    @classmethod
    def make(cls) -> SharedArrays:
        """New memory, which the other process cannot take away by shortening it (where the system has such files)."""
        if hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("arrays", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
        else:
            with tempfile.TemporaryFile() as file:
                descriptor = os.dup(file.fileno())
        return cls(descriptor)

    def grow(self, places: Mapping[str, Place]) -> dict[str, Array]:
        """The arrays at `places`, after making room for them."""
        needed = sum(_size(place) for place in places.values())
        if needed > os.fstat(self.descriptor).st_size:
            os.ftruncate(self.descriptor, needed)
        return self.views(places)

    def views(self, places: Mapping[str, Place]) -> dict[str, Array]:
        """The arrays at `places`, for which there is room; they hold what they held, and replace earlier views."""
        size = os.fstat(self.descriptor).st_size
        if self._memory is None or len(self._memory) < size:
            self._memory = mmap.mmap(self.descriptor, size)
        found, offset = {}, 0
        for name, place in places.items():
            count = int(np.prod(place.shape, dtype=np.int64))
            found[name] = np.frombuffer(self._memory, place.dtype, count, offset).reshape(
                place.shape
            )
            offset += _size(place)
        return found

    def close(self) -> None:
        """Close the file; the memory goes with the last view of it."""
        os.close(self.descriptor)
        self._memory = None


def _action_places(spaces: Spaces, count: int) -> tuple[Place, Place]:
    if spaces.discrete:
        return Place("int64", (count,)), Place("int64", (count,))
    return Place("float32", (count, spaces.action_dim)), Place(
        "float64", (count, spaces.action_dim)
    )


def _size(place: Place) -> int:
    """Bytes of an array, rounded up so that the next begins at a round address."""
    count = int(np.prod(place.shape, dtype=np.int64)) * np.dtype(place.dtype).itemsize
    return math.ceil(count / _ALIGNMENT) * _ALIGNMENT
