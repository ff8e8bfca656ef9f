"""What an ensemble is trained on: transitions of a few tasks, drawn by every member from episodes of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metabench import Array, TrainingData, TrainingRun

from .config import ContextEnsembleConfig, EnsembleConfig
from .contract import Seen
from .ensemble import Ensemble


@dataclass(frozen=True)
class Batch:
    """Transitions of T tasks, b of each for each of the members, and h - 1 steps that follow each.

    Attributes:
        observations: `(members, T, b, h, S)`.
        actions: `(members, T, b, h, A)` features.
        rewards: `(members, T, b, h)`.
        next_observations: `(members, T, b, h, S)`.
        ends: `(members, T, b, h)` floats: 1 where the task ended the episode.
        there: `(members, T, b, h)` floats: 0 beyond the episode's end.
        tasks: `(T,)` int64.
        steps: `(T, n, window, features)` of the contexts; n is 0 without an encoder.
        read: `(T, n, window)` bool, which of them count.
    """

    observations: Tensor
    actions: Tensor
    rewards: Tensor
    next_observations: Tensor
    ends: Tensor
    there: Tensor
    tasks: Tensor
    steps: Tensor
    read: Tensor


class Batches:
    """Draws from the data, each member from a sample of each task's episodes, with replacement: the bootstrap."""

    def __init__(
        self, ensemble: Ensemble, data: TrainingData, bootstrap: np.random.Generator | None
    ) -> None:
        """Draw from `data` by the ensemble's configuration; without `bootstrap` all members draw the same."""
        self._ensemble, self._data, self._config = ensemble, data, ensemble.config
        episodes = np.arange(data.num_episodes)
        self._episodes: Array | None = None
        if bootstrap is not None:
            tasks = data.columns.tasks
            first, size = data.task_offsets[tasks], np.diff(data.task_offsets)[tasks]
            draws = bootstrap.random((self._config.members, len(episodes)))
            self._episodes = first + (draws * size).astype(np.int64)

    def draw(self, generator: np.random.Generator) -> Batch:
        """A batch of tasks, drawn with replacement."""
        config = self._config
        tasks = generator.integers(self._data.num_tasks, size=config.tasks_per_update)
        each = -(-config.batch // config.tasks_per_update)
        windows = generator.integers(1, 1 + find_most_windows(config), size=len(tasks))
        if isinstance(config, ContextEnsembleConfig):
            windows[generator.random(len(tasks)) < config.empty_contexts] = 0
        return self.gather(generator, tasks, each, windows)

    def gather(
        self, generator: np.random.Generator, tasks: Array, each: int, windows: Array
    ) -> Batch:
        """Transitions of given tasks `(T,)`, `each` of each, beside contexts of `(T,)` windows."""
        config, data = self._config, self._data
        members = 1 if self._episodes is None else config.members
        bounds = data.columns.offsets[data.task_offsets]
        first, size = bounds[tasks][:, None], np.diff(bounds)[tasks][:, None]
        drawn = first + (generator.random((members, len(tasks), each)) * size).astype(np.int64)
        if self._episodes is not None:
            episodes = self._episodes[
                np.arange(members)[:, None, None], data.transition_episodes[drawn]
            ]
            places = generator.random(drawn.shape) * data.lengths[episodes]
            drawn = data.columns.offsets[episodes] + places.astype(np.int64)
        steps = drawn[..., None] + np.arange(config.loss_steps)
        last = data.columns.offsets[data.transition_episodes[drawn] + 1][..., None] - 1
        rows = data.transitions(np.minimum(steps, last))
        device = self._ensemble.scales.get_buffer("mean").device

        def place(values: Any) -> Tensor:
            return torch.as_tensor(values, device=device)

        contexts = self.draw_contexts(generator, tasks, windows)
        return Batch(
            place(rows.observations),
            place(rows.actions),
            place(rows.rewards),
            place(rows.next_observations),
            place(rows.terminated).float(),
            place(steps <= last).float(),
            place(tasks),
            *contexts,
        )

    def draw_contexts(
        self, generator: np.random.Generator, tasks: Array, windows: Array
    ) -> tuple[Tensor, Tensor]:
        """`(T, n, window, features)` steps of T tasks and `(T, n, window)` which count: so many windows of each.

        One of them is as short as it happens to be: an episode's last window is not full yet.
        """
        config, data = self._config, self._data
        if not isinstance(config, ContextEnsembleConfig):
            return torch.zeros(len(tasks), 0, 1, 1), torch.zeros(len(tasks), 0, 1, dtype=torch.bool)
        count, length = config.context_windows, config.window
        bounds = data.columns.offsets[data.task_offsets]
        first, size = bounds[tasks][:, None], np.diff(bounds)[tasks][:, None]
        draws = first + (generator.random((len(tasks), count)) * size).astype(np.int64)
        episodes = data.transition_episodes[draws].ravel()
        # Whole windows where the episode is long enough, wherever they begin.
        latest = np.maximum(data.lengths[episodes] - length, 0)
        starts = (generator.random(len(episodes)) * (latest + 1)).astype(np.int64)
        long = np.full((len(tasks), count), length)
        long[:, 0] = generator.integers(1, length + 1, size=len(tasks))
        rows = data.windows(episodes, starts, length, starts + long.ravel())
        shape = (len(tasks), count, length)
        there = torch.as_tensor(rows.mask).view(shape)
        counted = torch.as_tensor(np.arange(count) < windows[:, None])
        steps = self._ensemble.describe_steps(
            Seen(rows.observations, rows.actions, rows.rewards, rows.next_observations, there)
        ).view(*shape, -1)
        return steps, there & counted.to(there.device)[..., None]


def find_most_windows(config: EnsembleConfig) -> int:
    """Most windows of a context."""
    return config.context_windows if isinstance(config, ContextEnsembleConfig) else 1


def draw_held_out(ensemble: Ensemble, data: TrainingData, run: TrainingRun) -> Batch:
    """Held-out transitions that all members are judged by, beside full contexts."""
    config, generator = ensemble.config, run.generator("held-out")
    tasks = np.arange(data.num_tasks)
    each = max(1, config.held_out // len(tasks))
    windows = np.full(len(tasks), find_most_windows(config))
    return Batches(ensemble, data, None).gather(generator, tasks, each, windows)
