"""One whole episode: what policies get as support and what a data set holds many of."""

from __future__ import annotations

from dataclasses import dataclass

from metabench.envs import Array


@dataclass(frozen=True)
class Episode:
    """One whole episode, as in a policy's support or in a dataset.

    Attributes:
        observations: `(T+1, observation_dim)` float32; the last is the one after the last action.
        actions: `(T, action_dim)` float32, or `(T,)` int64 for discrete actions.
        rewards: `(T,)` float32.
        terminated: the task itself ended the episode.
        truncated: the horizon ended it.
    """

    observations: Array
    actions: Array
    rewards: Array
    terminated: bool
    truncated: bool

    def __len__(self) -> int:
        """Number of steps, T."""
        return len(self.rewards)

    @property
    def total_return(self) -> float:
        """Undiscounted sum of rewards."""
        return float(self.rewards.sum(dtype="float64"))
