"""Training contexts: transitions of a task, states of it, and what is to be done there."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor

from metabench import Array, TrainingData, Windows

from .config import DPTConfig, DPTOwnActionsConfig
from .model import Queries


class Labels(ABC):
    """Where the actions come from that are imitated."""

    @abstractmethod
    def draw(
        self, generator: np.random.Generator, tasks: Array, count: int
    ) -> tuple[Windows, Tensor]:
        """`(B, count)` transitions of each task, whose states are asked for, and the actions to predict there."""


class ExpertLabels(Labels):
    """The expert's action in any state of the data."""

    def __init__(self, data: TrainingData) -> None:
        """Label the states of `data`; raises `DataError` where the first label is asked of data without."""
        self._data = data

    def draw(
        self, generator: np.random.Generator, tasks: Array, count: int
    ) -> tuple[Windows, Tensor]:
        """States of all episodes, uniformly."""
        states = self._data.sample_task_transitions(generator, tasks, count)
        return states, self._data.gather_expert_actions(states)


class OwnActions(Labels):
    """What the best episodes of a task did themselves."""

    def __init__(self, config: DPTOwnActionsConfig, data: TrainingData) -> None:
        """Choose the episodes of the highest return of every task."""
        self._data = data
        first = data.task_offsets[:-1]
        self._counts = np.maximum(1, np.rint(config.best_share * np.diff(data.task_offsets)))
        # Episodes by task, in each the best first: the best of task m begin where its episodes do.
        self._ranked = np.lexsort((-data.episode_returns, data.columns.tasks))
        self._first = first

    def draw(
        self, generator: np.random.Generator, tasks: Array, count: int
    ) -> tuple[Windows, Tensor]:
        """States of the best episodes: an episode uniformly, then one of its steps."""
        data, shape = self._data, (len(tasks), count)
        place = (generator.random(shape) * self._counts[tasks][:, None]).astype(np.int64)
        episodes = self._ranked[self._first[tasks][:, None] + place]
        steps = (generator.random(shape) * data.lengths[episodes]).astype(np.int64)
        states = data.transitions(data.columns.offsets[episodes] + steps)
        return states, states.actions


class QuerySource:
    """Draws contexts with states that are asked after parts of them."""

    def __init__(self, config: DPTConfig, data: TrainingData, labels: Labels) -> None:
        """Draw contexts from `data`, states and their actions from `labels`."""
        self._config = config
        self._data = data
        self._labels = labels
        self._stride = config.choose_stride(data.spaces.horizon)
        self._slots = config.count_slots(data.spaces.horizon)

    def draw(self, generator: np.random.Generator, count: int) -> Queries:
        """`count` contexts; the lengths of the parts that states are asked after are the same in all of them."""
        tasks = generator.integers(self._data.num_tasks, size=count)
        total = self._config.episodes * self._slots
        lengths = np.sort(generator.integers(total + 1, size=self._config.queries))
        return self.draw_after(generator, tasks, lengths)

    def draw_after(self, generator: np.random.Generator, tasks: Array, lengths: Array) -> Queries:
        """Contexts of `(B,)` tasks with a state asked after each of `(R,)` ascending numbers of transitions."""
        data, config = self._data, self._config
        ordered, there = self._choose_trajectories(generator, tasks)
        anywhere = self._choose_anywhere(generator, tasks)
        whole = generator.random((len(tasks), 1)) < config.trajectory_contexts
        seen = data.transitions(np.where(whole, ordered, anywhere))
        states, labels = self._labels.draw(generator, tasks, len(lengths))
        total = there.shape[1]
        # A state after n transitions comes before number n, counted from 0, and after all before it.
        order = np.argsort(np.append(np.arange(total) + 0.5, lengths), kind="stable")
        memory = np.concatenate([there | ~whole, np.zeros((len(tasks), len(lengths)), bool)], 1)
        return Queries(
            memory=torch.as_tensor(memory[:, order], device=data.device),
            places=torch.as_tensor(np.flatnonzero(order >= total), device=data.device),
            labels=labels,
            counted=states.mask,
            known=lengths // self._slots,
            observations=seen.observations,
            actions=seen.actions,
            rewards=seen.rewards,
            next_observations=seen.next_observations,
            asked=states.observations,
            order=torch.as_tensor(order, device=data.device),
        )

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
