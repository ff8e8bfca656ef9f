"""What the model is trained on: streams of episodes of one task, one after another, cut into chunks of equal length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metabench import Array, TrainingData

from .network import Carried, RecurrentStateSpace, Tokens

AMID = 0.5
"""Share of streams whose first episode begins at any of its steps: else chunks are always of the same steps."""


@dataclass(frozen=True)
class Chunk:
    """The next L steps of B streams.

    Attributes:
        tokens: of `(B, L)`.
        episodes: `(B, L)` NumPy int64.
        timesteps: `(B, L)` NumPy int64: a step's place in its episode, 0 to T.
    """

    tokens: Tokens
    episodes: Array
    timesteps: Array


class Streams:
    """B streams, and the model's state in each; a part of the checkpoint.

    A stream lasts for 1 to `most_chunks` chunks, then another task follows. So contexts of all lengths are seen, far
    longer than what gradients go back through.
    """

    def __init__(self, model: RecurrentStateSpace, data: TrainingData) -> None:
        """Streams that all end before the first chunk."""
        self._model, self._data, self._config = model, data, model.config
        count = self._config.batch
        self._rows: list[Array] = [np.zeros((0, 2), np.int64)] * count
        self.carried = model.begin((count,))

    def draw(self, generator: np.random.Generator) -> Chunk:
        """The next steps of each; streams that are over are followed by new ones, of which nothing is known."""
        length = self._config.length
        begins = np.array([len(rows) < length for rows in self._rows])
        for place in np.flatnonzero(begins):
            task = int(generator.integers(self._data.num_tasks))
            steps = length * int(generator.integers(1, 1 + self._config.most_chunks))
            self._rows[place] = list_stream(self._data, generator, task, steps)
        going = torch.as_tensor(~begins, device=self.carried.state.device)[:, None]
        self.carried = Carried(self.carried.state * going, self.carried.latent * going)
        taken = np.stack([rows[:length] for rows in self._rows])
        self._rows = [rows[length:] for rows in self._rows]
        return gather_chunk(self._data, taken, begins, self._model)

    def keep(self, carried: Carried) -> None:
        """Where the model is at the end of the chunk that was drawn last."""
        self.carried = Carried(carried.state.detach(), carried.latent.detach())

    def state_dict(self) -> dict[str, Any]:
        """The steps to come, and the model's states."""
        return {
            "rows": [torch.from_numpy(np.ascontiguousarray(rows)) for rows in self._rows],
            "state": self.carried.state,
            "latent": self.carried.latent,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Put back what `state_dict` returned."""
        self._rows = [rows.numpy().reshape(-1, 2) for rows in state_dict["rows"]]
        self.carried = Carried(state_dict["state"], state_dict["latent"])


def list_stream(data: TrainingData, generator: np.random.Generator, task: int, steps: int) -> Array:
    """`(steps, 2)` episodes and timesteps of one task: its episodes in random order, again if there are too few."""
    first, after = data.task_offsets[task], data.task_offsets[task + 1]
    parts: list[Array] = []
    missing = steps
    while missing > 0:
        for episode in first + generator.permutation(after - first):
            length = int(data.lengths[episode])
            amid = not parts and generator.random() < AMID
            timesteps = np.arange(int(generator.integers(length)) if amid else 0, length + 1)
            parts.append(np.stack([np.full(len(timesteps), episode), timesteps], 1)[:missing])
            missing -= len(parts[-1])
            if missing <= 0:
                break
    return np.concatenate(parts)


def gather_chunk(
    data: TrainingData, rows: Array, begins: Array, model: RecurrentStateSpace
) -> Chunk:
    """What is seen at `(B, L, 2)` episodes and timesteps, of streams that begin where `(B,)` says so."""
    device = model.scales.get_buffer("mean").device
    episodes, timesteps = rows[..., 0], rows[..., 1]
    columns = data.columns
    start = columns.offsets[episodes]
    # A step is an episode's first if the one before it is not there: streams may begin in the middle of an episode.
    follows = (episodes[:, 1:] == episodes[:, :-1]) & (timesteps[:, 1:] == timesteps[:, :-1] + 1)
    first = np.concatenate([timesteps[:, :1] == 0, ~follows], 1)
    first[:, 0] |= begins
    before = np.maximum(start + timesteps - 1, 0)
    shown = ~first
    ended = columns.terminated[episodes] & (timesteps == data.lengths[episodes]) & shown

    def place(values: Array, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.as_tensor(np.ascontiguousarray(values), dtype=dtype, device=device)

    here = start + episodes + timesteps
    observations = columns.observations[here]
    changes = observations - columns.observations[np.maximum(here - 1, 0)]
    tokens = Tokens(
        place(observations),
        place(changes * shown[..., None]),
        place(data.action_features[before] * shown[..., None]),
        place(columns.rewards[before] * shown),
        place(first, torch.bool),
        place(ended),
    )
    return Chunk(tokens, episodes, timesteps)


def draw_whole_streams(
    model: RecurrentStateSpace,
    data: TrainingData,
    generator: np.random.Generator,
    count: int,
    length: int,
) -> Chunk:
    """`count` streams of `length` steps that all begin anew, of tasks in turn: what a model is judged by."""
    rows = [list_stream(data, generator, place % data.num_tasks, length) for place in range(count)]
    return gather_chunk(data, np.stack(rows), np.ones(count, bool), model)
