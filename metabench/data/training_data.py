"""Logged data as a method sees it: transitions, whole episodes, or windows gathered by index."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from metabench.data.columns import Columns
from metabench.data.episode import Episode
from metabench.envs import Array, Spaces


@dataclass(frozen=True)
class Windows:
    """A batch of B windows of K steps, left-padded with zeros; every array is NumPy, or torch after `TrainingData.to`.

    Attributes:
        observations: `(B, K, observation_dim)` before each action.
        next_observations: `(B, K, observation_dim)` after each action.
        actions: `(B, K, action_dim)` features as `Spaces.action_features` gives them (one-hot if discrete).
        rewards: `(B, K)`.
        returns_to_go: `(B, K)` undiscounted sum of this and all later rewards of the episode.
        timesteps: `(B, K)` int64, steps since the episode's start; 0 in padding.
        mask: `(B, K)` bool, true at real steps.
        tasks: `(B,)` int64 task of each window.
        episodes: `(B,)` int64 episode of each window.
    """

    observations: Any
    next_observations: Any
    actions: Any
    rewards: Any
    returns_to_go: Any
    timesteps: Any
    mask: Any
    tasks: Any
    episodes: Any


class TrainingData:
    """Logged episodes of training tasks, which are known by index only.

    `data.fitting` and `data.validation` part it, by task where the suite names validation tasks, else by trajectory:
    a method that chooses between models, or stops early, fits on the one and compares on the other.
    """

    def __init__(
        self,
        columns: Columns,
        spaces: Spaces,
        validation_tasks: Sequence[int] = (),
        device: Any = None,
        suite_name: str = "",
    ) -> None:
        """Wrap `columns`; `validation_tasks` are indices into its tasks. See `to` for `device`.

        `suite_name` is what `load_suite` knows the suite of the data by; empty for data of no suite.
        """
        self.suite_name = suite_name
        self.columns = columns
        self.spaces = spaces
        self.validation_tasks = tuple(sorted(validation_tasks))
        self.device = device

    @property
    def num_tasks(self) -> int:
        """Number of tasks."""
        return int(self.columns.tasks[-1]) + 1 if self.num_episodes else 0

    @property
    def num_episodes(self) -> int:
        """Number of episodes, E."""
        return len(self.columns.tasks)

    @property
    def num_transitions(self) -> int:
        """Number of transitions, N."""
        return int(self.columns.offsets[-1])

    @functools.cached_property
    def lengths(self) -> Array:
        """`(E,)` int64: steps of each episode."""
        return np.diff(self.columns.offsets)

    @functools.cached_property
    def action_features(self) -> Array:
        """`(N, action_dim)` float32: actions as networks read them."""
        return self.spaces.action_features(self.columns.actions)

    @functools.cached_property
    def returns_to_go(self) -> Array:
        """`(N,)` float32: undiscounted sum of this and all later rewards of the episode."""
        total = np.concatenate([[0.0], np.cumsum(self.columns.rewards, dtype=np.float64)])
        ends = np.repeat(self.columns.offsets[1:], self.lengths)
        return np.asarray(total[ends] - total[:-1], np.float32)

    @functools.cached_property
    def episode_returns(self) -> Array:
        """`(E,)` float64: undiscounted return of each episode."""
        total = np.concatenate([[0.0], np.cumsum(self.columns.rewards, dtype=np.float64)])
        return np.asarray(total[self.columns.offsets[1:]] - total[self.columns.offsets[:-1]])

    @functools.cached_property
    def transition_episodes(self) -> Array:
        """`(N,)` int64: the episode of each transition."""
        return np.repeat(np.arange(self.num_episodes), self.lengths)

    @functools.cached_property
    def task_offsets(self) -> Array:
        """`(num_tasks + 1,)` int64: task m holds episodes `task_offsets[m]:task_offsets[m + 1]`."""
        return np.searchsorted(self.columns.tasks, np.arange(self.num_tasks + 1)).astype(np.int64)

    @functools.cached_property
    def observation_statistics(self) -> tuple[Array, Array]:
        """Mean and standard deviation (plus 1e-6) of all observations, each `(observation_dim,)` float32."""
        mean = self.columns.observations.mean(axis=0, dtype=np.float64)
        deviation = self.columns.observations.std(axis=0, dtype=np.float64) + 1e-6
        return mean.astype(np.float32), deviation.astype(np.float32)

    def part(self, tasks: Sequence[int]) -> TrainingData:
        """The data of some tasks only, counted anew from 0 in ascending order; none of them is a validation task."""
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
        """`(E,)` bool: the last of every ten trajectories of a task, so that all behaviours are among them.

        Of fewer than ten, but more than one, it is the last.
        """
        first, count = self.task_offsets[:-1], np.diff(self.task_offsets)
        tasks = self.columns.tasks
        place = np.arange(self.num_episodes) - first[tasks]
        return np.asarray(
            (place % 10 == 9) | ((place == count[tasks] - 1) & (place > 0) & (place < 9))
        )

    def _select(self, chosen: Array) -> TrainingData:
        """The episodes where `(E,)` bool `chosen` is true."""
        columns = self.columns.select(np.flatnonzero(chosen))
        return TrainingData(columns, self.spaces, (), self.device, self.suite_name)

    def to(self, device: Any) -> TrainingData:
        """The same data, its batches as torch tensors on `device`; arrays are copied there on first use."""
        return TrainingData(
            self.columns, self.spaces, self.validation_tasks, device, self.suite_name
        )

    def episode(self, index: int) -> Episode:
        """One whole episode, as a policy's support has it: NumPy arrays of its own, whatever the device.

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
            full: windows begin early enough to hold K steps (or the whole episode, if shorter), uniform over
                such begins; otherwise they begin at any step and may be cut by the episode's end.
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

    def transitions(self, index: Array) -> Windows:
        """Single transitions by `(...,)` flat index, in the fields of `Windows` with that leading shape."""
        episodes = self.transition_episodes[index]
        timesteps = index - self.columns.offsets[episodes]
        return self._gather(index, timesteps, np.ones(index.shape, bool), episodes)

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
        column = getattr(self.columns, name) if hasattr(self.columns, name) else getattr(self, name)
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
