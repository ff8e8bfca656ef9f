"""The encoder: one embedding a transition, and their mean as the task's code."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from metabench import Spaces, TrainingData, Windows

from ..actor_critic.networks import make_layers
from .config import TaskInferenceConfig


@dataclass(frozen=True)
class Context:
    """Scaled transitions of B tasks, N of each.

    Attributes:
        observations: `(B, N, observation_dim)`, of mean 0 and deviation 1 in the training data.
        actions: `(B, N, action_dim)` features.
        rewards: `(B, N, 1)`, of deviation 1.
        changes: `(B, N, observation_dim)` of the observation by the action, of deviation 1.
        weights: `(B, N)`, 1 where a transition belongs to the context, 0 where it does not.
        tasks: `(B,)` int64.
    """

    observations: Tensor
    actions: Tensor
    rewards: Tensor
    changes: Tensor
    weights: Tensor
    tasks: Tensor


class Scales(nn.Module):
    """Statistics of the training data, which every input is scaled by."""

    def __init__(self, spaces: Spaces) -> None:
        """Scales of 1, until `fit`."""
        super().__init__()
        for name in ("mean", "deviation", "change"):
            self.register_buffer(name, torch.ones(spaces.observation_dim))
        self.register_buffer("reward", torch.ones(()))
        self.horizon = spaces.horizon

    def fit(self, data: TrainingData) -> None:
        """Take the deviations of `data`; what does not vary is left as it is."""
        mean, deviation = data.observation_statistics
        self.get_buffer("mean").copy_(torch.as_tensor(mean))
        self.get_buffer("deviation").copy_(torch.as_tensor(deviation))
        columns = data.columns
        last = columns.offsets[1:] + range(
            len(columns.offsets) - 1
        )  # rows of observations after an episode's last step
        change = torch.as_tensor(columns.observations[1:] - columns.observations[:-1])
        within = torch.ones(len(change), dtype=torch.bool)
        within[torch.as_tensor(last[:-1])] = False  # from one episode's end to the next one's start
        self.get_buffer("change").copy_(_floor(change[within].std(0)))
        rewards = torch.tensor(columns.rewards, dtype=torch.float32)
        self.get_buffer("reward").copy_(_floor(rewards.std()))

    def scale_observation(self, observation: Tensor) -> Tensor:
        """To mean 0 and deviation 1."""
        return (observation - self.get_buffer("mean")) / self.get_buffer("deviation")

    def scale_change(self, before: Tensor, after: Tensor) -> Tensor:
        """What a step changed, to deviation 1."""
        return (after - before) / self.get_buffer("change")

    def describe_state(self, observation: Tensor, timestep: Tensor, code: Tensor) -> Tensor:
        """What actor and critics see, `(B, observation_dim + 1 + code_dim)`: the time that is left counts, too."""
        elapsed = timestep.to(observation.dtype).unsqueeze(-1) / self.horizon
        return torch.cat([self.scale_observation(observation), elapsed, code], dim=-1)

    def make_context(self, batch: Windows, weights: Tensor) -> Context:
        """Scale `(B, N)` transitions, all of row i of one task."""
        return Context(
            self.scale_observation(batch.observations),
            batch.actions,
            (batch.rewards / self.get_buffer("reward")).unsqueeze(-1),
            self.scale_change(batch.observations, batch.next_observations),
            weights,
            batch.tasks[:, 0],
        )


def _floor(deviation: Tensor) -> Tensor:
    """A deviation to divide by: 1 where nothing varies."""
    return torch.where(deviation > 1e-6, deviation, torch.ones_like(deviation))


class ContextEncoder(nn.Module):
    """An MLP on each transition, whose outputs between -1 and 1 are averaged: the order of transitions is nothing."""

    def __init__(self, spaces: Spaces, config: TaskInferenceConfig) -> None:
        """Make the layers."""
        super().__init__()
        self.next_observation = config.next_observation
        inputs = spaces.observation_dim + spaces.action_dim + 1
        inputs += spaces.observation_dim if config.next_observation else 0
        self.layers = nn.Sequential(
            *make_layers(inputs, config.encoder_width, config.encoder_depth, config.code_dim)
        )

    def forward(
        self, observations: Tensor, actions: Tensor, rewards: Tensor, changes: Tensor
    ) -> Tensor:
        """`(..., code_dim)` embeddings of scaled transitions `(..., size)`."""
        parts = [observations, actions, rewards]
        if self.next_observation:
            parts.append(changes)
        embeddings: Tensor = torch.tanh(self.layers(torch.cat(parts, dim=-1)))
        return embeddings

    def embed(self, context: Context) -> Tensor:
        """`(B, N, code_dim)` embeddings."""
        embeddings: Tensor = self(
            context.observations, context.actions, context.rewards, context.changes
        )
        return embeddings


def average(embeddings: Tensor, weights: Tensor) -> Tensor:
    """Codes `(B, code_dim)`: means over the transitions that count; zero of none."""
    total = (embeddings * weights.unsqueeze(-1)).sum(-2)
    return total / weights.sum(-1, keepdim=True).clamp(min=1)


def count_parameters(*modules: nn.Module) -> int:
    """Trained numbers of some modules."""
    return sum(math.prod(each.shape) for module in modules for each in module.parameters())
