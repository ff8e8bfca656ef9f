"""Checks of training: determinism, the curve, resuming."""

from __future__ import annotations

import functools
import itertools
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

from metabench.checks.method_script import SHOTS, act_script, compare_actions, script_logged_lanes
from metabench.data.load import load_data
from metabench.data.making.build import build_data
from metabench.data.training_data import TrainingData
from metabench.envs import Array
from metabench.errors import CancelledError, MetabenchError
from metabench.methods.contract import Method, Policy
from metabench.methods.registry import load_method, name_method
from metabench.methods.training_run import TrainingRun
from metabench.suites import Suite

Check: TypeAlias = tuple[str, str, Callable[[], str | None]]
"""Title, what is expected, and a function that returns what was found instead, or None."""

DATASET = "medium"
SEED = 7


class TrainingChecks:
    """Trains a method on a tiny suite, at least twice.

    Attributes:
        suite: the suite.
        policy: the trained policy; None until training has succeeded.
        script: scripted lanes to compare policies in.
    """

    def __init__(self, spec: str, preset: str, suite: Suite, scratch: Path) -> None:
        """Prepare data and script; checkpoints go below `scratch`."""
        self.suite = suite
        self.policy: Policy | None = None
        self._spec, self._preset, self._scratch = spec, preset, scratch
        self.name = name_method(spec, self.make_method().name)
        self.privileged = self.make_method().privileged
        self._data = _load_fitting(type(self.make_method()), suite)
        self.script = script_logged_lanes(suite, self._data)
        self._asked = 0

    def make_method(self) -> Method:
        """The method, made anew."""
        return load_method(self._spec, preset=self._preset, suite=self.suite.name)

    def act_script(self, policy: Policy, shots: int = SHOTS) -> Array:
        """What `policy` does in the scripted lanes with `shots` support episodes."""
        return act_script(
            policy, self.script.with_shots(shots), self.suite.spaces, self.name, self.privileged
        )

    def list_checks(self) -> Iterator[Check]:
        """The checks, in order; the later ones need what the earlier ones trained."""
        yield (
            "trains",
            f"train returns a policy with the preset {self._preset!r}",
            self._check_trains,
        )
        yield (
            "acts",
            f"right shape, type and bounds with 0, 1 and {SHOTS} support episodes",
            self._check_acts,
        )
        if self.make_method().trains:
            yield "curve", "training logs at least one row, all numbers finite", self._check_curve
        yield (
            "deterministic",
            "training again with the same seed: same curve, same actions",
            self._check_repeats,
        )
        if self._asked > 1:
            yield (
                "resumes",
                "cancelled twice and resumed: same curve, same actions",
                self._check_resumes,
            )

    def _check_trains(self) -> str | None:
        self._run = TrainingRun(SEED, cancelled=self._count_question)
        policy = self.make_method().train(self._data, self._run)
        if not isinstance(policy, Policy):
            return f"train returned {type(policy).__name__}, expected a metabench.Policy"
        self.policy = policy
        return None

    def _check_acts(self) -> str | None:
        assert self.policy is not None
        for shots in (0, 1, SHOTS):
            self._expected = self.act_script(self.policy, shots)
        return None

    def _count_question(self) -> bool:
        self._asked += 1
        return False

    def _check_curve(self) -> str | None:
        if not self._run.curve:
            return "nothing was logged; call run.log(loss=...)"
        for row in self._run.curve:
            wrong = [
                key
                for key, value in row.items()
                if isinstance(value, float) and not math.isfinite(value)
            ]
            if wrong:
                return (
                    f"stage {row['stage']!r}, update {row['update']}: {wrong[0]} is {row[wrong[0]]}"
                )
        return None

    def _check_repeats(self) -> str | None:
        run = TrainingRun(SEED)
        return self._compare(self.make_method().train(self._data, run), run)

    def _check_resumes(self) -> str | None:
        folder = self._scratch / "checkpoints"
        first = (
            self._asked // 3 + 1
        )  # one more than a third: not where a curve's intervals and stages tend to end
        for stop in (first, (self._asked - first) // 2 + 1):
            calls = itertools.count(1)
            run = TrainingRun(
                SEED, folder=folder, cancelled=functools.partial(_is_reached, calls, stop)
            )
            try:
                self.make_method().train(self._data, run)
            except CancelledError:
                continue
            return f"asked to stop after {stop} of {self._asked} updates, it went on"
        run = TrainingRun(SEED, folder=folder)
        return self._compare(self.make_method().train(self._data, run), run)

    def _compare(self, policy: Policy, run: TrainingRun) -> str | None:
        for first, second in zip(self._run.curve, run.curve, strict=False):
            if json.dumps(first) != json.dumps(second):
                return f"stage {first['stage']!r}, update {first['update']}: logged {second}, before {first}"
        if len(run.curve) != len(self._run.curve):
            return f"logged {len(run.curve)} rows, before {len(self._run.curve)}"
        return compare_actions(self._expected, self.act_script(policy), 0.0)


def _load_fitting(method: type[Method], suite: Suite) -> TrainingData:
    """`medium`, or the first dataset that has what the method is trained on."""
    labels = method.uses_expert_labels
    fitting = suite.find_datasets(expert_labels=labels, stages=method.uses_stages)
    if not fitting:
        raise MetabenchError(
            f"method {method.name!r}: no dataset of {suite.name!r} has both expert labels and an order of learning"
        )
    build_data(suite, DATASET)  # supports come from there, whatever is trained on
    name = DATASET if DATASET in fitting else fitting[0]
    return load_data(suite, name, expert_labels=labels)


def _is_reached(calls: Iterator[int], stop: int) -> bool:
    return next(calls) >= stop
