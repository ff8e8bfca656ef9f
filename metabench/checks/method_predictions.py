"""Checks of predicting: shapes and numbers, determinism, independence of lanes, and the track itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

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

COMPARED = 4
"""Lanes, or a few more, that are asked again in other company."""


def check_predictions(policy: Policy, script: Script, suite: Suite, name: str) -> str | None:
    """What is wrong with what a policy predicts after beginnings of the script's episodes, with and without support.

    Args:
        policy: a policy that predicts.
        script: lanes with groups, seeds and support.
        suite: its suite.
        name: what errors call the policy.

    Raises:
        MethodError: a wrong shape or number; names method, lane and step.
    """
    guarded = GuardedPolicy(policy, name, suite.spaces)
    for shots in (0, 2):
        for seen in (0, 3):
            asked = _ask_script(script.with_shots(shots), suite, seen)
            where = f"{shots} support episodes, {seen} steps seen"
            said = asked.predict(guarded)
            problem = _compare(said, guarded.predict(asked.prefix, asked.actions))
            if problem:
                return f"{where}: asked again it says otherwise: {problem}"
            for lane in range(0, len(asked.prefix), max(1, len(asked.prefix) // COMPARED)):
                changed = asked.change_others(lane).predict(guarded)
                problem = _compare(_take_lane(said, lane), _take_lane(changed, lane))
                if problem:
                    return f"{where}: lane {lane} in other company says otherwise: {problem}"
            problem = _compare(said, asked.predict(guarded))
            if problem:
                return f"{where}: after reset it says otherwise: {problem}"
    for behaviour in list_behaviours(suite, "test"):
        build_data(suite, behaviour)
    evaluate_predictions(policy, suite, name=name)
    return None


@dataclass(frozen=True)
class _Asked:
    """What a policy is asked to predict: the lanes of a script after some steps."""

    script: Script
    prefix: Sequence[Episode]
    actions: Array

    def predict(self, policy: GuardedPolicy) -> Prediction:
        policy.reset(self.script.groups, self.script.seeds, None)
        if self.script.support:
            policy.adapt(self.script.support)
        return policy.predict(self.prefix, self.actions)

    def change_others(self, kept: int) -> _Asked:
        """The same number of steps everywhere, as last bits may depend on that; other ones but for one lane."""
        script = self.script
        support = {
            group: episodes
            if group == script.groups[kept]
            else [_change_episode(episode) for episode in episodes]
            for group, episodes in script.support.items()
        }
        actions = self.actions[:, ::-1].copy()
        actions[kept] = self.actions[kept]
        return _Asked(
            dataclasses.replace(script, support=support),
            [
                episode if lane == kept else _change_episode(episode)
                for lane, episode in enumerate(self.prefix)
            ],
            actions,
        )


def _change_episode(episode: Episode) -> Episode:
    """Another of the same length."""
    return dataclasses.replace(
        episode, observations=episode.observations[::-1] * 0.5, rewards=-episode.rewards
    )


def _ask_script(script: Script, suite: Suite, seen: int) -> _Asked:
    """After the first `seen` steps of what the script shows each lane, random actions."""
    lanes = len(script.groups)
    acted = suite.spaces.uniform_actions(np.random.default_rng(seen), (lanes, seen + STEPS))
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
    return _Asked(script, prefix, acted[:, seen:])


def _take_lane(said: Prediction, lane: int) -> Prediction:
    told = {name: values for name in PREDICTED if (values := getattr(said, name)) is not None}
    return Prediction(**{name: values[[lane]] for name, values in told.items()})


def _compare(said: Prediction, again: Prediction) -> str | None:
    """The first array in which two predictions of the same lanes differ; None if none does."""
    for name in PREDICTED:
        one, other = getattr(said, name), getattr(again, name)
        if (one is None) != (other is None):
            return f"{name} are told only once"
        if one is not None and not np.array_equal(one, other):
            return f"{name} differ by up to {np.abs(one - other).max():.2g}"
    return None
