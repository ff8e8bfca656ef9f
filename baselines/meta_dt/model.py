"""The context-aware world model: a code of the task from transitions, and decoders that must predict with it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from metabench import Array, Spaces, TrainingData

from .config import MetaDTConfig

Transitions = dict[str, Tensor]
"""Scaled `observations, actions, rewards, changes` (next observation minus observation), each `(..., size)`."""


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
        for name, size in (("observation", observation_dim), ("change", observation_dim), ("reward", 1)):
            self.register_buffer(f"{name}_mean", torch.zeros(size))
            self.register_buffer(f"{name}_deviation", torch.ones(size))

    def measure(self, data: TrainingData) -> None:
        """Take means and deviations of `data` (without a device)."""
        columns = data.columns
        index = np.arange(data.num_transitions) + data.transition_episodes
        before, after = columns.observations[index], columns.observations[index + 1]
        values = {"observation": before, "change": after - before, "reward": columns.rewards[:, None]}
        for name, value in values.items():
            getattr(self, f"{name}_mean").copy_(torch.as_tensor(value.mean(axis=0, dtype=np.float64)))
            deviation = np.maximum(value.std(axis=0, dtype=np.float64), 1e-6)
            getattr(self, f"{name}_deviation").copy_(torch.as_tensor(deviation))

    def forward(self, observations: Any, actions: Any, rewards: Any, next_observations: Any) -> Transitions:
        """Scale raw `(..., size)` arrays, `rewards` `(...,)`; actions are features already."""
        device = self.reward_mean.device
        raw = [torch.as_tensor(x, dtype=torch.float32, device=device) for x in (observations, next_observations)]
        reward = torch.as_tensor(rewards, dtype=torch.float32, device=device)[..., None]
        return {
            "observations": (raw[0] - self.observation_mean) / self.observation_deviation,
            "actions": torch.as_tensor(actions, dtype=torch.float32, device=device),
            "rewards": (reward - self.reward_mean) / self.reward_deviation,
            "changes": (raw[1] - raw[0] - self.change_mean) / self.change_deviation,
        }


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


class Decoders(nn.Module):
    """Reward decoder and transition decoder of transitions in the task of a code."""

    def __init__(self, config: MetaDTConfig, spaces: Spaces) -> None:
        """Make the networks."""
        super().__init__()
        width, size = config.model_width, spaces.observation_dim
        inputs = size + spaces.action_dim + config.code_dim
        self.linear = config.linear_reward
        outputs = config.code_dim + 1 if self.linear else 1
        self.reward = _decoder(inputs + size - config.code_dim * self.linear, width, outputs)
        self.transition = _decoder(inputs, width, size)

    def forward(self, transitions: Transitions, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Scaled rewards `(..., 1)`, given the true change, and changes `(..., observation_dim)`."""
        inputs = [transitions["observations"], transitions["actions"], codes]
        return self._reward(transitions, codes), self.transition(torch.cat(inputs, dim=-1))

    def _reward(self, transitions: Transitions, codes: Tensor) -> Tensor:
        inputs = [transitions["observations"], transitions["actions"], transitions["changes"]]
        if not self.linear:
            inputs.insert(2, codes)
        output: Tensor = self.reward(torch.cat(inputs, dim=-1))
        if self.linear:
            features, constant = output[..., :-1], output[..., -1:]
            output = (features * codes).sum(dim=-1, keepdim=True) + constant
        return output

    @torch.no_grad()
    def relabelled(self, transitions: Transitions, codes: Tensor, own: Tensor | None) -> Transitions:
        """The same observations and actions, with changes and rewards as the codes' tasks would give them.

        With the `own` codes of the tasks that they were logged in, what those do not explain of them stays: a change is
        the logged one plus the difference that the task makes, and so is a reward.
        """
        before = torch.cat([transitions["observations"], transitions["actions"]], dim=-1)
        change = self.transition(torch.cat([before, codes], dim=-1))
        if own is not None:
            change = transitions["changes"] + change - self.transition(torch.cat([before, own], dim=-1))
        changed = {**transitions, "changes": change}
        reward = self._reward(changed, codes)
        if own is not None:
            reward = transitions["rewards"] + reward - self._reward(transitions, own)
        return {**changed, "rewards": reward}


class TaskTable(nn.Module):
    """A free code for every training task, with decoders of its own: what relabelling predicts by."""

    def __init__(self, config: MetaDTConfig, spaces: Spaces, tasks: int) -> None:
        """Make an embedding of `tasks` codes."""
        super().__init__()
        self.codes = nn.Embedding(tasks, config.code_dim)
        self.decoders = Decoders(config, spaces)


class WorldModel(nn.Module):
    """Encoder and decoders."""

    def __init__(self, config: MetaDTConfig, spaces: Spaces) -> None:
        """Make the networks."""
        super().__init__()
        self.config = config
        self.scales = TransitionScales(spaces.observation_dim)
        self.encoder: Encoder = (RecentEncoder if config.history == "recent" else HistoryEncoder)(config, spaces)
        self.decoders = Decoders(config, spaces)

    def measure(self, data: TrainingData) -> None:
        """Take the scales of `data` (without a device)."""
        self.scales.measure(data)
        if isinstance(self.encoder, HistoryEncoder):
            steps = np.diff(data.columns.rewards)[data.transition_episodes[1:] == data.transition_episodes[:-1]]
            deviation = max(float(steps.std(dtype=np.float64)), 1e-6) if len(steps) else 1.0
            self.encoder.reward_step_scale.copy_(self.scales.reward_deviation[0] / deviation)

    def loss(self, transitions: Transitions, codes: Tensor) -> Tensor:
        """Mean of the errors that the configuration's `decoders` asks for."""
        reward, change = squared_errors(self.decoders, transitions, codes)
        parts = {"reward": reward, "transition": change, "both": reward + change}
        return parts[self.config.decoders].mean()

    @torch.no_grad()
    def surprise(self, transitions: Transitions, codes: Tensor) -> Tensor:
        """What the complementary prompt is chosen by: absolute error a step `(...,)`, decoders added, scaled units."""
        reward, change = (error.sqrt() for error in squared_errors(self.decoders, transitions, codes))
        return {"reward": reward, "transition": change, "both": reward + change}[self.config.decoders]


def squared_errors(decoders: Decoders, transitions: Transitions, codes: Tensor) -> tuple[Tensor, Tensor]:
    """Squared errors of reward and (mean over dimensions) transition, each `(...,)`, in scaled units."""
    reward, change = decoders(transitions, codes)
    return (reward - transitions["rewards"])[..., 0] ** 2, ((change - transitions["changes"]) ** 2).mean(dim=-1)


def _decoder(inputs: int, width: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, outputs)
    )


@torch.no_grad()
def dataset_evidence(model: WorldModel, data: TrainingData, transitions: int = 4096) -> tuple[Array, Array]:
    """Evidence before each transition `(N, evidence_dim)` and after each whole episode `(E, evidence_dim)`.

    So many whole episodes are read at once as have about `transitions` steps: that bounds memory, and what fits the
    processor's cache is twice as fast. The result does not depend on it.
    """
    encoder = model.encoder
    before = np.zeros((data.num_transitions, encoder.evidence_dim), np.float32)
    after = np.zeros((data.num_episodes, encoder.evidence_dim), np.float32)
    longest = int(data.lengths.max())
    batch = max(1, transitions // longest)
    for first in range(0, data.num_episodes, batch):
        episodes = np.arange(first, min(first + batch, data.num_episodes))
        lengths = data.lengths[episodes]
        steps = np.minimum(np.arange(longest), lengths[:, None] - 1)  # padding repeats the last step and is not used
        index = data.columns.offsets[episodes][:, None] + steps
        values = encoder.evidence(gather(model, data, index)).cpu().numpy()
        within = np.arange(longest) < lengths[:, None]
        before[index[within]] = values[:, :-1][within]
        after[episodes] = values[np.arange(len(episodes)), lengths]
    return before, after


def gather(model: WorldModel, data: TrainingData, index: Array) -> Transitions:
    """Scaled transitions by flat index `(...,)`."""
    rows = data.transitions(index)
    scaled: Transitions = model.scales(rows.observations, rows.actions, rows.rewards, rows.next_observations)
    return scaled
