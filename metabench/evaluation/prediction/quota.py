"""What the track `prediction` asks for: behaviours, shots, first steps that are seen, steps ahead."""

from __future__ import annotations

from collections.abc import Sequence

from metabench.errors import MetabenchError
from metabench.suites import Suite

PREDICTION = "prediction"
"""The track in which nothing acts: a world model predicts logged trajectories."""

SUPPORT_DATASET = "medium"
"""The dataset that the support of `logged-shot` and `prediction` is drawn from."""

BEHAVIOURS = ("random", SUPPORT_DATASET, "expert")
"""The datasets whose trajectories are predicted; where a suite has none of them, all that it has."""

SHOTS = (0, 1, 3)
"""Logged episodes that a policy is given."""

FAR_SHOTS = (0, 3)
"""The same on `test-far`."""

PREFIXES, STEPS_AHEAD = (0, 4, 16), (1, 5, 15)
"""Steps of a trajectory that it sees, and how far it then predicts, where the horizon allows."""


def list_behaviours(suite: Suite, split: str) -> tuple[str, ...]:
    """The datasets whose trajectories of a split are predicted."""
    found = [name for name, recipe in suite.entry.datasets.items() if split in recipe.splits]
    return tuple(name for name in BEHAVIOURS if name in found) or tuple(found)


def choose_prediction_shots(
    suite: Suite, split: str, shots: Sequence[int] | None = None
) -> tuple[int, ...]:
    """The shot counts of `prediction`, ascending: those asked for, or the protocol's.

    Raises:
        MetabenchError: the suite has no `medium` data of the split for the shots asked for, or one is negative.
    """
    logged = SUPPORT_DATASET in list_behaviours(suite, split)
    if shots is None:
        every = FAR_SHOTS if split == "test-far" else SHOTS
        return every if logged else every[:1]
    counts = tuple(sorted(set(shots)))
    most = max(SHOTS) if logged else 0
    if not counts or counts[0] < 0 or counts[-1] > most:
        found = ", ".join(map(str, shots)) or "none"
        raise MetabenchError(f"track {PREDICTION!r} takes 0 to {most} shots here, not {found}")
    return counts


def list_steps_ahead(horizon: int, prefix: int) -> tuple[int, ...]:
    """How far is predicted after `prefix` steps; empty where the horizon allows none."""
    return tuple(steps for steps in STEPS_AHEAD if prefix + steps <= horizon)
