"""How wrong a scripted teacher's `medium` must be to score half as much as its expert: one number a group of tasks."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metabench.data.making.roll_out import roll_out
from metabench.envs import Array, MediumErrors
from metabench.errors import DataError
from metabench.seeding import derive_seed
from metabench.suites import Suite

MEDIUM = 50.0
"""Normalised score that `medium` is brought to."""

ROUNDS = 8
"""Bisections of the deviation's logarithm."""


@dataclass(frozen=True)
class Calibration:
    """What was found for one group of tasks: in Meta-World, for an environment.

    Attributes:
        environment: the group's name.
        deviation: of `medium`'s error, in metres on each axis.
        score: mean normalised score over the group's tasks with it.
    """

    environment: str
    deviation: float
    score: float


def calibrate_medium(suite: Suite, episodes: int = 8) -> list[Calibration]:
    """Bisect all environments' deviations at once, always with the same seeds.

    Args:
        suite: with measured references, of a family whose `medium` can be set.
        episodes: episodes a task and round.

    Raises:
        DataError: the suite's family has no errors to set.
    """
    errors = _find_errors(suite)
    names = [errors.name_group(task.parameters) for task in suite.tasks]
    low, high = dict.fromkeys(names, errors.smallest), dict.fromkeys(names, errors.largest)
    found: dict[str, Calibration] = {}
    for _ in range(ROUNDS):
        # The middle of the logarithms: errors lie between 2 mm and 1 m.
        middle = {name: round(float(np.sqrt(low[name] * high[name])), 5) for name in low}
        scores = _measure_scores(suite, errors, middle, episodes)
        for name, deviation in middle.items():
            score = float(
                np.mean(
                    [score for score, other in zip(scores, names, strict=True) if other == name]
                )
            )
            tried = Calibration(name, deviation, score)
            found[name] = min(
                found.get(name, tried), tried, key=lambda each: abs(each.score - MEDIUM)
            )
            (low if score > MEDIUM else high)[name] = deviation  # still too good: it may err more
    return list(found.values())


def install_calibration(suite: Suite, calibrations: Sequence[Calibration]) -> Path:
    """Write the deviations into the suite's `teachers/`; the digests of its data are then out of date."""
    return _find_errors(suite).write(
        suite.folder / "teachers", {each.environment: each.deviation for each in calibrations}
    )


def _find_errors(suite: Suite) -> MediumErrors:
    errors = suite.family.medium_errors()
    if errors is None:
        raise DataError(
            f"suite {suite.name}: expected a family whose medium teacher can be made worse by a number, "
            f"found {suite.entry.family!r}"
        )
    return errors


def _measure_scores(
    suite: Suite, errors: MediumErrors, deviations: dict[str, float], episodes: int
) -> Array:
    """`(tasks,)` mean normalised score of `medium` with these deviations."""
    tasks = [task.id for task in suite.tasks for _ in range(episodes)]
    seeds = [
        derive_seed("calibration", suite.name, task, i % episodes) for i, task in enumerate(tasks)
    ]
    with tempfile.TemporaryDirectory() as scratch:
        trial = dataclasses.replace(suite, folder=Path(scratch))
        errors.write(trial.folder / "teachers", deviations)
        columns = roll_out(trial, tasks, ["medium"] * len(tasks), seeds).columns
    scores = np.array(suite.normalised(tasks, columns.episode_returns.tolist()))
    return np.asarray(scores.reshape(-1, episodes).mean(axis=1))
