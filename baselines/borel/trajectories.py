"""Trajectories of several episodes of a task, some of them another task's with this one's rewards."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from metabench import Array, TrainingData

from ..common.actor_critic.losses import Transitions
from ..common.task_inference.encoder import Context, Scales
from .config import BorelConfig
from .model import BeliefEncoder, RewardModel

READ_AT_ONCE = 64
"""Trajectories whose beliefs are computed together."""


@dataclass(frozen=True)
class Path:
    """Where the steps of B trajectories are in the data.

    Attributes:
        index: `(B, N)` flat indices of transitions, padded at the end by the last.
        lengths: `(B,)` steps.
        tasks: `(B,)` whose rewards they have.
        relabelled: `(B,)` bool: the steps are another task's.
    """

    index: Array
    lengths: Array
    tasks: Array
    relabelled: Array


class Trajectories:
    """Draws them, and reads what is in them."""

    def __init__(
        self, config: BorelConfig, data: TrainingData, scales: Scales, rewards: RewardModel | None
    ) -> None:
        """Draw from `data`; None relabels nothing."""
        self._config = config
        self._data = data
        self._scales = scales
        self._rewards = rewards

    def draw(self, generator: np.random.Generator, tasks: Array) -> Path:
        """One trajectory for each of `(B,)` tasks: so many episodes, uniform with replacement."""
        data, count = self._data, self._config.episodes
        share = 0.0 if self._rewards is None else self._config.relabelled
        other = generator.random(len(tasks)) < share
        away = generator.integers(1, data.num_tasks, len(tasks))  # steps around the ring of tasks
        sources = np.where(other, (tasks + away) % data.num_tasks, tasks)
        first, last = data.task_offsets[sources], data.task_offsets[sources + 1]
        episodes = generator.integers(first[:, None], last[:, None], (len(tasks), count))
        ends = data.lengths[episodes].cumsum(-1)  # (B, episodes)
        lengths = ends[:, -1]
        place = np.minimum(np.arange(lengths.max()), lengths[:, None] - 1)  # (B, N)
        which = (place[:, :, None] >= ends[:, None, :]).sum(-1)
        chosen = np.take_along_axis(episodes, which, 1)
        into = place - np.take_along_axis(ends - data.lengths[episodes], which, 1)
        return Path(data.columns.offsets[chosen] + into, lengths, tasks, other)

    @torch.no_grad()
    def read(self, path: Path) -> Context:
        """The scaled steps; relabelled ones have the rewards that the model gives them."""
        batch = self._data.transitions(path.index)
        device = batch.rewards.device
        weights = np.arange(path.index.shape[1]) < path.lengths[:, None]
        context = self._scales.make_context(
            batch, torch.as_tensor(weights, dtype=torch.float32, device=device)
        )
        tasks = torch.as_tensor(path.tasks, device=device)
        rewards = context.rewards
        if self._rewards is not None:
            modelled = self._rewards(context.observations, context.actions, context.changes, tasks)
            chosen = torch.as_tensor(path.relabelled, device=device)[:, None, None]
            rewards = torch.where(chosen, modelled, rewards)
        return replace(context, rewards=rewards, tasks=tasks)


class BeliefSteps:
    """Steps of trajectories of every task with the beliefs before and after each, computed once.

    Only indices, rewards and beliefs are kept: 24 bytes and 8 `latent_dim` a step; the rest is looked up in the data.
    """

    def __init__(
        self,
        config: BorelConfig,
        data: TrainingData,
        trajectories: Trajectories,
        encoder: BeliefEncoder,
        generator: np.random.Generator,
    ) -> None:
        """Draw trajectories and read them."""
        self._data = data
        count = count_trajectories(config, data)
        tasks = np.repeat(np.arange(data.num_tasks), count)
        index, following, rows, rewards, beliefs = [], [], [], [], []
        for start in range(0, len(tasks), READ_AT_ONCE):
            path = trajectories.draw(generator, tasks[start : start + READ_AT_ONCE])
            steps = trajectories.read(path)
            real = np.arange(path.index.shape[1]) < path.lengths[:, None]  # (B, N)
            after = np.where(real[:, 1:], path.index[:, 1:], -1)
            after = np.pad(after, ((0, 0), (0, 1)), constant_values=-1)
            index.append(path.index[real])
            following.append(after[real])
            rows.append(np.repeat(start + np.arange(len(path.lengths)), path.lengths))
            rewards.append(steps.rewards[..., 0][torch.as_tensor(real)])
            known = np.pad(real, ((0, 0), (1, 0)), constant_values=True)  # (B, N + 1)
            with torch.no_grad():
                beliefs.append(encoder.read(steps)[torch.as_tensor(known)])
        self._index, self._following = np.concatenate(index), np.concatenate(following)
        self._rows = np.concatenate(rows)
        self._rewards, self._beliefs = torch.cat(rewards), torch.cat(beliefs)

    def draw(self, generator: np.random.Generator, count: int, scales: Scales) -> Transitions:
        """`count` steps, uniform with replacement, as observation, time and belief.

        After an episode that is not the trajectory's last, and that only the horizon ended, comes the first state of
        the next episode: what an episode finds out is worth something in the next.
        """
        chosen = generator.integers(len(self._index), size=count)
        batch = self._data.transitions(self._index[chosen])
        following = self._following[chosen]
        device = batch.rewards.device
        goes_on = torch.as_tensor(following >= 0, device=device)
        after = self._data.transitions(np.maximum(following, 0))
        observation = torch.where(
            goes_on.unsqueeze(-1), after.observations, batch.next_observations
        )
        timestep = torch.where(goes_on, after.timesteps, batch.timesteps + 1)
        # Each trajectory has one belief more than it has steps.
        place = torch.as_tensor(chosen + self._rows[chosen], device=device)
        return Transitions(
            scales.describe_state(batch.observations, batch.timesteps, self._beliefs[place]),
            batch.actions,
            self._rewards[torch.as_tensor(chosen, device=device)],
            scales.describe_state(observation, timestep, self._beliefs[place + 1]),
            1.0 - batch.terminated.to(torch.float32),
        )


def count_trajectories(config: BorelConfig, data: TrainingData) -> int:
    """How many of each task are kept."""
    steps = data.num_tasks * config.episodes * data.spaces.horizon
    return max(1, min(config.kept_trajectories, config.kept_steps // steps))
