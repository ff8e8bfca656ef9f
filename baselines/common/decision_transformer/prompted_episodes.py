"""How many windows have prompts, and of which episodes: others of the task, its best, or the best of a support."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from metabench import Array, Episode, TrainingData

from .config import TransformerConfig

BEST = 3
"""How many episodes `top-return` chooses from."""

ChooseSources = Callable[[np.random.Generator, Array], Array]
"""For each of `(B,)` episodes another of its task."""


def choose_sources(data: TrainingData, kind: Literal["any", "top-return"]) -> ChooseSources:
    """Episodes that prompts of windows of `(B,)` episodes are taken from, never those themselves."""

    def choose_any(generator: np.random.Generator, episodes: Array) -> Array:
        return data.sample_same_task(generator, episodes, 1)[:, 0]

    if kind == "any":
        return choose_any
    order = np.lexsort((-data.episode_returns, data.columns.tasks))
    offsets = data.task_offsets  # the best episode of task m stands at `offsets[m]` of `order`

    def choose_best(generator: np.random.Generator, episodes: Array) -> Array:
        tasks = data.columns.tasks[episodes]
        last = offsets[tasks + 1] - 1
        chosen = order[np.minimum(offsets[tasks] + generator.integers(BEST, size=len(tasks)), last)]
        # An episode that is one of the best three itself gets the fourth in its own place.
        fourth = order[np.minimum(offsets[tasks] + BEST, last)]
        return np.asarray(np.where(chosen == episodes, fourth, chosen))

    return choose_best


def choose_best_episodes(episodes: Sequence[Episode], count: int = BEST) -> list[Episode]:
    """The `count` of the highest return, in the order in which they were; of equal ones the earlier."""
    returns = [float(episode.rewards.sum(dtype=np.float64)) for episode in episodes]
    best = sorted(range(len(episodes)), key=lambda place: -returns[place])[:count]
    return [episodes[place] for place in sorted(best)]


def count_plain(config: TransformerConfig, update: int) -> int:
    """How many windows of an update have no support."""
    if config.prompt_schedule == "after-warmup":
        return config.batch_size if update <= config.prompt_warmup * config.updates else 0
    return round(config.batch_size * config.prompt_dropout)
