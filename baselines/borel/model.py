"""The belief over tasks, what is decoded from it, and the model of the training tasks' rewards."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from metabench import Spaces

from ..common.actor_critic.networks import make_layers
from ..common.task_inference.encoder import Context
from .config import BorelConfig

TASK_EMBEDDING = 8
"""Numbers that tell the model of rewards which training task it is."""


class BeliefEncoder(nn.Module):
    """A GRU over transitions whose state is a Gaussian over latent tasks.

    Its state before any transition is zero, and the map to the Gaussian has no bias: the belief of no step is the
    prior, mean 0 and variance 1, exactly.
    """

    def __init__(self, spaces: Spaces, config: BorelConfig) -> None:
        """Make the layers."""
        super().__init__()
        width = config.embedding_width
        inputs = 2 * spaces.observation_dim + spaces.action_dim + 1
        self.embedding = nn.Sequential(*make_layers(inputs, width, 1, width))
        self.memory = nn.GRU(width, config.memory_width, batch_first=True)
        self.belief = nn.Linear(config.memory_width, 2 * config.latent_dim, bias=False)

    def forward(
        self,
        observations: Tensor,
        actions: Tensor,
        rewards: Tensor,
        changes: Tensor,
        memory: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Read scaled transitions, one after another.

        Args:
            observations: `(B, N, observation_dim)`.
            actions: `(B, N, action_dim)` features.
            rewards: `(B, N, 1)`.
            changes: `(B, N, observation_dim)`.
            memory: `(B, memory_width)` after what was read before; None: nothing was.

        Returns:
            Beliefs `(B, N, 2 latent_dim)` after each transition, means beside logarithms of variances; the memory
            `(B, memory_width)` after the last.
        """
        transitions = torch.cat([observations, actions, rewards, changes], dim=-1)
        before = None if memory is None else memory.unsqueeze(0)
        states, last = self.memory(functional.relu(self.embedding(transitions)), before)
        return self.belief(states), last[0]

    def read(self, trajectories: Context) -> Tensor:
        """Beliefs `(B, N + 1, 2 latent_dim)` of all prefixes, from that of no step on."""
        beliefs, _ = self(
            trajectories.observations,
            trajectories.actions,
            trajectories.rewards,
            trajectories.changes,
        )
        return torch.cat([torch.zeros_like(beliefs[:, :1]), beliefs], dim=1)


class LatentNetwork(nn.Module):
    """An MLP on pairs of a latent task and a step, whose first layer sees each of both once and not each pair."""

    def __init__(self, latent_dim: int, inputs: int, width: int, outputs: int) -> None:
        """Two hidden layers; `inputs` counts the numbers of a step."""
        super().__init__()
        self.latent = nn.Linear(latent_dim, width)
        self.step = nn.Linear(inputs, width, bias=False)
        self.layers = nn.Sequential(nn.ReLU(), *make_layers(width, width, 1, outputs))

    def forward(self, latents: Tensor, steps: Tensor) -> Tensor:
        """`(B, P, D, outputs)` of `(B, P, latent_dim)` latent tasks and `(B, D, inputs)` steps."""
        hidden = self.latent(latents).unsqueeze(2) + self.step(steps).unsqueeze(1)
        outputs: Tensor = self.layers(hidden)
        return outputs


class OutcomeDecoder(nn.Module):
    """Reward and change of the observation, of any step of the latent task."""

    def __init__(self, spaces: Spaces, config: BorelConfig) -> None:
        """Make both networks; they share nothing."""
        super().__init__()
        known, width = spaces.observation_dim + spaces.action_dim, config.decoder_width
        latent_dim, changes = config.latent_dim, spaces.observation_dim
        self.reward = LatentNetwork(latent_dim, known + changes, width, 1)
        self.change = LatentNetwork(latent_dim, known, width, changes)

    def forward(
        self, latents: Tensor, observations: Tensor, actions: Tensor, changes: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Rewards `(B, P, D, 1)`, which may depend on what changed, and changes `(B, P, D, observation_dim)`.

        Args:
            latents: `(B, P, latent_dim)`.
            observations: `(B, D, observation_dim)`, scaled.
            actions: `(B, D, action_dim)` features.
            changes: `(B, D, observation_dim)`, scaled.
        """
        known = torch.cat([observations, actions], dim=-1)
        return self.reward(latents, torch.cat([known, changes], dim=-1)), self.change(
            latents, known
        )


class RewardModel(nn.Module):
    """The reward of a transition in each training task, learned from logged ones."""

    def __init__(self, spaces: Spaces, tasks: int, width: int) -> None:
        """Make the layers for so many tasks."""
        super().__init__()
        self.tasks = nn.Embedding(tasks, TASK_EMBEDDING)
        inputs = 2 * spaces.observation_dim + spaces.action_dim + TASK_EMBEDDING
        self.layers = nn.Sequential(*make_layers(inputs, width, 2, 1))

    def forward(
        self, observations: Tensor, actions: Tensor, changes: Tensor, tasks: Tensor
    ) -> Tensor:
        """Scaled rewards `(B, N, 1)` of transitions `(B, N, ...)` in the tasks `(B,)`."""
        told = self.tasks(tasks).unsqueeze(1).expand(-1, observations.shape[1], -1)
        rewards: Tensor = self.layers(torch.cat([observations, actions, changes, told], dim=-1))
        return rewards
