"""What scores are scaled by: means of random actions, of the teacher's expert and of the blind policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from metabench.data.making.roll_out import roll_out
from metabench.envs import Array
from metabench.errors import DataError, MetabenchError
from metabench.seeding import derive_seed
from metabench.suites import Suite
from metabench.suites.recipes.dataset_entry import SplitName
from metabench.suites.schema import TaskEntry

EPISODES = 500
"""Episodes a task and behaviour that references are averaged over, unless asked otherwise."""

ENDS = ("random", "expert")
"""The behaviours that are 0 and 100."""

Kind = Literal["reference", "success"]
"""What references are of: returns, or successes by the suite's rule."""

KINDS: tuple[Kind, ...] = ("reference", "success")

PART = 5000
"""Episodes rolled out at once: those of Meta-World are 80 KB each."""


def list_references(suite: Suite) -> tuple[str, ...]:
    """The behaviours that references of `suite` can be measured of: the blind policy, where it ships one."""
    return ENDS if suite.blind() is None else (*ENDS, "blind")


def measure_references(
    suite: Suite,
    episodes: int = EPISODES,
    behaviours: Sequence[str] | None = None,
    kind: Kind | None = None,
    split: SplitName | None = None,
) -> dict[int, dict[str, dict[str, float]]]:
    """Means per task id, as suite.toml writes them, rounded to 1e-4.

    `{0: {"reference": {"random": -17.2, "expert": -2.1}}, ...}`: of returns; in a suite with a rule of success beside
    it `"success"`, the shares of episodes that succeed by it. The blind policy is a reference of what the score is made
    of alone. In a suite of several environments, those of a split share one reference of success an environment, the
    mean over its tasks: an expert may fail in some of them always, and no score could be scaled by that.

    Args:
        suite: with a teacher.
        episodes: episodes a task and behaviour.
        behaviours: of `list_references`; by default all of them.
        kind: measure returns, or successes, alone.
        split: measure its tasks alone.

    Raises:
        MetabenchError: the suite's family has no teacher.
        DataError: the suite names a rule of success, and its family has no success; or successes are asked of one
            that names none.
    """
    if "expert" not in suite.teacher().behaviours:
        raise MetabenchError(
            f"suite {suite.name}: its references cannot be measured: its family has no teacher"
        )
    kinds: tuple[Kind, ...] = ("reference",) if suite.entry.success is None else KINDS
    if kind is not None and kind not in kinds:
        raise DataError(
            f"suite {suite.name}: success: expected a rule, `last` or `any`, by which it is measured; found none"
        )
    if kind is not None:
        kinds = (kind,)
    chosen = suite.tasks if split is None else suite.split(split)
    measured: dict[int, dict[str, dict[str, float]]] = {
        task.id: {kind: {} for kind in kinds} for task in chosen
    }
    tasks = np.repeat([*measured], episodes)
    for behaviour in list_references(suite) if behaviours is None else behaviours:
        parts = [
            _measure_part(suite, behaviour, tasks[i : i + PART], i, episodes)
            for i in range(0, len(tasks), PART)
        ]
        for name in parts[0].keys() & set(kinds):
            means = np.concatenate([part[name] for part in parts]).reshape(-1, episodes).mean(1)
            if name == "success":
                means = _share_by_environment(suite, chosen, means)
            for task, mean in zip(measured, means, strict=True):
                measured[task][name][behaviour] = round(float(mean), 4)
    return measured


def _share_by_environment(suite: Suite, tasks: Sequence[TaskEntry], means: Array) -> Array:
    """`(tasks,)` means over the tasks of the same split and environment; of one environment the tasks' own."""
    units = [(task.split, suite.unit(task.id) or task.id) for task in tasks]
    together: dict[tuple[str, str | int], list[float]] = {}
    for unit, mean in zip(units, means.tolist(), strict=True):
        together.setdefault(unit, []).append(mean)
    return np.array([np.mean(together[unit]) for unit in units])


def _measure_part(
    suite: Suite, behaviour: str, tasks: Array, first: int, episodes: int
) -> dict[str, Array]:
    """`(len(tasks),)` returns and, by the suite's rule, successes of episodes from the number `first` on."""
    entry = suite.entry
    seeds = [
        derive_seed(
            "reference", suite.name, entry.version, behaviour, int(task), (first + i) % episodes
        )
        for i, task in enumerate(tasks)
    ]
    acted = roll_out(suite, tasks.tolist(), [behaviour] * len(tasks), seeds)
    found = {}
    if behaviour != "blind" or entry.headline != "success":
        found["reference"] = acted.columns.episode_returns
    if entry.success is not None:
        found["success"] = acted.judge_success(entry.success)
    return found
