"""Training contexts: a few episodes of one task's history, in the order of learning."""

from __future__ import annotations

import numpy as np
import torch

from metabench import Array, TrainingData

from .config import ADConfig
from .model import Histories


class HistorySource:
    """Draws contexts of a data set with stages."""

    def __init__(self, config: ADConfig, data: TrainingData) -> None:
        """Draw from `data`, the episodes of which lie in the order of learning."""
        self._config = config
        self._data = data
        self._stride = config.choose_stride(data.spaces.horizon)
        self._slots = config.count_slots(data.spaces.horizon)

    def draw(self, generator: np.random.Generator, count: int) -> Histories:
        """`count` contexts: the steps that a policy would keep, and in one of the episodes steps between them."""
        data = self._data
        tasks = generator.integers(data.num_tasks, size=count)
        chosen = self.choose_episodes(generator, tasks)  # (B, E)
        # What is kept of episodes is what is predicted; a policy acts between kept steps as well.
        asked = int(generator.integers(self._config.episodes)) if self._stride > 1 else None
        numbers, times, memory = self._lay_out(asked)  # (L,)
        between = 1 + generator.integers(max(1, self._stride - 1), size=(count, len(times)))
        times = np.where(memory, times, times + between)  # (B, L)
        episodes = chosen[:, numbers]
        there = times < data.lengths[episodes]
        times = np.where(there, times, 0)
        index = data.columns.offsets[episodes] + times
        steps = data.transitions(index)
        # What came before an episode's first step is the last step of the episode before.
        last = data.columns.offsets[chosen[:, np.maximum(numbers - 1, 0)] + 1] - 1
        before = data.transitions(np.where(times > 0, index - 1, last))
        known = torch.as_tensor((times > 0) | (numbers > 0), device=data.device)
        counted = torch.as_tensor(there, device=data.device)
        return Histories(
            memory=counted & torch.as_tensor(memory, device=data.device),
            places=None,
            labels=steps.actions,
            counted=counted,
            known=numbers,
            observations=steps.observations,
            actions=before.actions * known.unsqueeze(-1),
            rewards=before.rewards * known,
            timesteps=steps.timesteps,
            numbers=torch.as_tensor(numbers, device=data.device).expand(count, -1),
        )

    def choose_episodes(self, generator: np.random.Generator, tasks: Array) -> Array:
        """`(B, E)` ascending episodes of each task, within a stretch of its history; a short one repeats its last."""
        count = self._config.episodes
        first = self._data.task_offsets[tasks]  # (B,)
        size = self._data.task_offsets[tasks + 1] - first
        stretch = np.clip(np.rint(self._config.stretch * size), np.minimum(count, size), size)
        begin = np.floor(generator.random(len(tasks)) * (size - stretch + 1))
        gaps = np.maximum(stretch - count + 1, 1)
        draws = np.sort(generator.random((len(tasks), count)), axis=1)
        place = begin[:, None] + np.floor(draws * gaps[:, None]) + np.arange(count)
        return np.asarray(first[:, None] + np.minimum(place, size[:, None] - 1), np.int64)

    def _lay_out(self, asked: int | None) -> tuple[Array, Array, Array]:
        """Episode number, first timestep and whether it is kept, `(L,)` each, of all tokens in their order."""
        kept = np.arange(self._slots) * self._stride
        numbers, times, memory = [], [], []
        for number in range(self._config.episodes):
            repeats = 2 if number == asked else 1
            times.append(np.repeat(kept, repeats))
            numbers.append(np.full(repeats * self._slots, number))
            memory.append(np.tile([True, False][:repeats], self._slots))
        return np.concatenate(numbers), np.concatenate(times), np.concatenate(memory)
