"""The world model: codes of everything seen in a task, in any order, and decoders that can relabel transitions."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from metabench import Array, Spaces, TrainingData

from ..meta_dt.model import Transitions, TransitionScales, build_decoder, gather_transitions
from ..meta_dt.world_model import TRANSITIONS_AT_ONCE, TaskCodeModel, batch_episodes
from .config import MetaDTPlusConfig


class HistoryEncoder(nn.Module):
    """Reads all transitions of episode and support, in any order.

    Each transition gives a value and a weight a dimension; the code is a function of their weighted mean and total
    weight. Evidence is a sum, so it can be kept running, and support is added to it.
    """

    def __init__(self, config: MetaDTPlusConfig, spaces: Spaces) -> None:
        """Make the layers."""
        super().__init__()
        width, size = config.model_width, 2 * config.code_dim
        self.evidence_dim = 2 * size
        inputs = 2 * spaces.observation_dim + spaces.action_dim + 2
        self.reward_step_scale: Tensor
        self.register_buffer("reward_step_scale", torch.ones(()))
        self.transition = nn.Sequential(
            nn.Linear(inputs, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, 2 * size),
        )
        self.output = nn.Sequential(
            nn.Linear(2 * size, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, config.code_dim), nn.LayerNorm(config.code_dim),
        )  # fmt: skip

    def gather_evidence(self, episodes: Transitions, weights: Tensor | None = None) -> Tensor:
        """Running sums of weights and weighted values before each transition, and after the last.

        Each transition is read with the change of the reward since the one before (zero for the first): rewards of
        neighbouring places differ by little, and that little tells where the reward grows.

        Args:
            episodes: `(B, T, size)` transitions.
            weights: `(B, T)` each transition stands for so many; None: for one.

        Returns:
            `(B, T + 1, evidence_dim)`.
        """
        rewards = episodes["rewards"]
        steps = torch.cat(
            [torch.zeros_like(rewards[:, :1]), rewards.diff(dim=1)], dim=1
        )  # (B, T, 1)
        steps = steps * self.reward_step_scale
        inputs = [episodes[name] for name in ("observations", "actions", "rewards", "changes")]
        read = self.transition(torch.cat([*inputs, steps], dim=-1))
        value, weight = read.chunk(2, dim=-1)  # (B, T, 2 * code_dim) each
        weight = torch.exp(
            5.0 * torch.tanh(weight / 5.0)
        )  # between exp(-5) and exp(5): no transition counts for all
        if weights is not None:
            weight = weight * weights[..., None]
        total = torch.cat([weight * value, weight], dim=-1).cumsum(dim=1)  # (B, T, evidence_dim)
        return torch.cat([torch.zeros_like(total[:, :1]), total], dim=1)

    def compute_codes(self, evidence: Tensor) -> Tensor:
        """Codes `(..., code_dim)`: the weighted mean and the logarithm of the weight, mapped.

        A prior weight of one shrinks the mean to zero where little was read.
        """
        value, weight = evidence.chunk(2, dim=-1)
        read = torch.cat(
            [value / (1.0 + weight), torch.log1p(weight)], dim=-1
        )  # (..., evidence_dim)
        output: Tensor = self.output(read)
        return output


class HistoryDecoders(nn.Module):
    """Reward decoder and transition decoder of transitions in the task of a code; both can relabel."""

    def __init__(self, config: MetaDTPlusConfig, spaces: Spaces) -> None:
        """Make the networks."""
        super().__init__()
        width, size = config.model_width, spaces.observation_dim
        before = size + spaces.action_dim
        self.linear = config.linear_reward
        if self.linear:  # features of the transition, weighted by the code, and a constant
            self.reward = build_decoder(before + size, width, config.code_dim + 1)
        else:
            self.reward = build_decoder(before + config.code_dim + size, width, 1)
        self.transition = build_decoder(before + config.code_dim, width, size)

    def forward(self, transitions: Transitions, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Scaled rewards `(..., 1)`, given the true change, and changes `(..., observation_dim)`."""
        return self._predict_reward(transitions, codes), self._predict_change(transitions, codes)

    def _predict_change(self, transitions: Transitions, codes: Tensor) -> Tensor:
        before = [transitions["observations"], transitions["actions"], codes]
        output: Tensor = self.transition(torch.cat(before, dim=-1))
        return output

    def _predict_reward(self, transitions: Transitions, codes: Tensor) -> Tensor:
        observations, actions, changes = (
            transitions[name] for name in ("observations", "actions", "changes")
        )
        if not self.linear:
            output: Tensor = self.reward(torch.cat([observations, actions, codes, changes], dim=-1))
            return output
        features: Tensor = self.reward(
            torch.cat([observations, actions, changes], dim=-1)
        )  # (..., code_dim + 1)
        return (features[..., :-1] * codes).sum(dim=-1, keepdim=True) + features[..., -1:]

    @torch.no_grad()
    def relabel(self, transitions: Transitions, codes: Tensor, own: Tensor | None) -> Transitions:
        """The same observations and actions, with changes and rewards as the codes' tasks would give them.

        With the `own` codes of the tasks that they were logged in, what those do not explain of them stays: a change is
        the logged one plus the difference that the task makes, and so is a reward.
        """
        change = self._predict_change(transitions, codes)
        if own is not None:
            change = transitions["changes"] + change - self._predict_change(transitions, own)
        relabelled = {**transitions, "changes": change}
        reward = self._predict_reward(
            relabelled, codes
        )  # of the change that is made there, not of the logged one
        if own is not None:
            reward = transitions["rewards"] + reward - self._predict_reward(transitions, own)
        return {**relabelled, "rewards": reward}


class TaskTable(nn.Module):
    """A free code for every training task, with decoders of its own: what relabelling predicts by."""

    def __init__(self, config: MetaDTPlusConfig, spaces: Spaces, tasks: int) -> None:
        """Make an embedding of `tasks` codes."""
        super().__init__()
        self.codes = nn.Embedding(tasks, config.code_dim)
        self.decoders = HistoryDecoders(config, spaces)


class HistoryWorldModel(TaskCodeModel):
    """Codes of all transitions so far, of the episode and of support."""

    encoder: HistoryEncoder

    def __init__(self, config: MetaDTPlusConfig, spaces: Spaces) -> None:
        """Make the networks."""
        super().__init__()
        self.decoded = config.decoded
        self.scales = TransitionScales(spaces.observation_dim)
        self.encoder = HistoryEncoder(config, spaces)
        self.decoders = HistoryDecoders(config, spaces)

    def encode(self, episodes: Transitions) -> Tensor:
        """Codes `(B, T + 1, code_dim)` before each of `(B, T, size)` transitions, and after the last; no support."""
        return self.encoder.compute_codes(self.encoder.gather_evidence(episodes))

    def encode_after(self, episodes: Transitions, steps: Tensor) -> Tensor:
        """Codes `(B, code_dim)` after the first `(B,)` `steps` of `(B, T, size)` transitions."""
        evidence = self.encoder.gather_evidence(episodes)
        return self.encoder.compute_codes(evidence[torch.arange(len(steps)), steps])

    def measure(self, data: TrainingData) -> None:
        """Take the scales of `data` (without a device), and that of the changes of its rewards."""
        super().measure(data)
        same_episode = data.transition_episodes[1:] == data.transition_episodes[:-1]
        steps = np.diff(data.columns.rewards)[same_episode]
        deviation = max(float(steps.std(dtype=np.float64)), 1e-6) if len(steps) else 1.0
        self.encoder.reward_step_scale.copy_(self.scales.reward_deviation[0] / deviation)


@torch.no_grad()
def gather_dataset_evidence(
    model: HistoryWorldModel, data: TrainingData, at_once: int = TRANSITIONS_AT_ONCE
) -> tuple[Array, Array]:
    """Evidence before each transition `(N, evidence_dim)` and after each whole episode `(E, evidence_dim)`.

    It does not depend on how many transitions are read `at_once`.
    """
    encoder = model.encoder
    before = np.zeros((data.num_transitions, encoder.evidence_dim), np.float32)
    after = np.zeros((data.num_episodes, encoder.evidence_dim), np.float32)
    for episodes, index, real in batch_episodes(data, at_once):
        transitions = gather_transitions(model.scales, data, index)
        values = encoder.gather_evidence(transitions).cpu().numpy()  # (B, T + 1, evidence_dim)
        before[index[real]] = values[:, :-1][real]
        after[episodes] = values[np.arange(len(episodes)), data.lengths[episodes]]
    return before, after
