"""What was played of a game, step by step; it only grows, and checkpoints write what is new."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from metabench import Array, DataError, TrainingRun

from ..model.observation_model import FRAMES
from ..model.world_model import Sequences
from .atari import SIDE

CHUNK = 2_048
"""Steps that are kept together: a checkpoint writes those chunks that grew since the last."""

LARGEST_REWARD = 1e18
"""Squares of larger rewards overflow."""


class Replay:
    """Single frames, from which stacks of four are made; about 4 KiB a step, in memory that is used as it fills."""

    def __init__(self, capacity: int, num_actions: int, run: TrainingRun, name: str) -> None:
        """Begin empty.

        Args:
            capacity: the most steps.
            num_actions: actions of the game.
            run: keeps the chunks.
            name: of the chunks.
        """
        self._run, self._name, self._num_actions = run, name, num_actions
        self._columns: dict[str, Array] = {
            "frames": np.empty(
                (capacity + 1, SIDE, SIDE), np.uint8
            ),  # untouched pages take no memory
            "first": np.zeros(capacity + 1, np.int64),  # where the frame's life begins
            "actions": np.zeros(capacity + 1, np.int64),
            "rewards": np.zeros(capacity + 1, np.float32),
            "terminated": np.zeros(capacity + 1, bool),
            "ended": np.zeros(capacity + 1, bool),
        }
        self._frames = 0  # one more than steps, once begun
        self._kept = 0

    @property
    def size(self) -> int:
        """Steps so far."""
        return max(0, self._frames - 1)

    @property
    def begun(self) -> bool:
        """Whether there is a first frame."""
        return self._frames > 0

    def begin(self, frame: Array) -> None:
        """Add the first frame of all."""
        self._add(frame, new_life=True)

    def append(
        self,
        action: int,
        reward: float,
        *,
        terminated: bool,
        truncated: bool,
        frame: Array,
    ) -> None:
        """Add a step; after an end the stack of frames is filled with the next life's first.

        Args:
            action: what was done.
            reward: what it paid, as it is.
            terminated: a life was lost, or the game was over.
            truncated: the game was cut.
            frame: `(64, 64)` bytes that the next action sees: of a new game, if this one has ended.

        Raises:
            DataError: the frame has another shape, or the reward overflows.
        """
        if not abs(reward) < LARGEST_REWARD:
            raise DataError(
                f"{self._name}: the reward of step {self.size + 1} overflows: found {reward:g}, expected a finite "
                f"number below {LARGEST_REWARD:g}"
            )
        row, columns = self.size, self._columns
        self._add(frame, terminated or truncated)
        columns["actions"][row], columns["rewards"][row] = action, reward
        columns["terminated"][row], columns["ended"][row] = terminated, terminated or truncated

    def stack_frames(self, index: Array) -> Array:
        """Stacks `(..., 4, 64, 64)` of bytes that end with frames `index`; a life's first frame is repeated."""
        back = np.arange(1 - FRAMES[0], 1)
        stacked = np.maximum(index[..., None] + back, self._columns["first"][index][..., None])
        return np.asarray(self._columns["frames"][stacked])

    def count_starts(self, length: int) -> int:
        """Number of steps at which `length` steps may begin: 0 to one below it."""
        return max(0, self.size - length + 1)

    def find_whole(self, length: int) -> Array:
        """Steps from which `length` steps lie in one episode; its last step is not one of them."""
        ends = np.concatenate([[0], np.cumsum(self._columns["ended"][: self.size])])
        return (
            np.flatnonzero(ends[length:] == ends[: len(ends) - length])
            if self.size >= length
            else ends[:0]
        )

    def gather_sequences(self, starts: Array, length: int, device: str) -> Sequences:
        """`length` steps from each of `starts` on; a step that ends a life or a game is followed by a new episode."""
        index = starts[:, None] + np.arange(length + 1)
        columns, steps = self._columns, index[:, :-1]
        ended = columns["ended"][steps]
        features = np.eye(self._num_actions, dtype=np.float32)[columns["actions"][steps]]
        parts = (
            self.stack_frames(index),
            features,
            columns["rewards"][steps],
            columns["terminated"][steps],
            ended,
            np.cumsum(ended, axis=1) - ended,
            ~ended,
        )
        return Sequences(*(torch.as_tensor(part, device=device) for part in parts))

    def state_dict(self) -> dict[str, Any]:
        """How many frames there are; the chunks that grew are kept by the run first."""
        for number in range(max(0, self._kept - 1) // CHUNK, -(-self._frames // CHUNK)):
            part = slice(number * CHUNK, min((number + 1) * CHUNK, self._frames))
            self._run.checkpoint(
                self._chunk(number), {key: column[part] for key, column in self._columns.items()}
            )
        self._kept = self._frames
        return {"frames": self._frames}

    def load_state_dict(self, state_dict: Mapping[str, Any], /) -> None:
        """Read the chunks back, as far as they were written when `state_dict` was taken.

        Raises:
            DataError: a chunk is missing or damaged.
        """
        frames = int(state_dict["frames"])
        for number in range(self.size // CHUNK, -(-frames // CHUNK)):
            first, count = number * CHUNK, min(CHUNK, frames - number * CHUNK)
            curve, summary = self._run.curve, self._run.summary
            chunk = self._run.restore(self._chunk(number))
            self._run.curve, self._run.summary = (
                curve,
                summary,
            )  # a chunk's are of the moment when it was written
            if chunk is None or any(len(chunk[key]) < count for key in self._columns):
                raise DataError(
                    f"checkpoint {self._chunk(number)}: expected {count} steps of the replay, found fewer"
                )
            for key, column in self._columns.items():
                column[first : first + count] = chunk[key][:count]
        self._frames = self._kept = frames

    def _chunk(self, number: int) -> str:
        return f"{self._name}-replay-{number:05d}"

    def _add(self, frame: Array, new_life: bool) -> None:
        if frame.shape != (SIDE, SIDE) or frame.dtype != np.uint8:
            raise DataError(
                f"{self._name}: frame of shape {frame.shape} and type {frame.dtype}, expected ({SIDE}, {SIDE}) bytes"
            )
        columns, row = self._columns, self._frames
        columns["frames"][row] = frame
        columns["first"][row] = row if new_life else columns["first"][row - 1]
        self._frames += 1
