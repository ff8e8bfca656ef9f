"""Logged data as a method sees it: transitions, whole episodes, or windows gathered by index."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from metabench.data.columns import Columns
from metabench.data.derived_columns import DerivedColumns
from metabench.data.episode import Episode
from metabench.data.windows import Windows
from metabench.envs import Array, Spaces


class TrainingData(DerivedColumns):
    """Logged episodes of training tasks, which are known by index only.

    `data.fitting` and `data.validation` divide the data, by task if the suite names validation tasks, else by
    trajectory. A method that chooses between models, or stops early, fits on `fitting` and compares on `validation`.

    Attributes:
        spaces: observations, actions and horizon of the suite.
        columns: all stored arrays; read-only, and mapped from disk.
        validation_tasks: the indices of the suite's validation tasks, which `validation` contains; empty in a part.
        device: the device of batches as torch tensors, see `to`; None: batches are NumPy arrays.
        suite_name: what `load_suite` knows the suite by; empty for data of no suite.
        dataset: the dataset's name; empty for data of no suite.
    """

    def __init__(
        self,
        columns: Columns,
        spaces: Spaces,
        validation_tasks: Sequence[int] = (),
        device: Any = None,
        suite_name: str = "",
        dataset: str = "",
    ) -> None:
        """Wrap `columns`; `validation_tasks` are indices into its tasks."""
        super().__init__(columns, spaces, suite_name, dataset)
        self.validation_tasks = tuple(sorted(validation_tasks))
        self.device = device

    def part(self, tasks: Sequence[int]) -> TrainingData:
        """The data of some tasks only, renumbered from 0 in ascending order; none of them is a validation task."""
        return self._select(np.isin(self.columns.tasks, np.asarray(tasks, np.int64)))

    @functools.cached_property
    def validation(self) -> TrainingData:
        """The validation tasks' data; without validation tasks, a tenth of each task's trajectories.

        Then both parts have the same tasks, but a task with one single trajectory keeps it for `fitting`.
        """
        if self.validation_tasks:
            return self.part(self.validation_tasks)
        return self._select(self._held_out)

    @functools.cached_property
    def fitting(self) -> TrainingData:
        """The data that `validation` does not have."""
        if self.validation_tasks:
            return self.part(
                [task for task in range(self.num_tasks) if task not in self.validation_tasks]
            )
        return self._select(~self._held_out)

    @property
    def _held_out(self) -> Array:
        """`(E,)` bool: every tenth trajectory of a task, for all behaviours; the last of fewer, if not alone."""
        first, count = self.task_offsets[:-1], np.diff(self.task_offsets)
        tasks = self.columns.tasks
        place = np.arange(self.num_episodes) - first[tasks]
        return np.asarray(
            (place % 10 == 9) | ((place == count[tasks] - 1) & (place > 0) & (place < 9))
        )

    def _select(self, chosen: Array) -> TrainingData:
        """The episodes where `(E,)` bool `chosen` is true."""
        columns = self.columns.select(np.flatnonzero(chosen))
        return TrainingData(columns, self.spaces, (), self.device, self.suite_name, self.dataset)

    def to(self, device: Any) -> TrainingData:
        """The same data, its batches as torch tensors on `device`; arrays are copied there on first use.

        Indices and generators stay NumPy's.
        """
        named = self.suite_name, self.dataset
        return TrainingData(self.columns, self.spaces, self.validation_tasks, device, *named)

    def episode(self, index: int) -> Episode:
        """One whole episode in the form of a policy's support: copied NumPy arrays, whatever the device.

        Args:
            index: from 0 to `num_episodes - 1`.

        Raises:
            IndexError: there is no such episode.
        """
        return self.columns.episode(index)

    def sample_episodes(self, generator: np.random.Generator, count: int) -> Array:
        """`(count,)` episode indices, uniform with replacement."""
        return generator.integers(self.num_episodes, size=count)

    def sample_same_task(
        self, generator: np.random.Generator, episodes: Array, count: int
    ) -> Array:
        """`(B, count)` indices of episodes of the same tasks as `(B,)` `episodes`, never those themselves.

        Uniform with replacement; a task with one single episode gives that episode.
        """
        tasks = self.columns.tasks[episodes]
        first = self.task_offsets[tasks][:, None]
        size = (self.task_offsets[tasks + 1] - self.task_offsets[tasks])[:, None]
        # Go 1 to size - 1 episodes on around the ring of the task's: never back to where it began. With one single
        # episode the step is 0.
        step = 1 + (generator.random((len(episodes), count)) * (size - 1)).astype(np.int64)
        return np.asarray(first + (episodes[:, None] - first + np.minimum(step, size - 1)) % size)

    def sample_windows(
        self, generator: np.random.Generator, count: int, length: int, full: bool = True
    ) -> Windows:
        """Draw windows at random.

        Args:
            generator: the randomness.
            count: number of windows, B.
            length: steps of a window, K.
            full: windows start early enough to contain K steps (or the whole episode, if it is shorter), uniformly
                over these starts; otherwise they start at any step, and the episode's end may cut them.
        """
        if full:
            episodes = self.sample_episodes(generator, count)
            latest = np.maximum(self.lengths[episodes] - length, 0)
            starts = (generator.random(count) * (latest + 1)).astype(np.int64)
        else:
            transitions = generator.integers(self.num_transitions, size=count)
            episodes = self.transition_episodes[transitions]
            starts = transitions - self.columns.offsets[episodes]
        return self.windows(episodes, starts, length)

    def windows(
        self, episodes: Array, starts: Array, length: int, stops: Array | None = None
    ) -> Windows:
        """Gather windows by index; none crosses an episode's end, short ones are padded on the left.

        Args:
            episodes: `(B,)` episode of each window.
            starts: `(B,)` first step of each window in its episode.
            length: K, at most this many steps are taken.
            stops: `(B,)` steps before which windows end, at least `starts`; None: the episodes' ends.
        """
        ends = (
            self.lengths[episodes] if stops is None else np.minimum(stops, self.lengths[episodes])
        )
        count = np.clip(ends - starts, 0, length)
        position = np.arange(length) - (length - count)[:, None]  # (B, K); negative in padding
        mask = position >= 0
        timesteps = np.where(mask, starts[:, None] + position, 0)
        index = self.columns.offsets[episodes][:, None] + timesteps
        return self._gather(index, timesteps, mask, episodes)

    def sample_task_transitions(
        self, generator: np.random.Generator, tasks: Array, count: int
    ) -> Windows:
        """Draw transitions of given tasks, such as a context and a batch of each.

        Args:
            generator: the randomness.
            tasks: `(B,)` indices of tasks, from 0 to `num_tasks - 1`.
            count: transitions of each, K.

        Returns:
            `(B, K)` single transitions, row i from task `tasks[i]`, uniform with replacement. Fields are those of
            `Windows`, except that `tasks` and `episodes` are also `(B, K)`.
        """
        bounds = self.columns.offsets[self.task_offsets]  # of each task's transitions
        first, size = bounds[tasks][:, None], np.diff(bounds)[tasks][:, None]
        drawn = (generator.random((len(tasks), count)) * size).astype(np.int64)
        return self.transitions(first + np.minimum(drawn, size - 1))

    def transitions(self, index: Array) -> Windows:
        """Single transitions by `(...,)` flat index, every field of `Windows` with that leading shape.

        `data.transitions(generator.integers(data.num_transitions, size=256))` is a batch for temporal differences.

        Raises:
            IndexError: there is no such transition.
        """
        if index.size and index.min() < 0:  # NumPy would count from the end, and mix up episodes
            raise IndexError(f"transition {index.min()}: expected 0 to {self.num_transitions - 1}")
        episodes = self.transition_episodes[index]
        timesteps = index - self.columns.offsets[episodes]
        return self._gather(index, timesteps, np.ones(index.shape, bool), episodes)

    def gather_expert_actions(self, windows: Windows) -> Any:
        """The expert's actions in the states of `windows`: the labels of `expert-actions`.

        Args:
            windows: windows or transitions of this data.

        Returns:
            Features of the shape of `windows.actions`, zero in padding.

        Raises:
            DataError: the data has no expert labels.
        """
        starts = self._take("offsets", windows.episodes, None)
        starts = starts.reshape((*starts.shape, *[1] * (windows.mask.ndim - starts.ndim)))
        padding = None if windows.mask.all() else ~windows.mask
        return self._take("expert_action_features", starts + windows.timesteps, padding)

    def _gather(self, index: Array, timesteps: Array, mask: Array, episodes: Array) -> Windows:
        """Rows `index` of all columns, zero where `mask` is false; `episodes` has the leading axes of `index`."""
        # Observations have one row more an episode: that before transition i of episode e lies in row i + e.
        before = index + episodes.reshape(episodes.shape + (1,) * (index.ndim - episodes.ndim))
        padding = None if mask.all() else self._place(~mask)
        placed_index, placed_before = self._place(index), self._place(before)
        take = self._take
        return Windows(
            observations=take("observations", placed_before, padding),
            next_observations=take("observations", placed_before + 1, padding),
            actions=take("action_features", placed_index, padding),
            rewards=take("rewards", placed_index, padding),
            terminated=take("terminated", placed_index, padding),
            returns_to_go=take("returns_to_go", placed_index, padding),
            timesteps=self._place(timesteps),
            mask=self._place(mask),
            tasks=self._place(self.columns.tasks[episodes]),
            episodes=self._place(np.asarray(episodes)),
        )

    @functools.cached_property
    def _on_device(self) -> dict[str, Any]:
        return {}

    def _take(self, name: str, index: Any, padding: Any) -> Any:
        """Rows `index` of a column, zero where `padding` (None: nowhere) is true."""
        column = getattr(self if hasattr(type(self), name) else self.columns, name)
        if self.device is not None:
            if name not in self._on_device:
                self._on_device[name] = self._place(np.array(column))
            column = self._on_device[name]
        rows = column[index]
        if padding is not None:
            rows[padding] = 0
        return rows

    def _place(self, values: Array) -> Any:
        """`values` as they are, or as a torch tensor on the device."""
        if self.device is None:
            return values
        import torch

        return torch.as_tensor(values).to(self.device)
