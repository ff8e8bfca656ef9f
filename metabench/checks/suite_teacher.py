"""Checks of a suite's teacher, of the references measured with it, and of the returns that are possible at all."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from metabench.checks.finding import Remark
from metabench.checks.suite_environment import SuiteCheck, spread_tasks
from metabench.data.making.roll_out import roll_out
from metabench.data.trajectories import ActedEpisodes
from metabench.envs import Array
from metabench.errors import MetabenchError
from metabench.seeding import derive_seed
from metabench.suites import Suite
from metabench.suites.headroom import name_tasks
from metabench.suites.schema import Reference

FAR = 6.0
"""Standard errors that a reference may lie from what is measured here."""

SLACK = 0.05
"""So much of the distance between random and expert it may lie off beyond that."""

RARE = 3.0
"""Episodes that are all alike may lack what happens in one of `episodes / RARE`: then so much more."""

BEYOND = 1e-6
"""Relative to a bound: returns are sums of rounded rewards."""


class TeacherChecks:
    """Lets the teacher act. Each check stands alone: none needs another to have run."""

    def __init__(self, suite: Suite) -> None:
        """Choose tasks and a number of episodes, fewer the longer episodes are."""
        self._suite = suite
        horizon = suite.entry.horizon
        self._tasks = spread_tasks(suite, int(np.clip(1500 // horizon, 3, 25)))
        self._episodes = int(np.clip(4000 // horizon, 8, 20))
        self._acted: dict[str, ActedEpisodes] = {}

    @functools.cached_property
    def _behaviours(self) -> tuple[str, ...]:
        """Names that the teacher can act as; none where the family has no teacher."""
        return self._suite.teacher().behaviours

    def list_checks(self) -> Iterator[SuiteCheck]:
        """The checks, in order."""
        if self._behaviours:
            yield (
                "teacher",
                "acts in bounds, the same with the same seeds, and in a lane alone as among others",
                self._check_acts,
            )
        yield (
            "references",
            "the expert is above random actions in every task, by as much as suite.toml says",
            self._check_agree,
        )
        yield (
            "return bounds",
            "no return is outside what the family calls possible",
            self._check_bounds,
        )

    def _check_acts(self) -> str | Remark | None:
        lanes = [(task, behaviour) for behaviour in self._behaviours for task in self._tasks[:2]]
        tasks, behaviours = [task for task, _ in lanes], [behaviour for _, behaviour in lanes]
        seeds = [derive_seed("check", "teacher", lane) for lane in range(len(lanes))]
        together = self._act_teacher(tasks, behaviours, seeds)
        again = self._act_teacher(tasks, behaviours, seeds)
        for lane, behaviour in enumerate(behaviours):
            alone = self._act_teacher([tasks[lane]], [behaviour], [seeds[lane]])[0]
            for what, other in (("again", again[lane]), ("alone", alone)):
                if not np.array_equal(together[lane], other):
                    return f"{behaviour} in task {tasks[lane]}, {what}: other actions with the same seed"
        if "expert" in self._behaviours and (problem := self._find_noise()):
            return problem
        scores = []
        for behaviour in self._behaviours:
            returns = self._measure_returns(behaviour)
            repeated = [task for task in self._tasks for _ in range(self._episodes)]
            scores.append(
                f"{behaviour} {np.mean(self._suite.normalised(repeated, returns.ravel().tolist())):.0f}"
            )
        return Remark(f"normalised scores: {', '.join(scores)}")

    def _find_noise(self) -> str | None:
        """What is wrong with the expert without noise, in the states of an episode of its own in two tasks."""
        suite, columns = self._suite, self._act("expert").columns
        episodes = [columns.episode(lane * self._episodes) for lane in range(2)]
        parameters = [suite.tasks[task].parameters for task in self._tasks[:2]]
        teachers = [suite.teacher() for _ in range(2)]
        for turn, teacher in enumerate(teachers):
            seeds = [derive_seed("check", "noise", turn, lane) for lane in range(2)]
            teacher.reset(["expert"] * 2, parameters, seeds)
        for timestep in range(min(map(len, episodes))):
            seen = np.stack([episode.observations[timestep] for episode in episodes])
            told = [np.asarray(teacher.act_without_noise(seen)) for teacher in teachers]
            if problem := suite.spaces.find_action_problem(told[0], (2,)):
                return f"act_without_noise: {problem}"
            if not np.array_equal(told[0], told[1]):
                return "act_without_noise: the expert's action depends on the seed; override it, labels are made by it"
        return None

    def _act_teacher(
        self, tasks: Sequence[int], behaviours: Sequence[str], seeds: Sequence[int]
    ) -> list[Array]:
        """What the teacher does in each lane until its end; raises `MetabenchError` if it must not."""
        suite, spaces = self._suite, self._suite.spaces
        environment, teacher = suite.environment(), suite.teacher()
        parameters = [suite.tasks[task].parameters for task in tasks]
        observation = environment.reset(parameters, list(seeds))
        teacher.reset(list(behaviours), parameters, list(seeds))
        shape = (len(tasks),) if spaces.discrete else (len(tasks), spaces.action_dim)
        low, high = (
            (0, spaces.num_actions - 1)
            if spaces.discrete
            else (spaces.action_low, spaces.action_high)
        )
        active = np.ones(len(tasks), bool)
        taken: list[list[Array]] = [[] for _ in tasks]
        for timestep in range(1, spaces.horizon + 1):
            actions = np.asarray(teacher.act(observation))
            if actions.shape != shape or (actions.dtype.kind in "iu") != spaces.discrete:
                kind = "integers" if spaces.discrete else "floats"
                raise MetabenchError(
                    f"step {timestep}: expected {shape} {kind}, found {actions.shape} {actions.dtype.name}"
                )
            inside = np.all(((actions >= low) & (actions <= high)).reshape(len(tasks), -1), axis=1)
            if not inside[active].all():
                lane = np.flatnonzero(~inside & active).tolist()[0]
                raise MetabenchError(
                    f"step {timestep}: {behaviours[lane]} in task {tasks[lane]}: {actions[lane]}"
                )
            for lane in np.flatnonzero(active).tolist():
                taken[lane].append(np.array(actions[lane]))
            step = environment.step(actions if spaces.discrete else actions.astype(np.float32))
            observation = step.observation
            active &= ~step.terminated
            if not active.any():
                break
        return [np.stack(each) for each in taken]

    def _act(self, behaviour: str) -> ActedEpisodes:
        """`episodes` of each of the tasks, one after the other."""
        if behaviour not in self._acted:
            tasks = [task for task in self._tasks for _ in range(self._episodes)]
            seeds = [
                derive_seed("check", "reference", behaviour, lane) for lane in range(len(tasks))
            ]
            self._acted[behaviour] = roll_out(self._suite, tasks, [behaviour] * len(tasks), seeds)
        return self._acted[behaviour]

    def _measure_returns(self, behaviour: str) -> Array:
        """`(tasks, episodes)` returns."""
        returns = self._act(behaviour).columns.episode_returns
        return returns.reshape(len(self._tasks), self._episodes)

    def _check_agree(self) -> str | Remark | None:
        if "expert" not in self._behaviours:
            return Remark("not measured: the family has no teacher")
        random, expert = self._measure_returns("random"), self._measure_returns("expert")
        for task, low, high in zip(self._tasks, random, expert, strict=True):
            if high.mean() <= low.mean():
                return f"task {task}: random actions return {low.mean():.4g}, the expert {high.mean():.4g}"
        for task in self._tasks:
            entry = self._suite.tasks[task]
            problem = self._compare(task, "reference", entry.reference) or (
                entry.success
                # What an environment's tasks share says nothing of one of them.
                and self._suite.unit(task) is None
                and self._compare(task, "success", entry.success)
            )
            if problem:
                return problem
        for split in self._suite.splits:
            without = self._suite.list_tasks_without_blind(split)
            if without and split != "train" and self._suite.headroom(split) is None:
                return Remark(
                    f"{split}: no blind reference, {name_tasks(without)}: headroom and adaptation stay unknown; "
                    f"metabench teacher train {self._suite.argument} --blind"
                )
        return None

    def _compare(self, task: int, kind: str, stated: Reference) -> str | None:
        """What is wrong with the references of one task, of returns or by the suite's rule of success."""
        for behaviour, value in stated.model_dump(exclude_none=True).items():
            if behaviour == "blind" and self._suite.blind() is None:
                return (
                    f"task {task}: {kind}.blind is {value:.4g}, but the suite ships no blind policy"
                )
            acted, rule = self._act(behaviour), self._suite.entry.success
            values = acted.columns.episode_returns
            if kind == "success" and rule is not None:
                values = acted.judge_success(rule)
            found = values.reshape(len(self._tasks), -1)[self._tasks.index(task)].astype(float)
            error = float(found.std(ddof=1)) / math.sqrt(len(found))
            slack = SLACK if error else RARE / len(found)
            if abs(found.mean() - value) > FAR * error + slack * (stated.expert - stated.random):
                return (
                    f"task {task}: {kind}.{behaviour} is {value:.4g}, of {len(found)} episodes it is "
                    f"{found.mean():.4g}; metabench data references {self._suite.argument} --write"
                )
        return None

    def _check_bounds(self) -> str | Remark | None:
        horizon = self._suite.entry.horizon
        bounds = [
            self._suite.family.return_bounds(self._suite.tasks[task].parameters, horizon)
            for task in self._tasks
        ]
        for behaviour in ("random", *(name for name in self._behaviours if name == "expert")):
            for task, (low, high), returns in zip(
                self._tasks, bounds, self._measure_returns(behaviour), strict=True
            ):
                slack = BEYOND * (1.0 + np.abs(returns).max())
                if returns.min() < low - slack or returns.max() > high + slack:
                    return (
                        f"task {task}: {behaviour} returns {returns.min():.6g} to {returns.max():.6g}, "
                        f"return_bounds are {low:.6g} to {high:.6g}"
                    )
        if not np.isfinite(bounds).any():
            return Remark("the family states no return_bounds: a record may claim any return")
        return None
