"""Whether predictions of lanes are independent: some calls are repeated in other company, and must say the same.

As where policies act (`evaluation.independence`): what a lane has seen of its trajectory, its group's support and what
is done next are all that its prediction may depend on. Who looks at other lanes' beginnings knows more of the task than
the track gives it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metabench.envs import Array
from metabench.errors import DependentLanesError
from metabench.evaluation import seeds
from metabench.evaluation.guarded_policy import PREDICTED, GuardedPolicy
from metabench.evaluation.independence import (
    FEW_LANES,
    Played,
    change_supports,
    choose_lanes,
    choose_sources,
    fit_episode,
)
from metabench.evaluation.prediction.quota import PREDICTION
from metabench.evaluation.protocol import Lane
from metabench.methods.contract import Episode, Prediction
from metabench.suites import Suite


@dataclass(frozen=True)
class Call:
    """One call of `Policy.predict`, with what the policy had been told before it.

    Attributes:
        lanes: task and group of each lane.
        seeds: of the policy, one a lane.
        support: of each group; empty without shots.
        prefix: what the policy saw of each lane's trajectory.
        actions: `(lanes, steps, ...)`.
        said: what it predicted.
    """

    lanes: Sequence[Lane]
    seeds: Sequence[int]
    support: dict[int, Sequence[Episode]]
    prefix: Sequence[Episode]
    actions: Array
    said: Prediction


def choose_calls(suite: Suite, split: str, counts: int, parts: int, seed: int) -> tuple[int, int]:
    """Of which shot count (its place) and part of the lanes calls are repeated; `seed` is the evaluation seed."""
    generator = np.random.default_rng(seeds.seed_replay(suite, split, PREDICTION, "call", seed))
    return int(generator.integers(counts)), int(generator.integers(parts))


def repeat_calls(
    policy: GuardedPolicy, suite: Suite, split: str, calls: Sequence[Call], seed: int, label: str
) -> None:
    """Let a freshly opened policy predict a few lanes again, beside lanes of another task, and compare.

    Args:
        policy: freshly opened.
        suite: the suite.
        split: the split.
        calls: what was said of the same lanes, with the same support, after prefixes that get longer.
        seed: the evaluation seed.
        label: what errors call the calls.

    Raises:
        DependentLanesError: a prediction differs; names method, shots and task.
        MethodError: the policy broke its contract.
    """
    first = calls[0]
    company = seeds.seed_replay(suite, split, PREDICTION, "company", seed)
    generator = np.random.default_rng(company)
    chosen = choose_lanes(first.lanes, FEW_LANES, generator)
    if not chosen:
        return
    sources = choose_sources(first.lanes, chosen, generator)  # whose trajectory each lane sees now
    policy.reset([lane.group for lane in first.lanes], first.seeds, None)
    if first.support:
        played = Played(first.lanes, first.seeds, first.support, first.prefix, scored=False)
        policy.adapt(change_supports(played, sources))
    for call in calls:
        prefix = [
            _fit_prefix(call.prefix[source], own)
            for own, source in zip(call.prefix, sources, strict=True)
        ]
        again = policy.predict(prefix, call.actions[sources])
        for lane in chosen:
            _compare_lane(policy.name, call, again, lane, label)


def _compare_lane(name: str, call: Call, again: Prediction, lane: int, label: str) -> None:
    for kind in PREDICTED:
        one, other = getattr(call.said, kind), getattr(again, kind)
        told = one is not None and other is not None
        if one is not other and not (told and np.array_equal(one[lane], other[lane])):
            raise DependentLanesError(
                f"method {name!r}: its lanes are not independent: {label}, task {call.lanes[lane].task}: "
                f"with the same seed, support, beginning and actions but other lanes beside it, it predicted other "
                f"{kind.replace('_', ' ')}"
            )


def _fit_prefix(shown: Episode, own: Episode) -> Episode:
    """As much of a beginning as `own` has; `own` itself where the other has not begun."""
    if len(own):
        return fit_episode(shown, len(own)) if len(shown) else own
    return Episode(
        shown.observations[:1],
        shown.actions[:0],
        shown.rewards[:0],
        terminated=False,
        truncated=False,
    )
