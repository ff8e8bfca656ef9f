"""The context-aware world model and its loss: a code of the task is good if rewards and changes follow from it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from metabench import Array, Spaces, TrainingData

from .config import MetaDTConfig
from .model import ContextEncoder, Decoders, Transitions, TransitionScales, gather_transitions

TRANSITIONS_AT_ONCE = 4096
"""So many steps of a data set are read together: that bounds memory, and what fits the cache is twice as fast."""


class TaskCodeModel(nn.Module, ABC):
    """Scales, an encoder and decoders: what prompts, diagnostics and acting need of any model of task codes.

    Attributes:
        decoded: which decoders count, in the loss and in the choice of prompts.
    """

    scales: TransitionScales
    encoder: nn.Module
    decoders: nn.Module
    decoded: Literal["both", "reward", "transition"]

    @abstractmethod
    def encode(self, episodes: Transitions) -> Tensor:
        """Codes `(B, T + 1, code_dim)` before each of `(B, T, size)` transitions, and after the last."""

    def encode_after(self, episodes: Transitions, steps: Tensor) -> Tensor:
        """Codes `(B, code_dim)` after the first `(B,)` `steps` of `(B, T, size)` transitions."""
        return self.encode(episodes)[torch.arange(len(steps)), steps]

    def measure(self, data: TrainingData) -> None:
        """Take the scales of `data` (without a device)."""
        self.scales.measure(data)

    @torch.no_grad()
    def measure_surprise(self, transitions: Transitions, codes: Tensor) -> Tensor:
        """What the complementary prompt is chosen by: absolute error a step `(...,)`, decoders added, scaled units."""
        reward, change = compute_squared_errors(self.decoders, transitions, codes)
        return select_errors(self.decoded, reward.sqrt(), change.sqrt())

    @torch.inference_mode()
    def predict_open_loop(
        self, observations: Tensor, actions: Tensor, codes: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Follow given actions; the code stays what it is, and the decoders' means are what they are asked next.

        A decoder that was not trained has no say: nothing changes then, or the training mean is earned.

        Args:
            observations: `(lanes, observation_dim)` where each lane is.
            actions: `(lanes, h, action_dim)` features.
            codes: `(lanes, code_dim)`.

        Returns:
            Observations `(lanes, h, observation_dim)` and rewards `(lanes, h)`, in their own units.
        """
        scales, state = self.scales, observations
        nothing = torch.zeros_like(observations)
        states, rewards = [], []
        for features in actions.unbind(1):
            before = (state - scales.observation_mean) / scales.observation_deviation
            asked = {"observations": before, "actions": features}
            asked |= {"changes": nothing, "next_observations": nothing}
            if self.decoded == "reward":
                change = -scales.change_mean / scales.change_deviation  # scaled: nothing changes
                change = change.expand_as(state)
            else:
                change = self.decoders(asked, codes)[1]
            earned = torch.zeros_like(state[:, :1])
            state = state + change * scales.change_deviation + scales.change_mean
            if self.decoded != "transition":
                after = (state - scales.observation_mean) / scales.observation_deviation
                asked = {**asked, "changes": change, "next_observations": after}
                earned = self.decoders(asked, codes)[0]
            states.append(state)
            rewards.append((earned * scales.reward_deviation + scales.reward_mean)[:, 0])
        return torch.stack(states, 1), torch.stack(rewards, 1)


class WorldModel(TaskCodeModel):
    """The published one: codes of the last h transitions."""

    encoder: ContextEncoder

    def __init__(self, config: MetaDTConfig, spaces: Spaces) -> None:
        """Make the networks."""
        super().__init__()
        self.decoded = config.decoded
        self.scales = TransitionScales(spaces.observation_dim)
        self.encoder = ContextEncoder(config, spaces)
        self.decoders = Decoders(config, spaces)

    def encode(self, episodes: Transitions) -> Tensor:
        """Codes `(B, T + 1, code_dim)` before each of `(B, T, size)` transitions, and after the last."""
        codes: Tensor = self.encoder(episodes)
        return codes


def next_step_loss(
    model: WorldModel, data: TrainingData, generator: np.random.Generator, batch_size: int
) -> tuple[Tensor, dict[str, Tensor]]:
    """The published objective: predict the transition that follows the h transitions that the code reads."""
    index = generator.integers(data.num_transitions, size=batch_size)  # (B,) flat
    episodes = data.transition_episodes[index]
    codes = _encode_before(model, data, episodes, index - data.columns.offsets[episodes])
    return prediction_loss(model, gather_transitions(model.scales, data, index), codes)


def prediction_loss(
    model: TaskCodeModel, transitions: Transitions, codes: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """Mean squared error of the decoders that count, predicting `(..., size)` transitions with `(..., code_dim)`."""
    reward, change = compute_squared_errors(model.decoders, transitions, codes)
    loss = select_errors(model.decoded, reward, change).mean()
    return loss, {"loss": loss.detach()}


def compute_squared_errors(
    decoders: nn.Module, transitions: Transitions, codes: Tensor
) -> tuple[Tensor, Tensor]:
    """Squared errors of reward and (mean over dimensions) transition, each `(...,)`, in scaled units."""
    reward, change = decoders(transitions, codes)
    reward_error = (reward - transitions["rewards"])[..., 0] ** 2
    change_error = ((change - transitions["changes"]) ** 2).mean(dim=-1)
    return reward_error, change_error


def select_errors(decoded: str, reward: Tensor, change: Tensor) -> Tensor:
    """The errors of the decoders that count, added."""
    return {"reward": reward, "transition": change, "both": reward + change}[decoded]


def _encode_before(
    model: WorldModel, data: TrainingData, episodes: Array, position: Array
) -> Tensor:
    """Codes `(B, code_dim)` before step `position` of each episode, from that episode only."""
    horizon = model.encoder.horizon
    starts = np.maximum(position - horizon, 0)
    count = position - starts  # (B,) steps to read: fewer than h near an episode's start
    # Rows with fewer steps repeat their last to fill the array; the code after `count` steps does not read those.
    last = np.maximum(count - 1, 0)  # (B,)
    steps = starts[:, None] + np.minimum(np.arange(horizon), last[:, None])  # (B, h)
    index = data.columns.offsets[episodes][:, None] + steps
    transitions = gather_transitions(model.scales, data, index)  # (B, h, size)
    return model.encode_after(transitions, torch.as_tensor(count))


@torch.no_grad()
def encode_dataset(
    model: WorldModel, data: TrainingData, at_once: int = TRANSITIONS_AT_ONCE
) -> Array:
    """Codes `(N, code_dim)` before each transition; they do not depend on how many are read `at_once`."""
    codes = np.zeros((data.num_transitions, model.encoder.output.out_features), np.float32)
    for _, index, real in batch_episodes(data, at_once):
        transitions = gather_transitions(model.scales, data, index)
        values = model.encode(transitions).cpu().numpy()  # (B, T + 1, code_dim)
        codes[index[real]] = values[:, :-1][real]
    return codes


def batch_episodes(data: TrainingData, at_once: int) -> Iterator[tuple[Array, Array, Array]]:
    """All episodes in order, so many together as have about `at_once` steps.

    Yields:
        `(B,)` episodes; `(B, T)` flat indices of their transitions, the last one repeated in padding; `(B, T)` bool,
        false in padding.
    """
    longest = int(data.lengths.max())
    count = max(1, at_once // longest)
    for first in range(0, data.num_episodes, count):
        episodes = np.arange(first, min(first + count, data.num_episodes))
        lengths = data.lengths[episodes]
        steps = np.minimum(np.arange(longest), lengths[:, None] - 1)
        yield (
            episodes,
            data.columns.offsets[episodes][:, None] + steps,
            np.arange(longest) < lengths[:, None],
        )
