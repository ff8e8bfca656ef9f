"""Training contexts: what was seen of a task, and logged transitions of it whose actions are to be valued."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from metabench import Array, TrainingData

from ..common.in_context.network import Contexts
from ..common.in_context.transitions import TransitionSource
from .config import ICIQLConfig

DescribeSeen = Callable[[Array], Tensor]
"""Features `(..., F)` of what a context holds of transitions by flat index `(...,)`."""


@dataclass(frozen=True)
class Trials(Contexts):
    """N transitions of a task and R others, whose actions are labels: `places` are those of the states before these.

    Attributes:
        seen: `(B, N, F)` features of the context's transitions.
        states: `(B, R, observation_dim)`, as the simulator gives them.
        rewards: `(B, R)` of the actions there, as the simulator gives them.
        next_states: `(B, R, observation_dim)` after them.
        continues: `(B, R)` floats, 0 where the task ended the episode, 1 at a time limit.
        next_places: `(R,)` int64 of the states after them.
        order: `(N + 2R,)` int64 places of the sequence's tokens in transitions, states, states after them.
    """

    seen: Tensor
    states: Tensor
    rewards: Tensor
    next_states: Tensor
    continues: Tensor
    next_places: Tensor
    order: Tensor


class TrialSource(TransitionSource):
    """Draws contexts, and transitions that are valued after parts of them: uniformly from all of the task."""

    def __init__(self, config: ICIQLConfig, data: TrainingData, describe: DescribeSeen) -> None:
        """Draw from `data`, of which contexts hold what `describe` says."""
        super().__init__(config, data)
        self._describe = describe

    def draw_after(self, generator: np.random.Generator, tasks: Array, lengths: Array) -> Trials:
        """Contexts of `(B,)` tasks with a transition valued after each of `(R,)` ascending numbers of others."""
        index, there = self.choose_seen(generator, tasks)
        tried = self._data.sample_task_transitions(generator, tasks, len(lengths))
        # Both states of a transition see the same part of the context.
        memory, places, order = self.arrange(there, np.concatenate([lengths, lengths]))
        return Trials(
            memory=memory,
            places=places[: len(lengths)],
            labels=tried.actions,
            counted=tried.mask,
            known=lengths // self._slots,
            seen=self._describe(index),
            states=tried.observations,
            rewards=tried.rewards,
            next_states=tried.next_observations,
            continues=1 - tried.terminated.to(torch.float32),
            next_places=places[len(lengths) :],
            order=order,
        )
