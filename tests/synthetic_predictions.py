"""Synthetic predictions of the suite `wide`: made for tests only, never published."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metabench.evaluation.prediction.quota import BEHAVIOURS, PREFIXES, SHOTS, STEPS_AHEAD
from metabench.evaluation.prediction.sums import Calibration, ErrorSums, Predictions

from .synthetic_records import WIDE, cached_suite


def make_predictions(
    error: float,
    generator: np.random.Generator,
    *,
    shots: Sequence[int] = SHOTS,
    growth: float = 1.0,
    learning: float = 1.0,
    inside: tuple[float, float] | None = None,
    cells: bool = False,
) -> Predictions:
    """Errors about `error` in every task, behaviour and after every prefix.

    Args:
        growth: by what errors are multiplied from each number of steps ahead to the next.
        learning: the same from each shot count to the next.
        inside: shares of outcomes in the central 50 and 90 %; without them no deviations are predicted.
    """
    tasks = tuple(task.id for task in cached_suite(WIDE).split("test"))
    conditions = len(BEHAVIOURS) * len(PREFIXES) * len(STEPS_AHEAD)

    def draw(places: int, pairs: int, shot: int) -> tuple[float, ...]:
        ahead = growth ** np.tile(np.arange(len(STEPS_AHEAD)), places // len(STEPS_AHEAD))
        noise = np.exp(0.05 * generator.standard_normal(places))
        return tuple((pairs * (error * learning**shot * ahead * noise) ** 2).tolist())

    def make_sums(places: int, pairs: int) -> ErrorSums:
        observations, rewards = (tuple(draw(places, pairs, shot) for shot in range(len(shots))) for _ in range(2))
        return ErrorSums(
            pairs=(pairs,) * places,
            control_observations=(float(pairs),) * places,
            control_rewards=(float(pairs),) * places,
            observations=observations,
            rewards=rewards,
        )

    def share(central: float) -> tuple[tuple[float, ...], ...]:
        return ((central,) * conditions,) * len(shots)

    calibration = None
    if inside is not None:
        half, most = map(share, inside)
        calibration = Calibration(observations_50=half, observations_90=most, rewards_50=half, rewards_90=most)
    places = len(tasks) * len(STEPS_AHEAD)
    return Predictions(
        split="test",
        cells=cells,
        shots=tuple(shots),
        tasks=tasks,
        behaviours=BEHAVIOURS,
        prefixes=PREFIXES,
        steps=STEPS_AHEAD,
        trajectories=len(tasks),
        left_out=0,
        by_task=make_sums(places, conditions),
        by_condition=make_sums(conditions, places),
        calibration=calibration,
    )
