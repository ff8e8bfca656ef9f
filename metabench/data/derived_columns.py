"""What follows from the columns of logged data: counts, lengths, returns, and features as networks read them."""

from __future__ import annotations

import functools

import numpy as np

from metabench.data.columns import Columns
from metabench.envs import Array, Spaces
from metabench.errors import DataError


class DerivedColumns:
    """Logged episodes of tasks by index, with all that can be computed from their columns alone."""

    def __init__(
        self, columns: Columns, spaces: Spaces, suite_name: str = "", dataset: str = ""
    ) -> None:
        """Wrap `columns`; `suite_name` and `dataset` are for errors."""
        self.columns = columns
        self.spaces = spaces
        self.suite_name = suite_name
        self.dataset = dataset

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
    def terminated(self) -> Array:
        """`(N,)` bool: whether the task itself ended the episode with this transition."""
        ends = np.zeros(self.num_transitions, bool)
        ends[self.columns.offsets[1:] - 1] = self.columns.terminated
        return ends

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

    @property
    def stages(self) -> Array:
        """`(E,)` int64, of histories: the stage of learning of each episode, from 0, ascending within a task.

        The episodes of a task lie in the order of learning, those of one stage as well: its transitions, in the order
        of their flat index, are its history.

        Raises:
            DataError: the data has no such order.
        """
        if self.columns.stages is None:
            raise self._lack("order of learning", "histories")
        return self.columns.stages

    @functools.cached_property
    def expert_action_features(self) -> Array:
        """`(N, action_dim)` float32, of labelled data: what the expert does in each state, as networks read actions.

        Raises:
            DataError: the data has no expert labels, or the method that it was loaded for does not say that it uses
                them.
        """
        if self.columns.expert_actions is None:
            raise self._lack("expert labels", "expert-actions")
        return self.spaces.action_features(self.columns.expert_actions)

    def _lack(self, what: str, expected: str) -> DataError:
        of = f"dataset {self.dataset} of {self.suite_name}" if self.dataset else "this data"
        if self.dataset == expected:
            needed = "expected `uses_expert_labels = True` in the method's class"
            return DataError(f"{of}: no {what} here; {needed}")
        return DataError(f"{of} has no {what}: expected {expected}")
