"""The world model as a reader of contexts of any suite, up to its widths."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from metabench import MetabenchError, Spaces

from ..common.planning.rows import Answers, AskedInParts, DynamicsModel, Reader, Rows
from .config import ModelConfig
from .model import ConditionedContext, OSWMWorldModel

AT_ONCE = 1_024
"""Queries that are answered at once."""


class OSWMReader(Reader):
    """Pads a suite's observations and actions to the model's slots, and cuts its predictions back."""

    def __init__(self, model: OSWMWorldModel, spaces: Spaces) -> None:
        """Read environments of these spaces; raises `MetabenchError` if they are wider than the model."""
        self.model, self._spaces = model, spaces
        config = model.config
        for what, found, most in (
            ("observations", spaces.observation_dim, config.state_slots),
            ("action features", spaces.action_dim, config.action_slots),
        ):
            if found > most:
                raise MetabenchError(
                    f"oswm-plus: {found} {what}, expected at most {most}, as many as its weights have slots for"
                )

    @torch.no_grad()
    def read(self, context: Rows) -> DynamicsModel:
        """Keys and values of the G contexts, computed once; queries are answered from them."""
        groups, config = len(context.rewards), self.model.config
        used = mark_used_slots(config, self._spaces, groups)
        given = self.model.condition(pad_to_slots(context, config), *used)
        return AskedInParts(_ReadModel(self.model, given), AT_ONCE)

    def parameter_count(self) -> int:
        """Weights and biases."""
        return sum(parameter.numel() for parameter in self.model.parameters())


@dataclass(frozen=True)
class _ReadModel:
    """The model with its context."""

    model: OSWMWorldModel
    given: ConditionedContext

    @torch.no_grad()
    def __call__(self, observations: Tensor, actions: Tensor) -> Answers:
        config, dims = self.model.config, observations.shape[2]
        padded = _pad(observations, config.state_slots), _pad(actions, config.action_slots)
        seen: Answers = self.model(self.given, *padded, slots=dims)
        return replace(
            seen,
            next_observations=seen.next_observations[..., :dims],
            deviations=seen.deviations[..., :dims],
        )


def pad_to_slots(rows: Rows, config: ModelConfig, device: str = "cpu") -> Rows:
    """Rows of a suite's widths as rows of the model's slots, on the model's device."""
    return Rows(
        _pad(rows.observations, config.state_slots).to(device),
        _pad(rows.actions, config.action_slots).to(device),
        _pad(rows.next_observations, config.state_slots).to(device),
        rows.rewards.to(device),
        rows.ends.to(device),
        rows.valid.to(device),
    )


def mark_used_slots(config: ModelConfig, spaces: Spaces, groups: int) -> tuple[Tensor, Tensor]:
    """`(G, S)` and `(G, A)` bool: the slots that environments of these spaces use, the first ones."""
    state = torch.arange(config.state_slots) < spaces.observation_dim
    action = torch.arange(config.action_slots) < spaces.action_dim
    return state.expand(groups, -1), action.expand(groups, -1)


def _pad(values: Tensor, slots: int) -> Tensor:
    return pad(values, (0, slots - values.shape[-1]))
