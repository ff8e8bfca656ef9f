"""Encoders: codes of a task from transitions."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from metabench import Spaces

from .config import MetaDTConfig

Transitions = dict[str, Tensor]
"""Scaled `observations, actions, rewards, changes` (next observation minus observation), each `(..., size)`."""


class Encoder(nn.Module, ABC):
    """Codes of a task from transitions, in two parts so that a data set's codes cost one pass.

    `evidence` maps each step of an episode to `(..., evidence_dim)` of what came before it in the episode; evidence
    of support adds to it where the encoder reads support; `code` turns evidence into the code.
    """

    evidence_dim: int
    reads_support: bool

    @abstractmethod
    def evidence(self, episodes: Transitions, weights: Tensor | None = None) -> Tensor:
        """`(B, T + 1, evidence_dim)` before each step, and after the last, of `(B, T, size)` transitions.

        With `weights` `(B, T)` each transition stands for so many; only an encoder that reads support can.
        """

    def total(self, episodes: Transitions) -> Tensor:
        """Evidence after all of `(B, T, size)` transitions, `(B, evidence_dim)`: the last of `evidence`."""
        return self.evidence(episodes)[:, -1]

    @abstractmethod
    def code(self, evidence: Tensor) -> Tensor:
        """`(..., code_dim)` codes of `(..., evidence_dim)`."""


class RecentEncoder(Encoder):
    """The paper's: a GRU over the last h transitions (observation, action, reward), zero-padded on the left."""

    reads_support = False

    def __init__(self, config: MetaDTConfig, spaces: Spaces) -> None:
        """Make the layers; Xavier-uniform maps, orthogonal GRU."""
        super().__init__()
        self.horizon, self.evidence_dim = config.context_horizon, config.code_dim
        sizes = {"actions": spaces.action_dim, "observations": spaces.observation_dim, "rewards": 1}
        maps = {name: nn.Linear(size, 16) for name, size in sizes.items()}
        self.maps = nn.ModuleDict(maps)
        self.gru = nn.GRU(48, config.model_width, batch_first=True)
        self.output = nn.Linear(config.model_width, config.code_dim)
        for layer in (*maps.values(), self.output):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        for name, parameter in self.gru.named_parameters():
            (nn.init.orthogonal_ if "weight" in name else nn.init.zeros_)(parameter)

    def evidence(self, episodes: Transitions, weights: Tensor | None = None) -> Tensor:
        """The codes themselves: each reads the h transitions before it, or as many as the episode has had."""
        assert weights is None, "the order of h transitions matters: none stands for others"
        padded = self._padded(episodes)
        windows = padded.unfold(1, self.horizon, 1).transpose(2, 3)  # (B, T + 1, h, 48)
        batch, count, _, size = windows.shape
        return self._read(windows.reshape(-1, self.horizon, size)).view(batch, count, -1)

    def total(self, episodes: Transitions) -> Tensor:
        """The code of the last h transitions: the others are not read."""
        last = {name: values[:, -self.horizon :] for name, values in episodes.items()}
        return self._read(self._padded(last)[:, -self.horizon :])

    def _padded(self, episodes: Transitions) -> Tensor:
        """What the GRU reads of each transition, `(B, h + T, 48)`, after h zeros."""
        steps = torch.cat([torch.relu(layer(episodes[name])) for name, layer in self.maps.items()], dim=-1)
        return torch.cat([steps.new_zeros(len(steps), self.horizon, steps.shape[-1]), steps], dim=1)

    def _read(self, windows: Tensor) -> Tensor:
        """Codes `(n, code_dim)` of `(n, h, 48)` windows."""
        _, last = self.gru(windows)
        output: Tensor = self.output(last[0])
        return output

    def code(self, evidence: Tensor) -> Tensor:
        """Nothing is left to do."""
        return evidence


class HistoryEncoder(Encoder):
    """Reads all transitions of episode and support, in any order.

    Each transition gives a value and a weight a dimension; the code is a function of their weighted mean and total
    weight. Evidence is a sum, so it can be kept running, and support is added to it.
    """

    reads_support = True

    def __init__(self, config: MetaDTConfig, spaces: Spaces) -> None:
        """Make the layers."""
        super().__init__()
        width, self.size = config.model_width, 2 * config.code_dim
        self.evidence_dim = 2 * self.size
        inputs = 2 * spaces.observation_dim + spaces.action_dim + 2
        self.reward_step_scale: Tensor
        self.register_buffer("reward_step_scale", torch.ones(()))
        self.transition = nn.Sequential(
            nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2 * self.size)
        )
        self.output = nn.Sequential(
            nn.Linear(2 * self.size, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, config.code_dim), nn.LayerNorm(config.code_dim),
        )  # fmt: skip

    def evidence(self, episodes: Transitions, weights: Tensor | None = None) -> Tensor:
        """Running sums of weights and weighted values.

        Each transition is read with the change of the reward since the one before (zero for the first): rewards of
        neighbouring places differ by little, and that little tells where the reward grows.
        """
        rewards = episodes["rewards"]
        steps = torch.cat([torch.zeros_like(rewards[:, :1]), rewards.diff(dim=1)], dim=1) * self.reward_step_scale
        inputs = [episodes[name] for name in ("observations", "actions", "rewards", "changes")]
        value, weight = self.transition(torch.cat([*inputs, steps], dim=-1)).chunk(2, dim=-1)
        weight = torch.exp(5.0 * torch.tanh(weight / 5.0))
        if weights is not None:
            weight = weight * weights[..., None]
        total = torch.cat([weight * value, weight], dim=-1).cumsum(dim=1)
        return torch.cat([torch.zeros_like(total[:, :1]), total], dim=1)

    def code(self, evidence: Tensor) -> Tensor:
        """The weighted mean (shrunk to zero by a prior weight of one) and the logarithm of the weight, mapped."""
        value, weight = evidence.chunk(2, dim=-1)
        output: Tensor = self.output(torch.cat([value / (1.0 + weight), torch.log1p(weight)], dim=-1))
        return output
