"""How weak a scripted teacher's `medium` must be to score half as much as its expert: one exponent an environment."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metabench.data.collect import roll_out
from metabench.envs import Array
from metabench.errors import DataError
from metabench.seeding import derived_seed
from metabench.suites import Suite

MEDIUM = 50.0
"""Normalised score that `medium` is brought to."""

ROUNDS = 7
"""Bisections of the median skill, which is known to 1/128 then."""


@dataclass(frozen=True)
class Calibration:
    """What was found for one environment.

    Attributes:
        environment: its name.
        exponent: of `medium`'s skill.
        score: mean normalised score over the environment's tasks with it.
    """

    environment: str
    exponent: float
    score: float


def calibrate_medium(suite: Suite, episodes: int = 8) -> list[Calibration]:
    """Bisect all environments' exponents at once, always with the same seeds.

    Args:
        suite: a suite of the family `meta-world`, with measured references.
        episodes: episodes a task and round.

    Raises:
        DataError: the suite is of another family.
    """
    if suite.entry.family != "meta-world":
        raise DataError(f"suite {suite.name}: expected one of family 'meta-world', found {suite.entry.family!r}")
    names = [task.parameters["environment"] for task in suite.tasks]
    weak, strong = dict.fromkeys(names, 0.0), dict.fromkeys(names, 1.0)
    found: dict[str, Calibration] = {}
    for _ in range(ROUNDS):
        medians = {name: (weak[name] + strong[name]) / 2.0 for name in weak}
        exponents = {name: round(float(np.log(median) / np.log(0.5)), 3) for name, median in medians.items()}
        scores = _scores(suite, exponents, episodes)
        for name, exponent in exponents.items():
            score = float(np.mean([score for score, other in zip(scores, names, strict=True) if other == name]))
            tried = Calibration(name, exponent, score)
            found[name] = min(found.get(name, tried), tried, key=lambda each: abs(each.score - MEDIUM))
            (strong if score > MEDIUM else weak)[name] = medians[name]
    return list(found.values())


def install_calibration(suite: Suite, calibrations: Sequence[Calibration]) -> Path:
    """Write the exponents into the suite's `teachers/`; the digests of its data are then out of date."""
    from metabench.envs.metaworld.teacher import write_exponents

    return write_exponents(suite.folder / "teachers", {each.environment: each.exponent for each in calibrations})


def _scores(suite: Suite, exponents: dict[str, float], episodes: int) -> Array:
    """`(tasks,)` mean normalised score of `medium` with these exponents."""
    from metabench.envs.metaworld.teacher import write_exponents

    tasks = [task.id for task in suite.tasks for _ in range(episodes)]
    seeds = [derived_seed("calibration", suite.name, task, i % episodes) for i, task in enumerate(tasks)]
    with tempfile.TemporaryDirectory() as scratch:
        trial = dataclasses.replace(suite, folder=Path(scratch))
        write_exponents(trial.folder / "teachers", exponents)
        columns = roll_out(trial, tasks, ["medium"] * len(tasks), seeds).columns
    scores = np.array(suite.normalised(tasks, columns.episode_returns.tolist()))
    return np.asarray(scores.reshape(-1, episodes).mean(axis=1))
