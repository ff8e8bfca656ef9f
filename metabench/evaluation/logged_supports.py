"""Support episodes from a test task's logged data, as the track `logged-shot` hands them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from metabench.data.load import load_columns
from metabench.evaluation import protocol
from metabench.methods.contract import Episode
from metabench.suites import Suite

Supports: TypeAlias = Mapping[tuple[int, int], Sequence[Episode]]
"""For each (task, support) its support episodes, oldest first."""


def load_logged_supports(
    suite: Suite, split: str, shots: int
) -> dict[tuple[int, int], list[Episode]]:
    """Supports of `shots` logged trajectories for each (task, support), the same for every method and seed.

    Raises:
        DataError: the suite's `medium` data is not built, or does not cover the split.
    """
    stored = "train" if split == protocol.VALIDATION else split
    columns = load_columns(suite, protocol.SUPPORT_DATASET, stored, build=False)
    supports = {}
    for task in protocol.list_tasks(suite, split):
        episodes = np.flatnonzero(columns.tasks == task.id)
        for support in range(suite.entry.evaluation.supports):
            drawn = protocol.draw_logged_support(
                suite, split, task.id, support, len(episodes), shots
            )
            supports[task.id, support] = [columns.episode(int(episodes[i])) for i in drawn]
    return supports
