"""The world model's networks: scales of transitions, the context encoder, decoders that predict with a code."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from metabench import Array, Spaces, TrainingData

from .config import MetaDTConfig

Transitions = dict[str, Tensor]
"""Scaled `observations, actions, rewards, changes` (next observation minus observation), `next_observations`.

Each is `(..., size)`.
"""


class TransitionScales(nn.Module):
    """Scales of the world model's inputs and targets, from training data; part of its saved state."""

    observation_mean: Tensor
    observation_deviation: Tensor
    change_mean: Tensor
    change_deviation: Tensor
    reward_mean: Tensor
    reward_deviation: Tensor

    def __init__(self, observation_dim: int) -> None:
        """Make buffers; `measure` fills them."""
        super().__init__()
        for name, size in (
            ("observation", observation_dim),
            ("change", observation_dim),
            ("reward", 1),
        ):
            self.register_buffer(f"{name}_mean", torch.zeros(size))
            self.register_buffer(f"{name}_deviation", torch.ones(size))

    def measure(self, data: TrainingData) -> None:
        """Take means and deviations of `data` (without a device)."""
        columns = data.columns
        # An episode of T transitions has T + 1 observations, so the observation before transition n is further down
        # by as many rows as there are episodes before its own.
        index = np.arange(data.num_transitions) + data.transition_episodes
        before, after = columns.observations[index], columns.observations[index + 1]
        values = {
            "observation": before,
            "change": after - before,
            "reward": columns.rewards[:, None],
        }
        for name, value in values.items():
            mean = value.mean(axis=0, dtype=np.float64)
            getattr(self, f"{name}_mean").copy_(torch.as_tensor(mean))
            # What never changes is divided by a small number, not by 0.
            deviation = np.maximum(value.std(axis=0, dtype=np.float64), 1e-6)
            getattr(self, f"{name}_deviation").copy_(torch.as_tensor(deviation))

    def forward(
        self, observations: Any, actions: Any, rewards: Any, next_observations: Any
    ) -> Transitions:
        """Scale raw `(..., size)` arrays, `rewards` `(...,)`; actions are features already."""
        device = self.reward_mean.device
        before, after = (
            torch.as_tensor(x, dtype=torch.float32, device=device)
            for x in (observations, next_observations)
        )
        reward = torch.as_tensor(rewards, dtype=torch.float32, device=device)[..., None]  # (..., 1)
        return {
            "observations": (before - self.observation_mean) / self.observation_deviation,
            "actions": torch.as_tensor(actions, dtype=torch.float32, device=device),
            "rewards": (reward - self.reward_mean) / self.reward_deviation,
            "changes": (after - before - self.change_mean) / self.change_deviation,
            "next_observations": (after - self.observation_mean) / self.observation_deviation,
        }


def gather_transitions(scales: TransitionScales, data: TrainingData, index: Array) -> Transitions:
    """Scaled transitions by flat index `(...,)`."""
    rows = data.transitions(index)
    scaled: Transitions = scales(
        rows.observations, rows.actions, rows.rewards, rows.next_observations
    )
    return scaled


def gather_steps(
    scales: TransitionScales, data: TrainingData, episodes: Array, steps: Array
) -> Transitions:
    """Transitions `(B, n, size)` at `(B, n)` steps of `(B,)` episodes; steps beyond an end are the last."""
    within = np.minimum(steps, data.lengths[episodes][:, None] - 1)
    return gather_transitions(scales, data, data.columns.offsets[episodes][:, None] + within)


class ContextEncoder(nn.Module):
    """Codes of the task: a GRU over the last h transitions (observation, action, reward), zero-padded on the left."""

    def __init__(self, config: MetaDTConfig, spaces: Spaces) -> None:
        """Make the layers; Xavier-uniform maps, orthogonal GRU."""
        super().__init__()
        self.horizon = config.context_horizon
        sizes = {"actions": spaces.action_dim, "observations": spaces.observation_dim, "rewards": 1}
        maps = {name: nn.Linear(size, 16) for name, size in sizes.items()}
        self.maps = nn.ModuleDict(maps)
        self.gru = nn.GRU(48, config.model_width, batch_first=True)  # 48: three maps of 16
        self.output = nn.Linear(config.model_width, config.code_dim)
        for layer in (*maps.values(), self.output):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        for name, parameter in self.gru.named_parameters():
            initialise = nn.init.orthogonal_ if "weight" in name else nn.init.zeros_
            initialise(parameter)

    def forward(self, episodes: Transitions) -> Tensor:
        """Codes `(B, T + 1, code_dim)` before each of `(B, T, size)` transitions, and after the last.

        Each reads the h transitions before it, or as many as the episode has had, after zeros.
        """
        padded = self._embed_and_pad(episodes)  # (B, h + T, 48)
        windows = padded.unfold(1, self.horizon, 1).transpose(2, 3)  # (B, T + 1, h, 48)
        batch, count, _, size = windows.shape
        return self._read_windows(windows.reshape(-1, self.horizon, size)).view(batch, count, -1)

    def encode_last(self, episodes: Transitions) -> Tensor:
        """The code `(B, code_dim)` after the last of `(B, T, size)` transitions; more than h are not read."""
        last = {name: values[:, -self.horizon :] for name, values in episodes.items()}
        return self._read_windows(self._embed_and_pad(last)[:, -self.horizon :])

    def _embed_and_pad(self, episodes: Transitions) -> Tensor:
        """What the GRU reads of each transition, `(B, h + T, 48)`, after h zeros."""
        parts = [torch.relu(layer(episodes[name])) for name, layer in self.maps.items()]
        steps = torch.cat(parts, dim=-1)  # (B, T, 48)
        # Zeros stand in for embedded transitions, not for raw ones: a raw zero would be a transition like any other.
        return torch.cat([steps.new_zeros(len(steps), self.horizon, steps.shape[-1]), steps], dim=1)

    def _read_windows(self, windows: Tensor) -> Tensor:
        """Codes `(n, code_dim)` of `(n, h, 48)` windows."""
        _, last = self.gru(windows)  # (1, n, model_width)
        output: Tensor = self.output(last[0])
        return output


class Decoders(nn.Module):
    """Reward decoder and transition decoder of transitions in the task of a code."""

    def __init__(self, config: MetaDTConfig, spaces: Spaces) -> None:
        """Make the networks."""
        super().__init__()
        size, actions, width = spaces.observation_dim, spaces.action_dim, config.model_width
        self.encoded = config.decoder_inputs == "encoded"
        seen, done = (16, 16) if self.encoded else (size, actions)
        if self.encoded:
            self.observation_map = nn.Linear(size, 16)  # of observation and next observation alike
            self.action_map = nn.Linear(actions, 16)
        inputs = seen + done + config.code_dim
        self.reward = build_decoder(inputs + seen, width, 1)
        self.transition = build_decoder(inputs, width, size)

    def forward(self, transitions: Transitions, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Scaled rewards `(..., 1)`, given the true change, and changes `(..., observation_dim)`."""
        observations, actions = transitions["observations"], transitions["actions"]
        if self.encoded:
            observations = torch.relu(self.observation_map(observations))
            actions = torch.relu(self.action_map(actions))
            after = torch.relu(self.observation_map(transitions["next_observations"]))
        else:
            after = transitions["changes"]
        before = [observations, actions, codes]
        reward = self.reward(torch.cat([*before, after], dim=-1))
        return reward, self.transition(torch.cat(before, dim=-1))


def build_decoder(inputs: int, width: int, outputs: int) -> nn.Module:
    """Two hidden layers."""
    return nn.Sequential(
        nn.Linear(inputs, width),
        nn.ReLU(),
        nn.Linear(width, width),
        nn.ReLU(),
        nn.Linear(width, outputs),
    )
