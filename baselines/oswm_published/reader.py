"""The world model as a reader of contexts of any suite, up to its widths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import pad

from metabench import MetabenchError, Spaces

from ..common.planning.rows import Answers, DynamicsModel, Reader, Rows
from .config import PublishedWorldModelConfig
from .model import PublishedContext, PublishedWorldModel

LARGEST = 1e6
"""Predictions are clipped to plus or minus this."""


def check_widths(config: PublishedWorldModelConfig, spaces: Spaces) -> None:
    """Raise `MetabenchError` if environments of these spaces have more dimensions than the model has slots."""
    states, actions = spaces.observation_dim, 1 if spaces.discrete else spaces.action_dim
    if states > config.state_slots or actions > config.action_slots:
        raise MetabenchError(
            f"oswm-published: {states} observation dimensions and {actions} action coordinates, expected at most "
            f"{config.state_slots} and {config.action_slots}, as many as its weights have slots for; "
            f"pretrain wider ones with state_slots={max(states, config.state_slots)} and "
            f"action_slots={max(actions, config.action_slots)}"
        )


class PublishedReader(Reader):
    """Puts a suite's observations and actions into the model's slots as published, and cuts its predictions back.

    Observations are in the first slots, actions in the first after all of those; a discrete action is its index.
    """

    tells_deviations: ClassVar[bool] = False

    def __init__(self, model: PublishedWorldModel, spaces: Spaces) -> None:
        """Read environments of these spaces; raises `MetabenchError` if they are wider than the model."""
        check_widths(model.config, spaces)
        self.model, self._spaces = model, spaces

    @torch.no_grad()
    def read(self, context: Rows) -> DynamicsModel:
        """Keys and values of the G contexts, computed once; queries are answered from them."""
        config = self.model.config
        inputs = self.place_in_slots(context.observations, context.actions)
        empty = (
            0,
            config.state_slots + config.action_slots - 1 - context.next_observations.shape[2],
        )
        outputs = torch.cat([pad(context.next_observations, empty), context.rewards[..., None]], 2)
        given = self.model.read(inputs, outputs, context.valid)
        mean = given.outputs.mean.nan_to_num()  # without rows nothing is known, not even a mean

        return _PublishedRead(self, given, mean)

    def parameter_count(self) -> int:
        """Weights and biases."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    def place_in_slots(self, observations: Tensor, actions: Tensor) -> Tensor:
        """`(G, N, S + A)` of `(G, N, observation_dim)` and `(G, N, action_dim)`."""
        config = self.model.config
        if self._spaces.discrete:
            actions = actions.argmax(2, keepdim=True).to(observations.dtype)
        state = pad(observations, (0, config.state_slots - observations.shape[2]))
        return torch.cat([state, pad(actions, (0, config.action_slots - actions.shape[2]))], 2)


@dataclass(frozen=True)
class _PublishedRead:
    """The model with its context; `mean` is that of the context's outputs, `(G, 1, S + A)`."""

    reader: PublishedReader
    given: PublishedContext
    mean: Tensor

    @torch.no_grad()
    def __call__(self, observations: Tensor, actions: Tensor) -> Answers:
        """Points: deviations are 0, and nothing is said of ends."""
        seen = self.reader.model(self.given, self.reader.place_in_slots(observations, actions))
        seen = torch.where(seen.isnan(), self.mean, seen).clamp(-LARGEST, LARGEST)
        state, reward = seen[..., : observations.shape[2]], seen[..., -1]
        none = torch.zeros_like(reward)
        return Answers(state, torch.zeros_like(state), reward, none, none)
