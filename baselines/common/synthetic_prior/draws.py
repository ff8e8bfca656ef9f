"""Random numbers of the shapes that a synthetic world is drawn from."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class PriorRandomness:
    """Everything is drawn from the generator that is passed in, on its device."""

    def __init__(self, state_slots: int, action_slots: int, generator: torch.Generator) -> None:
        """For environments of at most `state_slots` observed dimensions and `action_slots` action features."""
        self._slots, self._action_slots = state_slots, action_slots
        self._generator, self._device = generator, generator.device

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Uniform numbers."""
        return low + (high - low) * torch.rand(
            *shape, generator=self._generator, device=self._device
        )

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers."""
        return torch.randn(*shape, generator=self._generator, device=self._device)

    def log_uniform(self, *shape: int, low: float, high: float) -> Tensor:
        """Numbers whose logarithm is uniform."""
        return torch.exp(self.uniform(*shape, low=math.log(low), high=math.log(high)))

    def chance(self, *shape: int, of: float) -> Tensor:
        """True with probability `of`."""
        return self.uniform(*shape) < of

    def number(self, *shape: int, low: int, high: Tensor | int) -> Tensor:
        """Whole numbers from `low` to `high`, both included."""
        return (
            low + self.uniform(*shape) * (torch.as_tensor(high, device=self._device) + 1 - low)
        ).long()

    @property
    def slots(self) -> tuple[int, int]:
        """State slots and action slots."""
        return self._slots, self._action_slots

    @property
    def device(self) -> torch.device:
        """Where everything lies."""
        return self._device
