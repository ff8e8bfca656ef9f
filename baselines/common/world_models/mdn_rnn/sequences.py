"""What an MDN-RNN is trained on: sequences of one task, parts of several episodes one after another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from metabench import Array, TrainingData

from .config import MdnRnnConfig


@dataclass(frozen=True)
class Sequences:
    """T steps of B sequences: segments of a support, then an episode for as long as it goes, then others.

    Attributes:
        observations: `(T, B, S)`.
        actions: `(T, B, A)` features.
        rewards: `(T, B)`.
        next_observations: `(T, B, S)`.
        ends: `(T, B)` floats: 1 where the task ended the episode.
        fresh: `(T, B, 1)` floats: 1 where a step is not one that follows the last.
        support: `(B,)` int64, how many steps are of the support.
    """

    observations: Tensor
    actions: Tensor
    rewards: Tensor
    next_observations: Tensor
    ends: Tensor
    fresh: Tensor
    support: Tensor


def draw_sequences(
    data: TrainingData,
    config: MdnRnnConfig,
    generator: np.random.Generator,
    count: int,
    *,
    from_start: bool = False,
) -> Sequences:
    """Draw sequences of tasks that are drawn themselves.

    Args:
        data: of the tasks, on the device where the sequences go.
        config: of lengths.
        generator: draws.
        count: B.
        from_start: the episode after the support is read from its beginning; else half of them are.
    """
    drawn = [_draw_rows(data, config, generator, from_start) for _ in range(count)]
    rows, fresh, support = (np.stack(each) for each in zip(*drawn, strict=True))
    found = data.transitions(rows.T)

    def place(values: Array | Tensor) -> Tensor:
        return torch.as_tensor(values, device=torch.as_tensor(found.observations).device)

    return Sequences(
        place(found.observations),
        place(found.actions),
        place(found.rewards),
        place(found.next_observations),
        place(found.terminated).float(),
        place(fresh.T[..., None].astype(np.float32)),
        place(support),
    )


def _draw_rows(
    data: TrainingData, config: MdnRnnConfig, generator: np.random.Generator, from_start: bool
) -> tuple[Array, Array, np.int64]:
    """`(T,)` places of transitions, which of them are fresh, and how many are of the support."""
    task = int(generator.integers(data.num_tasks))
    first, last = int(data.task_offsets[task]), int(data.task_offsets[task + 1])
    segments = int(generator.integers(config.support_steps // config.segment + 1))
    rows, total, support, number = [], 0, 0, 0
    while total < config.sequence:
        episode = int(generator.integers(first, last))
        length = int(data.lengths[episode])
        start = int(generator.random() * max(1, length - config.segment + 1))
        if number == segments:
            support = total
            if from_start or generator.random() < 0.5:
                start = 0
        steps = length - start
        if number < segments:
            steps = min(steps, config.segment)
        steps = min(steps, config.sequence - total)
        rows.append(data.columns.offsets[episode] + np.arange(start, start + steps))
        total, number = total + steps, number + 1
    fresh = np.zeros(config.sequence, bool)
    fresh[np.cumsum([0, *map(len, rows[:-1])])] = True
    return np.concatenate(rows), fresh, np.int64(support)
