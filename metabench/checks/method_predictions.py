"""Checks of predicting: shapes and numbers, determinism, independence of lanes, and the track itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metabench.checks.method_script import Script
from metabench.data.making.build import build_data
from metabench.envs import Array
from metabench.evaluation.guarded_policy import PREDICTED, GuardedPolicy
from metabench.evaluation.prediction.measure import evaluate_predictions
from metabench.evaluation.prediction.quota import list_behaviours
from metabench.methods.contract import Episode, Policy, Prediction
from metabench.suites import Suite

STEPS = 5
"""Steps ahead."""


def check_predictions(
    policy: Policy, script: Script, suite: Suite, name: str, tolerance: float
) -> str | None:
    """What is wrong with what a policy predicts after beginnings of the script's episodes, with and without support.

    Args:
        policy: a policy that predicts.
        script: lanes with groups, seeds and support.
        suite: its suite, whose data are built.
        name: what errors call the policy.
        tolerance: how far predictions may differ between batches, in units of the largest number.

    Raises:
        MethodError: a wrong shape or number; names method, lane and step.
    """
    guarded = GuardedPolicy(policy, name, suite.spaces)
    for shots in (0, 2):
        given = script.with_shots(shots)
        for seen in (0, 3):
            prefix, actions = _begin_episodes(given, suite, seen)
            everything = list(range(len(given.groups)))
            where = f"{shots} support episodes, {seen} steps seen"
            together = _predict(guarded, given, everything, prefix, actions)
            problem = _compare(together, guarded.predict(prefix, actions), 0.0)
            if problem:
                return f"{where}: asked again it says otherwise: {problem}"
            for lane in everything:
                alone = _predict(guarded, given, [lane], prefix, actions)
                problem = _compare(_take(together, lane), alone, tolerance)
                if problem:
                    return f"{where}: lane {lane} alone says otherwise: {problem}"
            again = _predict(guarded, given, everything, prefix, actions)
            problem = _compare(together, again, 0.0)
            if problem:
                return f"{where}: after reset it says otherwise: {problem}"
    for behaviour in list_behaviours(suite, "test"):
        build_data(suite, behaviour)
    evaluate_predictions(policy, suite, name=name)
    return None


def _begin_episodes(script: Script, suite: Suite, seen: int) -> tuple[list[Episode], Array]:
    """For each lane the first `seen` steps of what the script shows it, and random actions after them."""
    generator = np.random.default_rng(seen)
    lanes = len(script.groups)
    acted = suite.spaces.uniform_actions(generator, (lanes, seen + STEPS))
    prefix = [
        Episode(
            script.observations[: seen + 1, lane],
            acted[lane, :seen],
            script.rewards[1 : seen + 1, lane],
            terminated=False,
            truncated=False,
        )
        for lane in range(lanes)
    ]
    return prefix, acted[:, seen:]


def _predict(
    policy: GuardedPolicy,
    script: Script,
    lanes: Sequence[int],
    prefix: Sequence[Episode],
    actions: Array,
) -> Prediction:
    own = script.select_lanes(list(lanes))
    policy.reset(own.groups, own.seeds, None)
    if own.support:
        policy.adapt(own.support)
    return policy.predict([prefix[lane] for lane in lanes], actions[list(lanes)])


def _take(said: Prediction, lane: int) -> Prediction:
    found = {name: getattr(said, name) for name in PREDICTED}
    return Prediction(
        **{name: None if each is None else each[[lane]] for name, each in found.items()}
    )


def _compare(said: Prediction, again: Prediction, tolerance: float) -> str | None:
    """The first array in which two predictions of the same lanes differ; None if none does."""
    for name in PREDICTED:
        one, other = getattr(said, name), getattr(again, name)
        if (one is None) != (other is None):
            return f"{name} are told only once"
        if one is None:
            continue
        apart = np.abs(one - other).max() / max(1.0, float(np.abs(one).max()))
        if apart > tolerance:
            return f"{name} differ by {apart:.2g} of the largest"
    return None
