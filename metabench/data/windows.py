"""Batches of logged steps: windows of episodes, or single transitions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Windows:
    """A batch of B windows of K steps, left-padded with zeros; every array is NumPy, or torch after `TrainingData.to`.

    Attributes:
        observations: `(B, K, observation_dim)` before each action.
        next_observations: `(B, K, observation_dim)` after each action.
        actions: `(B, K, action_dim)` features as `Spaces.action_features` gives them (one-hot if discrete).
        rewards: `(B, K)`.
        terminated: `(B, K)` bool: the task itself ended the episode with this step, so that nothing follows to be
            valued; false where only the horizon did.
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
    terminated: Any
    returns_to_go: Any
    timesteps: Any
    mask: Any
    tasks: Any
    episodes: Any
