"""Checks of a suite's tasks: that they differ, that scored ones are new, and that they are not simply shown."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from metabench.checks.finding import Remark
from metabench.checks.suite_environment import LaneChecks, SuiteCheck, count_lanes, spread_tasks
from metabench.checks.suite_script import LaneScript, make_lane_script, play_script
from metabench.data.making.roll_out import roll_out
from metabench.envs import Array
from metabench.seeding import derive_seed
from metabench.suites import Suite
from metabench.suites.task_distribution import Law

SCRIPTS = 4
"""Sequences of random actions that tasks are told apart by; the last one is at the bounds."""

NEARLY = 1e-9
"""Numbers of two tasks that are closer, relative to their size, make the same task."""


class TaskChecks:
    """Holds the tasks of a suite's file against each other."""

    def __init__(self, suite: Suite, lanes: LaneChecks) -> None:
        """Keep the suite, and what its scripted lanes did."""
        self._suite, self._lanes = suite, lanes

    def list_checks(self) -> Iterator[SuiteCheck]:
        """The checks, in order."""
        yield "parameters", "parameters that fix no task raise a ValueError", self._check_parameters
        yield "splits", "no scored task is a training task", self._check_splits
        yield (
            "tasks differ",
            "no two tasks answer the same actions with the same episode",
            self._check_different,
        )
        yield "hidden task", "no observation coordinate tells the task", self._check_hidden
        yield (
            "fresh tasks",
            "suite.toml states the law of the scored tasks, and they are possible under it",
            self._check_law,
        )

    def _check_parameters(self) -> str | None:
        family, parameters = self._suite.family, self._suite.tasks[0].parameters
        spoilt: dict[str, Mapping[str, Any]] = {
            "no parameters": {},
            "a key too many": {**parameters, "unheard-of": 1.0},
        }
        for key, value in parameters.items():
            spoilt[f"without {key}"] = {
                name: each for name, each in parameters.items() if name != key
            }
            spoilt[f"{key} = None"] = {**parameters, key: None}
            if _is_number(value):
                spoilt[f"{key} = nan"] = {**parameters, key: math.nan}
            elif isinstance(value, list) and value and all(map(_is_number, value)):
                spoilt[f"{key} with a nan"] = {**parameters, key: [*value[:-1], math.nan]}
        for what, content in spoilt.items():
            try:
                family.check_parameters(content)
            except ValueError:
                continue
            return f"{what}: check_parameters had nothing against it"
        return None

    def _check_splits(self) -> str | Remark | None:
        if self._suite.entry.seen_tasks:
            return Remark("they are, as seen_tasks = true says: kept out of overall tables")
        training = [task for task in self._suite.tasks if task.split == "train"]
        for task in self._suite.tasks:
            for other in training if task.split != "train" else ():
                if _nearly_equal(task.parameters, other.parameters):
                    told = _format_task(task.parameters)
                    return f"task {task.id} ({task.split}) is training task {other.id}: {told}"
        return None

    def _check_different(self) -> str | None:
        tasks = spread_tasks(self._suite, count_lanes(self._suite))
        groups = [tasks]
        for number in range(SCRIPTS):
            script = make_lane_script(self._suite, tasks, f"tasks-{number}", alike=number)
            groups = self._divide_by_script(groups, script)
        groups = self._divide_by_experts(groups)
        for group in groups:
            for other in group[1:]:
                one, two = (self._suite.tasks[task].parameters for task in (group[0], other))
                if not (self._suite.entry.seen_tasks and _nearly_equal(one, two)):
                    return f"tasks {group[0]} and {other} do not: {_format_task(one)} and {_format_task(two)}"
        return None

    def _divide_by_script(
        self, groups: Sequence[Sequence[int]], script: LaneScript
    ) -> list[list[int]]:
        """Divide groups of tasks that did the same so far by what they do in `script`; its lanes have one seed."""
        trace = play_script(self._suite, script)
        lane = {task: position for position, task in enumerate(script.tasks)}
        divided: list[list[int]] = []
        for group in groups:
            parts: list[list[int]] = []
            for task in group:
                part = next(
                    (part for part in parts if trace.is_same_episode(lane[part[0]], lane[task])),
                    None,
                )
                if part is None:
                    parts.append([task])
                else:
                    part.append(task)
            divided += parts
        return divided

    def _divide_by_experts(self, groups: Sequence[Sequence[int]]) -> list[list[int]]:
        """Divide further by the experts' actions: chance may never come to where tasks differ."""
        if "expert" not in self._suite.teacher().behaviours:
            return [list(group) for group in groups]
        divided: list[list[int]] = []
        for group in groups:
            parts = [list(group)]
            seed = derive_seed(0, "reset")  # as lanes that are rolled out with seed 0 have it
            for expert in group if len(group) > 1 else ():
                columns = roll_out(self._suite, [expert], ["expert"], [0]).columns
                actions = np.repeat(
                    self._suite.spaces.null_actions(1)[None], self._suite.entry.horizon, axis=0
                )
                actions[: len(columns.actions), 0] = columns.actions
                script = LaneScript(
                    tuple(group), (seed,) * len(group), np.repeat(actions, len(group), axis=1)
                )
                parts = self._divide_by_script(parts, script)
            divided += parts
        return divided

    def _check_hidden(self) -> str | Remark | None:
        found = self._find_hint("throughout", whole=True) or self._find_hint(
            "at the start of", whole=False
        )
        return (
            Remark(f"{found}; suite.toml says so")
            if found and self._suite.entry.task_in_observation
            else found
        )

    def _find_hint(self, words: str, *, whole: bool) -> str | None:
        """Which coordinate is constant within tasks and differs between them: in whole episodes, or at their start."""
        script, trace = self._lanes.script, self._lanes.trace
        values: dict[int, Array] = {}
        for task in dict.fromkeys(script.tasks):
            seen = [
                trace.observations[: trace.lengths[lane] + 1 if whole else 1, lane]
                for lane, each in enumerate(script.tasks)
                if each == task
            ]
            values[task] = np.concatenate(seen)
        low, high = (
            np.stack([of(each, axis=0) for each in values.values()]) for of in (np.min, np.max)
        )
        constant = (low == high).all(axis=0)
        different = (low != low[0]).any(axis=0)
        for coordinate in np.flatnonzero(constant & different).tolist():
            tasks = list(values)
            other = int(np.flatnonzero(low[:, coordinate] != low[0, coordinate])[0])
            return (
                f"coordinate {coordinate} is {low[0, coordinate]:g} {words} the episodes of task {tasks[0]}, "
                f"{low[other, coordinate]:g} in task {tasks[other]}"
            )
        return None

    def _check_law(self) -> str | Remark | None:
        stated = self._suite.entry.task_distribution or {}
        for task in self._suite.tasks:
            alternatives = stated.get(task.split, ({},))
            if not any(
                all(_is_possible(laws[key], task.parameters.get(key)) for key in laws)
                for laws in alternatives
            ):
                told = _format_task(task.parameters)
                return f"task {task.id}: {told}: task_distribution.{task.split} gives no such task"
        missing = [
            split for split in self._suite.splits if split != "train" and split not in stated
        ]
        if not missing or self._suite.entry.seen_tasks:
            return None
        return Remark(
            f"no task_distribution.{missing[0]}: leaderboard verify --fresh-tasks cannot be used"
        )


def _is_possible(law: Law, value: Any) -> bool:
    """Whether a number, or every one of a list, lies within the bounds that `law` states for it, if it states any."""
    bounds = law.uniform or law.log_uniform
    if bounds is None or law.times:
        return value is not None
    try:
        numbers = np.asarray(value, np.float64)
        low, high = np.broadcast_arrays(*(np.asarray(bound, np.float64) for bound in bounds))
        numbers = np.abs(numbers) if law.either_sign else numbers
        slack = NEARLY * (1.0 + np.abs(high))
        return bool(((numbers >= low - slack) & (numbers <= high + slack)).all())
    except (TypeError, ValueError):
        return False


def _nearly_equal(one: Any, two: Any) -> bool:
    """Whether parameters are the same but for rounding; 1 and 1.0 are."""
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        return one.keys() == two.keys() and all(_nearly_equal(one[key], two[key]) for key in one)
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(map(_nearly_equal, one, two))
    if _is_number(one) and _is_number(two):
        return math.isclose(one, two, rel_tol=NEARLY, abs_tol=NEARLY)
    return bool(one == two)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _format_task(parameters: Mapping[str, Any]) -> str:
    text = ", ".join(f"{key} = {value!r}" for key, value in parameters.items())
    return text if len(text) <= 80 else f"{text[:79]}…"
