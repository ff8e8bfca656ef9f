"""Acting at random."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from metabench import Array, Policy, Spaces, Step, save_state

CHUNK = 32
"""Steps drawn at once: fewer calls than step by step, less memory than whole episodes."""


class RandomPolicy(Policy):
    """Draws every lane's actions from a generator of its own."""

    def __init__(self, spaces: Spaces) -> None:
        """Keep the spaces; lanes come with `reset`."""
        self._spaces = spaces

    def reset(self, groups: Sequence[int], seeds: Sequence[int]) -> None:
        """Seed one generator a lane."""
        del groups
        self._generators = [np.random.default_rng(seed) for seed in seeds]
        self._acted = 0

    def act(self, step: Step) -> Array:
        """The lanes' next draws: uniform in the action bounds, or over the discrete actions."""
        del step
        within = self._acted % CHUNK
        if within == 0:
            draws = [
                self._spaces.uniform_actions(generator, (CHUNK,)) for generator in self._generators
            ]
            self._chunk = np.stack(draws, axis=1)  # (CHUNK, lanes, ...)
        self._acted += 1
        return np.asarray(self._chunk[within])

    def save(self, folder: Path) -> None:
        """Write an empty state: archives and version control lose empty folders."""
        save_state({}, folder / "policy")
