"""Episodes of many tasks as flat arrays: the form in which data is made, stored and read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metabench.data.episode import Episode
from metabench.envs import Array


@dataclass(frozen=True)
class Columns:
    """Episodes of many tasks as flat arrays, sorted by task; E episodes with N transitions in all.

    Attributes:
        observations: `(N + E, observation_dim)` float32: each episode's T+1 observations, one after another.
        actions: `(N, action_dim)` float32, or `(N,)` int64 for discrete actions.
        rewards: `(N,)` float32.
        offsets: `(E + 1,)` int64: episode e holds transitions `offsets[e]:offsets[e + 1]`.
        terminated: `(E,)` bool: the task ended the episode (else the horizon did).
        tasks: `(E,)` int64, ascending: the task of each episode, counted from 0 without gaps.
        stages: of histories `(E,)` int64: each episode's stage of learning, ascending from 0 within a task; else None.
        expert_actions: of labelled data, in the form of `actions`: the expert's action in every state; else None.
    """

    observations: Array
    actions: Array
    rewards: Array
    offsets: Array
    terminated: Array
    tasks: Array
    stages: Array | None = None
    expert_actions: Array | None = None

    @property
    def episode_returns(self) -> Array:
        """`(E,)` float64 undiscounted return of each episode."""
        return np.asarray(np.add.reduceat(self.rewards.astype(np.float64), self.offsets[:-1]))

    def episode(self, index: int) -> Episode:
        """Episode `index`, its arrays copied; raises `IndexError` if there is none."""
        if not 0 <= index < len(self.tasks):
            raise IndexError(f"episode {index}: expected 0 to {len(self.tasks) - 1}")
        start, stop = int(self.offsets[index]), int(self.offsets[index + 1])
        terminated = bool(self.terminated[index])
        return Episode(
            # Each episode before this one has one observation more than it has transitions.
            np.array(self.observations[start + index : stop + index + 1]),
            np.array(self.actions[start:stop]),
            np.array(self.rewards[start:stop]),
            terminated,
            not terminated,
        )

    def select(self, episodes: Array) -> Columns:
        """Only the given episodes, `(n,)` ascending indices; tasks are renumbered from 0.

        Neighbouring episodes are not copied: the arrays are views.
        """
        _, tasks = np.unique(self.tasks[episodes], return_inverse=True)
        tasks = tasks.astype(np.int64)
        stages, labels = self.stages, self.expert_actions
        if len(episodes) and episodes[-1] - episodes[0] + 1 == len(episodes):
            first, last = int(episodes[0]), int(episodes[-1]) + 1
            start, stop = int(self.offsets[first]), int(self.offsets[last])
            return Columns(
                self.observations[start + first : stop + last],
                self.actions[start:stop],
                self.rewards[start:stop],
                self.offsets[first : last + 1] - start,
                self.terminated[first:last],
                tasks,
                None if stages is None else stages[first:last],
                None if labels is None else labels[start:stop],
            )
        lengths = np.diff(self.offsets)[episodes]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        # Observations have one row more for each episode, its last: an episode's first lies as many rows further on as
        # there are episodes before it.
        steps = _concatenate_ranges(self.offsets[episodes], lengths)
        seen = _concatenate_ranges(self.offsets[episodes] + episodes, lengths + 1)
        return Columns(
            self.observations[seen],
            self.actions[steps],
            self.rewards[steps],
            offsets,
            self.terminated[episodes],
            tasks,
            None if stages is None else stages[episodes],
            None if labels is None else labels[steps],
        )


def _concatenate_ranges(starts: Array, lengths: Array) -> Array:
    """Concatenated `arange(start, start + length)`."""
    ends = np.cumsum(lengths)
    # One arange over all, less what each range's own zero is ahead of its start.
    return np.asarray(
        np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - lengths - starts, lengths)
    )
