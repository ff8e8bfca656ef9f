"""Training contexts: transitions of a task, states of it, and what is to be done there."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from torch import Tensor

from metabench import Array, TrainingData, Windows

from ..common.in_context.transitions import TransitionSource
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


class QuerySource(TransitionSource):
    """Draws contexts with states that are asked after parts of them, and what is to be done there."""

    def __init__(self, config: DPTConfig, data: TrainingData, labels: Labels) -> None:
        """Draw contexts from `data`, states and their actions from `labels`."""
        super().__init__(config, data)
        self._labels = labels

    def draw_after(self, generator: np.random.Generator, tasks: Array, lengths: Array) -> Queries:
        """Contexts of `(B,)` tasks with a state asked after each of `(R,)` ascending numbers of transitions."""
        index, there = self.choose_seen(generator, tasks)
        seen = self._data.transitions(index)
        states, labels = self._labels.draw(generator, tasks, len(lengths))
        memory, places, order = self.arrange(there, lengths)
        return Queries(
            memory=memory,
            places=places,
            labels=labels,
            counted=states.mask,
            known=lengths // self._slots,
            observations=seen.observations,
            actions=seen.actions,
            rewards=seen.rewards,
            next_observations=seen.next_observations,
            asked=states.observations,
            order=order,
        )
