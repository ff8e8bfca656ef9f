"""Contexts of transitions, and states that are asked for after parts of them: what dpt and ic-iql share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from metabench import Array, Spaces, TrainingData

from .config import InContextConfig
from .network import InContextNetwork


class TransitionContextConfig(InContextConfig):
    """What a context of transitions is made of, and how its support is acted."""

    queries: int = Field(
        20,
        ge=1,
        description="query states in every context, each after a part of the context with another length",
    )
    trajectory_contexts: float = Field(
        0.75,
        ge=0,
        le=1,
        description="share of training contexts that are whole episodes, one after another; the others are drawn from "
        "all of the task's transitions",
    )
    own_transitions: bool = Field(
        True,
        description="the context also contains the running episode; otherwise only whole episodes",
    )
    kept_support: Literal["last", "best"] = Field(
        "best",
        description="support episodes that the context keeps if not all fit: the last ones, or those with the "
        "highest returns, in ascending order",
    )

    def count_transitions(self, horizon: int) -> int:
        """The largest number of transitions in a context."""
        return self.episodes * self.count_slots(horizon)


class TransitionNetwork(InContextNetwork):
    """Reads a token a transition, and one a state that is asked for.

    Tokens have no positions: what a transition tells of a task does not depend on when it was seen.
    """

    def __init__(
        self,
        config: TransitionContextConfig,
        spaces: Spaces,
        asked: int,
        features: int | None = None,
    ) -> None:
        """Make the network.

        Args:
            config: sizes.
            spaces: the suite's spaces.
            asked: tokens of a context that are no transitions.
            features: of a transition; None: what `describe_transitions` gives.
        """
        super().__init__(config, spaces, config.count_transitions(spaces.horizon) + asked)
        size = spaces.observation_dim
        self.transition = nn.Linear(features or 2 * size + spaces.action_dim + 1, config.width)
        self.query = nn.Linear(size, config.width)

    def describe_transitions(
        self, observations: Tensor, actions: Tensor, rewards: Tensor, next_observations: Tensor
    ) -> Tensor:
        """Scaled features `(..., 2 * observation_dim + action_dim + 1)` of transitions as the simulator gives them.

        Args:
            observations: `(..., observation_dim)`.
            actions: `(..., action_dim)` features.
            rewards: `(...,)`.
            next_observations: `(..., observation_dim)`.
        """
        scales = self.scales
        parts = [
            scales.scale_observation(observations),
            actions,
            self.scale_reward(rewards),
            scales.scale_change(observations, next_observations),
        ]
        return torch.cat(parts, dim=-1)

    def embed_seen(self, features: Tensor) -> Tensor:
        """Tokens `(..., W)` of transitions by their features."""
        tokens: Tensor = self.transition(features)
        return tokens

    def embed_queries(self, observations: Tensor) -> Tensor:
        """Tokens `(..., W)` of states `(..., observation_dim)` that are asked for."""
        tokens: Tensor = self.query(self.scales.scale_observation(observations))
        return tokens


class TransitionSource(ABC):
    """Draws contexts with states that are asked after parts of them."""

    def __init__(self, config: TransitionContextConfig, data: TrainingData) -> None:
        """Draw contexts from `data`."""
        self._config = config
        self._data = data
        self._stride = config.choose_stride(data.spaces.horizon)
        self._slots = config.count_slots(data.spaces.horizon)

    @abstractmethod
    def draw_after(self, generator: np.random.Generator, tasks: Array, lengths: Array) -> Any:
        """Contexts of `(B,)` tasks with a state asked after each of `(R,)` ascending numbers of transitions."""

    def draw(self, generator: np.random.Generator, count: int) -> Any:
        """`count` contexts; the lengths of the parts that states are asked after are the same in all of them."""
        tasks = generator.integers(self._data.num_tasks, size=count)
        total = self._config.count_transitions(self._data.spaces.horizon)
        lengths = np.sort(generator.integers(total + 1, size=self._config.queries))
        return self.draw_after(generator, tasks, lengths)

    def choose_seen(self, generator: np.random.Generator, tasks: Array) -> tuple[Array, Array]:
        """`(B, N)` flat indices of the transitions of each task's context, and which places have one."""
        ordered, there = self._choose_trajectories(generator, tasks)
        anywhere = self._choose_anywhere(generator, tasks)
        whole = generator.random((len(tasks), 1)) < self._config.trajectory_contexts
        return np.where(whole, ordered, anywhere), there | ~whole

    def arrange(self, there: Array, lengths: Array) -> tuple[Tensor, Tensor, Tensor]:
        """Put states between transitions: each after as many of them as its length says.

        Args:
            there: `(B, N)`, which places of the context have a transition.
            lengths: `(R,)` of the parts that states are asked after.

        Returns:
            `(B, N + R)` bool, the tokens that later ones see; `(R,)` places of the states; `(N + R,)` places of the
            sequence's tokens in transitions, followed by states.
        """
        total = there.shape[1]
        # A state after n transitions comes before number n, counted from 0, and after all before it.
        order = np.argsort(np.append(np.arange(total) + 0.5, lengths), kind="stable")
        memory = np.concatenate([there, np.zeros((len(there), len(lengths)), bool)], 1)
        places = np.argsort(order)[total:]
        return self._place(memory[:, order]), self._place(places), self._place(order)

    def _place(self, values: Array) -> Tensor:
        return torch.as_tensor(values, device=self._data.device)

    def _choose_trajectories(
        self, generator: np.random.Generator, tasks: Array
    ) -> tuple[Array, Array]:
        """`(B, N)` transitions of episodes of each task one after another, and which places have one."""
        data, shape = self._data, (len(tasks), self._config.episodes)
        first = data.task_offsets[tasks][:, None]
        size = data.task_offsets[tasks + 1][:, None] - first
        episodes = first + (generator.random(shape) * size).astype(np.int64)  # (B, E)
        times = list_kept(self._slots, self._stride, data.lengths[episodes][..., None])
        index = data.columns.offsets[episodes][..., None] + np.maximum(times, 0)
        return index.reshape(len(tasks), -1), (times >= 0).reshape(len(tasks), -1)

    def _choose_anywhere(self, generator: np.random.Generator, tasks: Array) -> Array:
        """`(B, N)` transitions of each task, uniform with replacement."""
        bounds = self._data.columns.offsets[self._data.task_offsets]
        shape = (len(tasks), self._config.episodes * self._slots)
        return generator.integers(bounds[tasks][:, None], bounds[tasks + 1][:, None], shape)


def list_kept(slots: int, stride: int, lengths: Array) -> Array:
    """`(..., slots)` steps that a context keeps of episodes of `lengths` `(..., 1)`: every k-th, back from the last.

    Negative where an episode is too short. The last one is always kept: what an episode ended with tells most.
    """
    return np.asarray(lengths - 1 - stride * np.arange(slots)[::-1])
