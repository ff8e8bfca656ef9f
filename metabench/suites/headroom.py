"""What finding out the task is worth: the distance from the best policy that knows neither task nor past to the expert.

Plain numbers in, so that suites can be listed without being validated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from metabench.system.wording import say_count

LOWEST_SCORE, HIGHEST_SCORE = -100.0, 200.0
"""A task's score is clipped to these: one task that goes wrong beyond measure does not decide a mean over tasks."""

LITTLE_HEADROOM = 30.0
"""A suite whose test tasks offer less than this tests something else than adaptation, and says so."""


def scale_score(value: float, random: float, expert: float) -> float:
    """The score: 0 where a value is that of random actions and 100 where it is the expert's."""
    return 100.0 * (value - random) / (expert - random)


def is_one_task(parameters: Sequence[Mapping[str, Any]]) -> bool:
    """Whether all tasks of a suite are the same one: then there is nothing to find out, and its headroom is 0."""
    return all(each == parameters[0] for each in parameters)


def measure_headroom(references: Sequence[Mapping[str, float | None]]) -> float | None:
    """100 minus the mean over tasks of the blind policy's score; None where a task has no blind reference.

    Args:
        references: of each task `random`, `expert` and `blind`, of what the score is made of.
    """
    scores = []
    for each in references:
        random, expert, blind = each.get("random"), each.get("expert"), each.get("blind")
        if random is None or expert is None or blind is None:
            return None
        scores.append(scale_score(blind, random, expert))
    return 100.0 - float(np.clip(scores, LOWEST_SCORE, HIGHEST_SCORE).mean())


def name_tasks(tasks: Sequence[int]) -> str:
    """`task 3`, `3 tasks from 45 on`."""
    return (
        f"task {tasks[0]}"
        if len(tasks) == 1
        else f"{say_count(len(tasks), 'task')} from {min(tasks)} on"
    )


def describe_headroom(headroom: float | None, without_blind: Sequence[int] = ()) -> str:
    """For people: `71`, `12, little to adapt to`, `not measured`, and which tasks lack a blind reference."""
    if headroom is None:
        lacking = f": no blind reference, {name_tasks(without_blind)}" if without_blind else ""
        return f"not measured{lacking}"
    little = ", little to adapt to" if headroom < LITTLE_HEADROOM else ""
    return f"{headroom:.0f}{little}"
