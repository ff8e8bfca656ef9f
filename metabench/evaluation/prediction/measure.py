"""Asking a policy for predictions of held-out trajectories, and summing its errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from metabench.envs import Array
from metabench.evaluation import protocol
from metabench.evaluation.evaluate import PolicyOpener, Progress, copy_anew
from metabench.evaluation.guarded_policy import GuardedPolicy
from metabench.evaluation.prediction.held_out import HeldOut, load_held_out
from metabench.evaluation.prediction.independence import Call, choose_calls, repeat_calls
from metabench.evaluation.prediction.quota import (
    PREDICTION,
    PREFIXES,
    choose_prediction_shots,
    list_steps_ahead,
)
from metabench.evaluation.prediction.sums import PredictionCost, Predictions
from metabench.evaluation.prediction.tally import Tally
from metabench.evaluation.prediction.units import measure_units
from metabench.methods.contract import Episode, Policy
from metabench.suites import Suite, load_suite
from metabench.system.wording import say_count


@dataclass(frozen=True)
class PredictionEvaluation:
    """The measurements of the track `prediction` on one split.

    Attributes:
        predictions: sums of errors; None for a policy without predictions, or if the suite has no logged trajectory
            outside the supports.
        costs: one a shot count.
    """

    predictions: Predictions | None
    costs: tuple[PredictionCost, ...]

    @property
    def seconds_predicting(self) -> float:
        """Spent in `Policy.predict`."""
        return sum(cost.seconds_predicting for cost in self.costs)


def evaluate_predictions(
    policy: Policy | PolicyOpener,
    suite: Suite | str,
    *,
    split: str = "test",
    shots: Sequence[int] | None = None,
    seed: int = 0,
    name: str | None = None,
    replay: bool = False,
    progress: Progress | None = None,
) -> PredictionEvaluation:
    """Let a policy predict held-out logged trajectories of test tasks. Nothing acts, and no simulator is used.

    For each shot count a freshly opened policy predicts, after `reset` and, with shots, `adapt` to logged episodes of
    the task. It sees the first 0, 4 and 16 steps of a trajectory, and then only the actions.

    Args:
        policy: a function that opens the policy, or the policy itself, which is then copied.
        suite: a suite or its name; its data must be built.
        split: `test` or `test-far`.
        shots: numbers of logged episodes; None takes the protocol's.
        seed: the evaluation seed, on which the policy's randomness depends.
        name: what errors call the policy; its class by default.
        replay: repeat the calls for some lanes beside other lanes, to check that lanes are independent.
        progress: told (stage, calls done, calls in all).

    Raises:
        UnknownNameError: no such suite or split.
        DataError: a dataset is not built; names the command that builds it.
        MethodError: the policy broke its contract; names method, lane and step.
        DependentLanesError: the prediction of a lane depends on other lanes; names task and shots.
        MetabenchError: a shot count that the suite has no data for.
    """
    suite = load_suite(suite) if isinstance(suite, str) else suite
    protocol.check_split(suite, split)
    counts = choose_prediction_shots(suite, split, shots)
    opener = copy_anew(policy, name) if isinstance(policy, Policy) else policy
    tally, held_out, costs = None, None, []
    kept: list[Call] = []
    for row, count in enumerate(counts):
        label = f"{split} {PREDICTION}: {say_count(count, 'shot')}"
        with opener() as opened:
            guarded = _guard(opened, name, suite)
            if not guarded.predicts:
                return PredictionEvaluation(None, ())
            if held_out is None or tally is None:  # only now: data of no use need not be read
                held_out = load_held_out(suite, split, max(counts))
                if not held_out.lanes:
                    return PredictionEvaluation(None, ())
                units = measure_units(suite, held_out.behaviours)
                tally = Tally(held_out, units, len(counts), suite.spaces.horizon)
                chosen = choose_calls(suite, split, len(counts), len(held_out.list_parts()), seed)
            calls = _predict_with_shots(
                guarded, suite, split, held_out, count, seed, _Report(progress, label)
            )
            for part, prefix, places, call in calls:
                tally.add(row, prefix, places, call.said)
                if replay and (row, part) == chosen:
                    kept, kept_label = [*kept, call], label
        costs.append(_price(guarded, split, count, len(held_out.lanes)))
    if kept:
        with opener() as opened:
            repeat_calls(_guard(opened, name, suite), suite, split, kept, seed, kept_label)
    assert tally is not None
    return PredictionEvaluation(tally.make_predictions(split, counts), tuple(costs))


def _guard(policy: Policy, name: str | None, suite: Suite) -> GuardedPolicy:
    return GuardedPolicy(policy, name or type(policy).__name__, suite.spaces)


@dataclass(frozen=True)
class _Report:
    progress: Progress | None
    label: str

    def __call__(self, done: int, total: int) -> None:
        if self.progress is not None:
            self.progress(self.label, done, total)


def _predict_with_shots(
    policy: GuardedPolicy,
    suite: Suite,
    split: str,
    held_out: HeldOut,
    shots: int,
    seed: int,
    report: _Report,
) -> Iterator[tuple[int, int, Array, Call]]:
    """Ask for all lanes after all prefixes: part, prefix, places of its lanes, and what was said of them.

    The same lanes stand for each prefix, so that support is read once.
    """
    seeds = protocol.derive_policy_seeds(suite, split, PREDICTION, len(held_out.lanes), seed)
    horizon = suite.spaces.horizon
    prefixes = [prefix for prefix in PREFIXES if list_steps_ahead(horizon, prefix)]
    parts = held_out.list_parts()
    done, total = 0, len(parts) * len(prefixes)
    report(done, total)
    for part, places in enumerate(parts):
        lanes = held_out.list_lanes(places, shots)
        own_seeds = [seeds[place] for place in places]
        support = held_out.make_support(places, shots) if shots else {}
        policy.reset([lane.group for lane in lanes], own_seeds, None)
        if shots:
            policy.adapt(support)
        episodes = [held_out.lanes[place].episode for place in places]
        for prefix in prefixes:
            most = max(list_steps_ahead(horizon, prefix))
            given, actions = cut_episodes(episodes, prefix, most)
            said = policy.predict(given, actions)
            yield part, prefix, places, Call(lanes, own_seeds, support, given, actions, said)
            done += 1
            report(done, total)


def cut_episodes(
    episodes: Sequence[Episode], prefix: int, steps: int
) -> tuple[list[Episode], Array]:
    """The first `prefix` steps of episodes, and the `(lanes, steps, ...)` actions that follow.

    A shorter episode is cut before its last step, and its last action is repeated: what is said of these is not
    scored.
    """
    given, actions = [], []
    for episode in episodes:
        first = min(prefix, len(episode) - 1)
        given.append(
            Episode(
                episode.observations[: first + 1],
                episode.actions[:first],
                episode.rewards[:first],
                terminated=False,
                truncated=False,
            )
        )
        actions.append(episode.actions[np.minimum(first + np.arange(steps), len(episode) - 1)])
    return given, np.stack(actions)


def _price(policy: GuardedPolicy, split: str, shots: int, lanes: int) -> PredictionCost:
    return PredictionCost.model_validate(
        {
            "split": split,
            "shots": shots,
            "lanes": lanes,
            "predict_calls": policy.predict_calls,
            "adapt_calls": policy.adapt_calls,
            "seconds_predicting": policy.seconds_predicting,
            "seconds_adapting": policy.seconds_adapting,
        }
    )
