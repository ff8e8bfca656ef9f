"""What an update reads: sequences of logged steps, drawn as the published replay draws them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metabench import Array, DataError, TrainingData

from ..twm_plus.model.world_model import Sequences
from .config import TWMPublishedConfig


class BalancedStarts:
    """Draws starts, those used less often first: start i with probability proportional to exp(-uses_i / temperature).

    Logged data have up to millions of starts: each draw proposes some and refuses most of those that were used
    often, so that no draw has to weigh them all.
    """

    def __init__(self, size: int, config: TWMPublishedConfig) -> None:
        """Begin with `size` unused starts."""
        self.rule, self.temperature = config.sampling, config.sampling_temperature
        self.uses = np.zeros(size, np.int32)

    def draw(self, generator: np.random.Generator, count: int) -> Array:
        """`(count,)` different starts, or all of them repeatedly if they are fewer; they are used once more."""
        chosen: dict[int, None] = {}  # a set that keeps its order
        lowest = int(self.uses.min())
        total = max(int(self.uses.sum(dtype=np.int64)), lowest + 1)
        wanted = min(count, len(self.uses))
        while len(chosen) < wanted:
            proposed = generator.integers(len(self.uses), size=count)
            uses = self.uses[proposed]
            if self.rule == "balanced":
                chance = np.exp((lowest - uses) / self.temperature)
            elif self.rule == "nearly-uniform":
                chance = (total - uses) / (total - lowest)
            else:
                chance = np.ones(count)
            chosen.update(dict.fromkeys(proposed[generator.random(count) < chance].tolist()))
        drawn = np.resize(np.array(list(chosen)[:wanted]), count)
        np.add.at(self.uses, drawn, 1)
        return drawn

    def state_dict(self) -> dict[str, Any]:
        """How often each start was used."""
        return {"uses": self.uses.copy()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Put back what `state_dict` returned."""
        self.uses = np.asarray(state_dict["uses"], np.int32)


class LoggedSteps:
    """All steps of all training tasks, one episode after another: what is a replay online.

    As there, an episode's last observation is lost, and a sequence runs on into the next episode (here perhaps of
    another task), which attention and losses keep apart.
    """

    def __init__(self, config: TWMPublishedConfig, data: TrainingData, device: str) -> None:
        """Prepare drawing; raises `DataError` if there are fewer steps than a sequence and one more."""
        self._config, self._placed, self._device = config, data.to(device), device
        self._lengths, self._terminated = data.lengths, np.asarray(data.columns.terminated)
        self.size = data.num_transitions
        if self.size <= config.window:
            raise DataError(
                f"{data.suite_name or 'the data'}: {self.size} steps in all, expected more than a sequence has: "
                f"window = {config.window}"
            )
        self.starts = BalancedStarts(self.size - config.window, config)

    def draw_balanced(self, generator: np.random.Generator) -> Sequences:
        """Sequences that begin where few began before; they count as used."""
        return self.gather(self.starts.draw(generator, self._config.sequences))

    def draw_uniform(self, generator: np.random.Generator) -> Sequences:
        """Sequences that begin anywhere; they do not count as used."""
        return self.gather(generator.integers(len(self.starts.uses), size=self._config.sequences))

    def draw_observations(self, generator: np.random.Generator) -> Tensor:
        """`(observation_batch, observation_dim)` observations before steps of any time."""
        index = generator.integers(self.size, size=self._config.observation_batch)
        observations: Tensor = self._placed.transitions(index).observations
        return observations

    def gather(self, starts: Array) -> Sequences:
        """`window` steps from each of `starts` on; a step that ends an episode is followed by the next one's first."""
        index = starts[:, None] + np.arange(self._config.window + 1)  # (B, T + 1)
        rows = self._placed.transitions(index)
        episodes, timesteps = (
            np.asarray(part.cpu())[:, :-1] for part in (rows.episodes, rows.timesteps)
        )
        ended = timesteps == self._lengths[episodes] - 1

        def place(values: Array) -> Tensor:
            return torch.as_tensor(values, device=self._device)

        return Sequences(
            observations=rows.observations,
            actions=rows.actions[:, :-1],
            rewards=rows.rewards[:, :-1],
            terminated=place(ended & self._terminated[episodes]),
            ended=place(ended),
            episodes=place(episodes - episodes[:, :1]),
            next_known=place(~ended),
        )
