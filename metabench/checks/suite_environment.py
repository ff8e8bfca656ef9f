"""Checks of a suite's environment: what a lane does depends on its task, its seed and its actions, and nothing else."""

from __future__ import annotations

import copy
import dataclasses
import functools
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np

from metabench.checks.finding import Remark
from metabench.checks.suite_script import Trace, find_difference, make_lane_script, play_script
from metabench.envs import Array, BatchedEnvironment
from metabench.suites import Suite

SuiteCheck: TypeAlias = tuple[str, str, Callable[[], str | Remark | None]]
"""Title, what is expected, and a function that returns what was found instead, a remark, or None."""

MOST_ALONE = 6
"""Lanes that are stepped alone."""

SPEED_LANES = 256
SPEED_SECONDS = 0.5


def count_lanes(suite: Suite) -> int:
    """How many lanes keep a check short: fewer the longer episodes are."""
    return int(np.clip(6000 // suite.entry.horizon, 6, 40))


def spread_tasks(suite: Suite, count: int) -> list[int]:
    """At most `count` tasks, evenly over all of them: first and last, so training and scored ones, are among them."""
    return sorted({round(place) for place in np.linspace(0, len(suite.tasks) - 1, count).tolist()})


class LaneChecks:
    """Holds a suite's environment against the contract. Each check stands alone: none needs another to have run."""

    def __init__(self, suite: Suite) -> None:
        """Script the lanes: two of each of some tasks."""
        self._suite = suite
        count = count_lanes(suite)
        tasks = spread_tasks(suite, count // 2)
        self.script = make_lane_script(
            suite, [tasks[lane % len(tasks)] for lane in range(2 * len(tasks))], "lanes"
        )

    @functools.cached_property
    def trace(self) -> Trace:
        """What all scripted lanes did, acted when it is first asked for."""
        return play_script(self._suite, self.script)

    def list_checks(self) -> Iterator[SuiteCheck]:
        """The checks, in order; one that ended lanes are needed for is left out where none has ended."""
        yield (
            "steps",
            "reset and step return arrays of the declared shapes and types",
            self._check_steps,
        )
        yield (
            "inputs",
            "the parameters and actions that are passed in stay as they are",
            self._check_inputs,
        )
        yield (
            "outputs",
            "arrays that were returned are not changed by later steps",
            self._check_outputs,
        )
        yield "finite", "observations and rewards are finite", self._check_finite
        yield (
            "deterministic",
            "the same tasks, seeds and actions give the same steps, bit for bit",
            self._check_repeats,
        )
        yield (
            "forgets",
            "after reset the environment remembers no earlier episode",
            self._check_forgets,
        )
        yield "lanes", "a lane alone does as it does among others, bit for bit", self._check_alone
        yield "lane order", "lanes in another order and number do the same", self._check_order
        if self.trace.terminated[:-1].any():
            yield (
                "ended lanes",
                "what ended lanes are told to do changes nothing in the others",
                self._check_ended,
            )
        yield (
            "ends",
            "episodes are ended by the task, not by a time limit: the horizon is the caller's",
            self._check_end,
        )
        yield "reset seeds", "the seed of a reset changes the episode", self._check_seeds
        if self._suite.entry.headline == "success":
            yield "success", "steps tell success, which the suite is ranked by", self._check_success
        yield (
            "gymnasium",
            "one lane passes Gymnasium's own environment check",
            self._check_gymnasium,
        )
        yield "speed", "steps a second of all lanes together are reported", self._check_speed

    def _reset_lanes(self, environment: BatchedEnvironment) -> Array:
        parameters = [self._suite.tasks[task].parameters for task in self.script.tasks]
        return environment.reset(parameters, list(self.script.seeds))

    def _check_steps(self) -> str | None:
        spaces, environment = self._suite.spaces, self._suite.environment()
        if environment.spaces != spaces or spaces.horizon != self._suite.entry.horizon:
            return f"environment.spaces are {environment.spaces}, the family's {spaces}"
        lanes = len(self.script.tasks)
        wanted: dict[str, tuple[tuple[int, ...], Any]] = {
            "observation": ((lanes, spaces.observation_dim), np.float32),
            "reward": ((lanes,), np.float64),
            "terminated": ((lanes,), np.bool_),
            "success": ((lanes,), np.bool_),
        }
        problem = _find_array_problem(
            "reset: observation", self._reset_lanes(environment), *wanted["observation"]
        )
        for timestep, actions in enumerate(self.script.actions, start=1):
            if problem:
                return problem
            step = environment.step(actions.copy())
            told = {field.name: getattr(step, field.name) for field in dataclasses.fields(step)}
            problems = (
                _find_array_problem(f"step {timestep}: {name}", value, *wanted[name])
                for name, value in told.items()
                if not (name == "success" and value is None)
            )
            problem = next((each for each in problems if each), None)
        if problem is None:
            _ = self.trace  # what goes wrong in acting the script belongs to this check
        return problem

    def _check_inputs(self) -> str | None:
        environment = self._suite.environment()
        parameters = [
            dict(copy.deepcopy(self._suite.tasks[task].parameters)) for task in self.script.tasks
        ]
        before = copy.deepcopy(parameters)
        environment.reset(parameters, list(self.script.seeds))
        given = self.script.actions[0].copy()
        environment.step(given)
        if parameters != before:
            return "reset changed a task's parameters"
        return None if np.array_equal(given, self.script.actions[0]) else "step changed the actions"

    def _check_outputs(self) -> str | None:
        environment = self._suite.environment()
        returned = [("observation", 0, self._reset_lanes(environment))]
        copies = [returned[0][2].copy()]
        for timestep, actions in enumerate(self.script.actions[:3], start=1):
            step = environment.step(actions.copy())
            for name in ("observation", "reward", "terminated"):
                returned.append((name, timestep, getattr(step, name)))
                copies.append(returned[-1][2].copy())
        for (name, timestep, value), copied in zip(returned, copies, strict=True):
            if value.tobytes() != copied.tobytes():
                return (
                    f"the {name} of step {timestep} was another one after more steps: return a copy"
                )
        return None

    def _check_finite(self) -> str | None:
        for name, values in (
            ("observation", self.trace.observations),
            ("reward", self.trace.rewards),
        ):
            bad = ~np.isfinite(values).reshape(*values.shape[:2], -1).all(axis=2)
            offset = int(name == "reward")
            bad &= np.arange(offset, offset + len(values))[:, None] <= self.trace.lengths
            if bad.any():
                row, lane = np.argwhere(bad)[0].tolist()
                return f"task {self.script.tasks[lane]}, step {row + offset}: {name} {values[row, lane]}"
        return None

    def _check_repeats(self) -> str | None:
        return find_difference(self.trace, play_script(self._suite, self.script))

    def _check_forgets(self) -> str | None:
        environment = self._suite.environment()
        others = list(reversed(range(len(self.script.tasks))))
        play_script(self._suite, self.script.select_lanes(others), environment)
        return find_difference(self.trace, play_script(self._suite, self.script, environment))

    def _check_alone(self) -> str | None:
        for lane in range(min(MOST_ALONE, len(self.script.tasks))):
            problem = find_difference(
                self.trace.select_lanes([lane]),
                play_script(self._suite, self.script.select_lanes([lane])),
                [lane],
            )
            if problem:
                return f"alone, {problem}"
        return None

    def _check_order(self) -> str | None:
        lanes = len(self.script.tasks)
        order = np.random.default_rng(0).permutation(lanes)[: lanes - 1].tolist()
        return find_difference(
            self.trace.select_lanes(order),
            play_script(self._suite, self.script.select_lanes(order)),
            order,
        )

    def _check_ended(self) -> str | None:
        after = np.arange(len(self.script.actions))[:, None] >= self.trace.lengths
        generator = np.random.default_rng(1)
        other = self._suite.spaces.uniform_actions(generator, self.script.actions.shape[:2])
        mask = after.reshape(*after.shape, *[1] * (other.ndim - 2))
        script = dataclasses.replace(
            self.script, actions=np.where(mask, other, self.script.actions)
        )
        return find_difference(self.trace, play_script(self._suite, script))

    def _check_end(self) -> str | None:
        lengths = set(self.trace.lengths.tolist())
        if self.trace.terminated.any(axis=0).all() and len(lengths) == 1:
            return f"every lane ended at step {lengths.pop()}, whatever it did; horizon = {len(self.trace.rewards)}"
        return None

    def _check_seeds(self) -> Remark | None:
        seeds = tuple(seed + 1 for seed in self.script.seeds)
        other = play_script(self._suite, dataclasses.replace(self.script, seeds=seeds))
        lanes = range(len(seeds))
        if all(
            find_difference(self.trace.select_lanes([lane]), other.select_lanes([lane])) is None
            for lane in lanes
        ):
            return Remark(
                "seeds change nothing: a task's episodes differ by the policy's actions only"
            )
        return None

    def _check_success(self) -> str | None:
        return (
            None
            if self.trace.success is not None
            else "BatchStep.success is None; headline = 'success' needs it"
        )

    def _check_gymnasium(self) -> str | None:
        from gymnasium.utils.env_checker import check_env

        from metabench.envs.gymnasium.view import GymnasiumView

        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # of unbounded observations, and of what is not registered
            check_env(
                GymnasiumView(self._suite.environment(), self._suite.tasks[0].parameters),
                skip_render_check=True,
            )
        return None

    def _check_speed(self) -> Remark:
        environment = self._suite.environment()
        lanes = min(SPEED_LANES, environment.lanes_at_once)
        tasks = [self.script.tasks[lane % len(self.script.tasks)] for lane in range(lanes)]
        script = make_lane_script(self._suite, tasks, "speed")
        environment.reset(
            [self._suite.tasks[task].parameters for task in tasks], list(script.seeds)
        )
        begin, steps = time.perf_counter(), 0
        while steps < len(script.actions) and time.perf_counter() - begin < SPEED_SECONDS:
            environment.step(script.actions[steps])
            steps += 1
        rate = steps * lanes / (time.perf_counter() - begin)
        return Remark(f"{rate:,.0f} with {lanes} lanes, on this machine as it is now")


def _find_array_problem(name: str, value: Any, shape: tuple[int, ...], dtype: Any) -> str | None:
    wanted = f"{shape} {np.dtype(dtype).name}"
    if not isinstance(value, np.ndarray):
        return f"{name}: expected an array, {wanted}, found {type(value).__name__}"
    if value.shape != shape or value.dtype != dtype:
        return f"{name}: expected {wanted}, found {value.shape} {value.dtype.name}"
    return None
