"""What an update reads: windows of some tasks, and support segments of the same tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from metabench import Array, DataError, Spaces, TrainingData, Windows

from ..config import TWMConfig
from ..model.world_model import Sequences, Support
from .relabelling import TaskRewards


class BalancedSampler:
    """Draws items, those used less often first: item i with probability proportional to exp(-uses_i / temperature)."""

    def __init__(
        self,
        size: int,
        temperature: float = 20.0,
        rule: Literal["balanced", "uniform", "nearly-uniform"] = "balanced",
    ) -> None:
        """Begin with `size` unused items.

        Args:
            size: number of items.
            temperature: uses that make an item e times less likely.
            rule: as above, uniform, or proportional to 1 - uses_i / all uses.
        """
        self.temperature, self.rule = temperature, rule
        self.uses = np.zeros(size, np.int64)

    def grow(self, size: int) -> None:
        """Add unused items until there are `size`."""
        self.uses = np.concatenate([self.uses, np.zeros(max(0, size - len(self.uses)), np.int64)])

    def probabilities(self, first: int = 0, stop: int | None = None) -> Array:
        """`(stop - first,)` probabilities of the first item of a draw from items `first` to `stop`."""
        uses = self.uses[first:stop]
        if self.rule == "uniform":
            weights = np.ones(len(uses))
        elif self.rule == "nearly-uniform":
            weights = 1.0 - uses / max(1, uses.sum())
            weights = weights if weights.any() else np.ones(len(uses))
        else:
            weights = np.exp((uses.min(initial=0) - uses) / self.temperature)
        return np.asarray(weights / weights.sum())

    def draw(
        self, generator: np.random.Generator, count: int, first: int = 0, stop: int | None = None
    ) -> Array:
        """`(count,)` different items from `first` to `stop`, or all of them repeatedly if they are fewer; now used."""
        chances = self.probabilities(first, stop)
        with np.errstate(divide="ignore"):
            # Gumbel noise on log-probabilities: the order of draws without replacement.
            order = np.argsort(-(np.log(chances) + generator.gumbel(size=len(chances))))
        drawn = first + np.resize(order, count)
        np.add.at(self.uses, drawn, 1)
        return drawn

    def state_dict(self) -> dict[str, Any]:
        """How often each item was used."""
        return {"uses": self.uses.copy()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Put back what `state_dict` returned."""
        self.uses = np.asarray(state_dict["uses"], np.int64)


@dataclass(frozen=True)
class WindowBatch:
    """Windows and their support.

    Attributes:
        windows: `(B, T)` steps.
        support: what is pinned for them, or None.
        startable: `(B, T)` bool: enough of the episode lies before the step to imagine from it.
        reward_map: `(B, anchors)` rewards of the anchors in each window's task, or None.
    """

    windows: Sequences
    support: Support | None
    startable: Tensor
    reward_map: Tensor | None = None


class BatchSource:
    """Draws batches from training data."""

    def __init__(
        self,
        config: TWMConfig,
        data: TrainingData,
        device: str,
        task_rewards: TaskRewards | None = None,
    ) -> None:
        """Prepare drawing; `task_rewards` rewrites rewards, if the configuration wants that.

        Raises:
            DataError: every episode is too short to imagine after `burn_in` of its steps.
        """
        longest = int(data.lengths.max()) if data.num_episodes else 0
        if longest <= config.burn_in:
            raise DataError(
                f"{data.suite_name or 'the data'}: the longest episode has {longest} steps, shorter than the context: "
                f"expected more than burn_in = {config.burn_in}; take burn_in < {max(longest, 1)}"
            )
        self._config, self._data, self._device = config, data, device
        self._task_rewards = task_rewards
        self._placed = data.to(device)
        self.sampler = BalancedSampler(
            data.num_episodes, config.sampling_temperature, config.sampling
        )

    def draw(self, generator: np.random.Generator) -> WindowBatch:
        """A batch of `tasks_per_update * windows_per_task` windows."""
        config, data = self._config, self._data
        groups, each, count = config.tasks_per_update, config.windows_per_task, config.segments
        tasks = np.resize(generator.permutation(data.num_tasks), groups)
        episodes, others = [], []
        for task in tasks:
            first, stop = data.task_offsets[task], data.task_offsets[task + 1]
            chosen = self.sampler.draw(generator, each, int(first), int(stop))
            left = np.setdiff1d(np.arange(first, stop), chosen)
            pool = generator.permutation(left if len(left) else np.arange(first, stop))
            episodes.append(chosen)
            others.append(
                np.resize(pool[: generator.integers(1, count + 1)], count) if count else pool[:0]
            )
        windows, timesteps = self._gather(
            np.concatenate(episodes), config.window, generator, config.first_share
        )
        pretended = np.where(
            generator.random(groups) < config.relabelled,
            generator.integers(data.num_tasks, size=groups),
            tasks,
        )
        windows = self._relabel(windows, np.repeat(tasks, each), np.repeat(pretended, each))
        startable = find_startable_steps(windows, timesteps, config, data.spaces)
        support = None
        if count:
            segments, _ = self._gather(np.concatenate(others), config.segment_steps, generator)
            segments.ended[:, -1] = True
            segments = self._relabel(segments, np.repeat(tasks, count), np.repeat(pretended, count))
            hidden = np.arange(count) >= generator.integers(1, count + 1, size=(groups * each, 1))
            hidden |= generator.random((groups * each, 1)) < config.support_dropout
            support = Support(segments, count, torch.as_tensor(hidden, device=self._device))
        reward_map = None
        if self._task_rewards is not None and config.reward_map:
            reward_map = self._task_rewards.map[
                torch.as_tensor(np.repeat(pretended, each), device=self._device)
            ]
        return WindowBatch(windows, support, startable, reward_map)

    def _relabel(self, steps: Sequences, own: Array, other: Array) -> Sequences:
        if self._task_rewards is None:
            return steps
        tasks = (torch.as_tensor(part, device=self._device) for part in (own, other))
        return self._task_rewards.relabel(steps, *tasks)

    def transitions(self, generator: np.random.Generator, count: int) -> Windows:
        """`count` single transitions of all tasks."""
        return self._placed.transitions(generator.integers(self._data.num_transitions, size=count))

    def _gather(
        self, episodes: Array, length: int, generator: np.random.Generator, first_share: float = 0.0
    ) -> tuple[Sequences, Tensor]:
        """Windows of `length` steps of `episodes`, at random places; and the timesteps of their steps."""
        latest = np.maximum(self._data.lengths[episodes] - length, 0)
        starts = (generator.random(len(episodes)) * (latest + 1)).astype(np.int64)
        starts[generator.random(len(episodes)) < first_share] = 0
        return gather_windows(self._data, self._placed, episodes, starts, length)


def find_startable_steps(
    windows: Sequences, timesteps: Tensor, config: TWMConfig, spaces: Spaces
) -> Tensor:
    """Where imagination may begin, `(B, T)` bool; somewhere in every window.

    Enough of the episode lies before in the window, or all of it; and it ends before the suite's horizon, beyond which
    neither model nor critic has seen anything.
    """
    real = windows.episodes >= 0
    passed = real.cumsum(dim=1) - 1
    whole = timesteps == passed  # the window holds the episode from its first step on
    return (
        real
        & (whole | (passed >= config.burn_in))
        & (timesteps <= max(0, spaces.horizon - 1 - config.horizon))
    )


def gather_windows(
    data: TrainingData, placed: TrainingData, episodes: Array, starts: Array, length: int
) -> tuple[Sequences, Tensor]:
    """Windows of `length` steps from `starts` on, left-padded; and the timesteps of their steps, `(B, length)`.

    Args:
        data: the data.
        placed: the same on a device.
        episodes: `(B,)` episode of each window.
        starts: `(B,)` first step of each window.
        length: steps.
    """
    windows = placed.windows(episodes, starts, length)
    device = windows.mask.device
    last = torch.as_tensor(data.lengths[episodes] - 1, device=device)[:, None]
    terminated = torch.as_tensor(np.array(data.columns.terminated[episodes]), device=device)[
        :, None
    ]
    ended = (windows.timesteps == last) & windows.mask
    sequences = Sequences(
        observations=torch.cat([windows.observations, windows.next_observations[:, -1:]], dim=1),
        actions=windows.actions,
        rewards=windows.rewards,
        terminated=ended & terminated,
        ended=ended,
        episodes=windows.mask.long() - 1,
        next_known=torch.ones_like(ended),
    )
    return sequences, windows.timesteps
