"""The context-aware world model: scales, decoders that must predict with a code of the task, and their losses."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from metabench import Array, Spaces, TrainingData

from .config import MetaDTConfig
from .encoder import Encoder, HistoryEncoder, RecentEncoder, Transitions


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
