"""Acting with codes of a world model in the context."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from metabench import Array, Episode, Spaces, Step

from ..common.in_context.transition_policy import TransitionPolicy
from ..meta_dt.policy import LaneCodes, encode_episode
from .codes import pool_codes
from .config import SICQLConfig
from .model import SICQLNetwork


class SICQLPolicy(TransitionPolicy):
    """Does what the policy head says, given the codes in the context."""

    def __init__(self, network: SICQLNetwork, spaces: Spaces, config: SICQLConfig) -> None:
        """Wrap a trained network."""
        super().__init__(network, spaces, config)
        self._model = network.world_model
        self._codes = LaneCodes(self._model, spaces)

    def reset(self, groups: Sequence[int], seeds: Sequence[int]) -> None:
        """Begin with an empty context in every lane."""
        super().reset(groups, seeds)
        self._codes.reset([()] * len(groups))
        self._recent: list[Tensor] = []  # codes since the last one that the context took in

    def _describe_episode(self, episode: Episode, times: Array) -> Tensor:
        after = encode_episode(self._model, self._spaces, episode)[1:]
        return pool_codes(after, self._stride)[self._place(times)]

    def _describe_step(self, step: Step) -> Tensor | None:
        code = self._codes.advance(step)
        if self._time == 0:  # the code of nothing
            return None
        self._recent = [*self._recent, code][-self._stride :]
        return torch.stack(self._recent).mean(0)
