"""The one evaluator: a policy, a suite, a track; out come the rows of every scored episode."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from metabench.envs import BatchedEnvironment
from metabench.errors import MethodError
from metabench.evaluation import protocol, seeds
from metabench.evaluation.guarded_policy import GuardedPolicy
from metabench.evaluation.independence import Played, Replay, Replayed, replay_lanes
from metabench.evaluation.logged_supports import Supports, load_logged_supports
from metabench.evaluation.protocol import Lane
from metabench.evaluation.rollout import Rollout, roll_out_policy
from metabench.evaluation.rows import Block, Collection, Counts, Row, StageCost
from metabench.methods.contract import Episode, Policy
from metabench.suites import Suite, load_suite
from metabench.system.wording import say_count

Progress: TypeAlias = Callable[[str, int, int], None]
"""Told (stage, done, total)."""

PolicyOpener: TypeAlias = Callable[[], AbstractContextManager[Policy]]
"""Loads a policy anew, for as long as the context is entered; nothing passes from one to the next."""


@dataclass(frozen=True)
class Evaluation:
    """The measurements of one track on one split.

    Attributes:
        blocks: the scored rows, one block a shot count.
        collection: the support episodes that the policy collected itself; None except for few-shot.
        counts: real steps, policy calls, and what was replayed.
        stages: the cost of each rollout, in their order, without replays.
    """

    blocks: tuple[Block, ...]
    collection: Collection | None
    counts: Counts
    stages: tuple[StageCost, ...]

    @property
    def seconds_acting(self) -> float:
        """Spent in `Policy.act`."""
        return sum(stage.seconds_acting for stage in self.stages)

    @property
    def seconds_adapting(self) -> float:
        """Spent in `Policy.adapt`."""
        return sum(stage.seconds_adapting for stage in self.stages)


def evaluate(
    policy: Policy | PolicyOpener,
    suite: Suite | str,
    track: str,
    *,
    split: str = "test",
    shots: Sequence[int] | None = None,
    seed: int = 0,
    privileged: bool = False,
    name: str | None = None,
    logged: Supports | None = None,
    replays: Sequence[Replay] = (),
    progress: Progress | None = None,
    watch: Callable[[Played], None] | None = None,
) -> Evaluation:
    """Score a policy in one track of the protocol; all lanes of a rollout act at once.

    Every shot count has its own rollout by a freshly opened policy. In few-shot another freshly opened policy
    collects all support episodes, one after another.

    Args:
        policy: a function that opens the policy, as runs do from its folder:
            `lambda: nullcontext(method.load(folder, spaces))`. In a notebook, the policy itself: a deep copy of its
            present state then acts in each rollout. Rows of a record come from the saved policy, which may be
            rounded.
        suite: a suite or its name.
        track: `zero-shot`, `few-shot` or `logged-shot`.
        split: `test`, `test-far` or `validation`. Use `validation` to choose between configurations: its steps count
            as development steps, and it is never ranked.
        shots: numbers of support episodes; None takes the protocol's.
        seed: the evaluation seed: the policy's randomness depends on it, the tasks' reset noise does not.
        privileged: reveal the tasks' parameters to the policy.
        name: what errors call the policy; its class by default.
        logged: of `logged-shot`, the supports; None reads the protocol's from the suite's data, which must be built.
        replays: rollouts of this track in which lanes act again beside other lanes, to check that lanes are
            independent. None by default; `metabench run`, `check` and `leaderboard verify` choose some.
        progress: told (stage, steps done, steps in all).
        watch: called with every rollout and all its episodes, in their order, without replays.

    Raises:
        UnknownNameError: no such suite, split or track.
        DataError: the data of `logged-shot` is not built; names the command that builds it.
        MethodError: the policy broke its contract; names method, lane and step. `DependentLanesError`: its lanes share
            what they see. Or a policy was given that cannot be copied.
    """
    suite = load_suite(suite) if isinstance(suite, str) else suite
    protocol.check_split(suite, split)
    counts = protocol.choose_shot_counts(suite, split, track, shots)
    opener = copy_anew(policy, name) if isinstance(policy, Policy) else policy
    stages = _Stages(
        opener,
        name,
        suite,
        suite.environment(),
        split,
        track,
        seed,
        privileged,
        replays,
        progress,
        watch,
    )
    supports: Supports = {}
    collected: list[Rollout] = []
    if track == "few-shot":
        supports, collected = stages.collect(max(counts))
    elif track == "logged-shot":
        supports = load_logged_supports(suite, split, max(counts)) if logged is None else logged
    scored = [stages.score(count, supports) for count in counts]
    return Evaluation(
        blocks=tuple(
            Block.model_validate(
                {"split": split, "track": track, "shots": count, "rows": each.rows}
            )
            for count, each in zip(counts, scored, strict=True)
        ),
        collection=_make_collection(collected, split) if collected else None,
        counts=_count(split, scored, collected, stages),
        stages=tuple(stages.costs),
    )


def copy_anew(policy: Policy, name: str | None) -> PolicyOpener:
    """What opens deep copies of a policy; entering raises `MethodError` if it cannot be copied."""

    @contextmanager
    def copied() -> Iterator[Policy]:
        try:
            fresh = copy.deepcopy(policy)
        except Exception as error:  # a plugin may hold anything
            raise MethodError(
                f"method {name or type(policy).__name__!r}: the policy cannot be copied "
                f"({type(error).__name__}: {error}): expected a function that opens it"
            ) from error
        yield fresh

    return copied


@dataclass(frozen=True)
class _Stages:
    """The rollouts of one evaluation, with what they cost and what of them was replayed."""

    open: PolicyOpener
    name: str | None
    suite: Suite
    environment: BatchedEnvironment
    split: str
    track: str
    seed: int
    privileged: bool
    replays: Sequence[Replay]
    progress: Progress | None
    watch: Callable[[Played], None] | None
    costs: list[StageCost] = field(default_factory=list)
    replayed: list[Replayed] = field(default_factory=list)

    def collect(self, shots: int) -> tuple[Supports, list[Rollout]]:
        """Let the policy act `shots` support episodes in sequence, each after adapting to the earlier ones."""
        supports: dict[tuple[int, int], list[Episode]] = {}
        rollouts = []
        with self._open_guarded() as policy:
            for episode in range(shots):
                lanes = protocol.list_collection_lanes(self.suite, self.split, episode)
                rollouts.append(self._roll_out(policy, lanes, supports, episode, scored=False))
                for lane, acted in zip(lanes, rollouts[-1].episodes, strict=True):
                    supports.setdefault((lane.task, lane.support), []).append(acted)
        return supports, rollouts

    def score(self, shots: int, supports: Supports) -> Rollout:
        """All scored episodes of one shot count at once, by a policy that has seen nothing."""
        lanes = protocol.list_scored_lanes(self.suite, self.split, self.track, shots)
        with self._open_guarded() as policy:
            return self._roll_out(policy, lanes, supports, shots, scored=True)

    @contextmanager
    def _open_guarded(self) -> Iterator[GuardedPolicy]:
        with self.open() as policy:
            name = self.name or type(policy).__name__
            yield GuardedPolicy(policy, name, self.suite.spaces)

    def _roll_out(
        self,
        policy: GuardedPolicy,
        lanes: Sequence[Lane],
        supports: Supports,
        shots: int,
        *,
        scored: bool,
    ) -> Rollout:
        stage = "scored episodes" if scored else f"support episode {shots + 1}"
        label = f"{self.split} {self.track}: " + (
            say_count(shots, "shot") if scored and shots else stage
        )
        report = self.progress
        starts = protocol.derive_reset_seeds(self.suite, self.split, lanes, scored=scored)
        policy_seeds = protocol.derive_policy_seeds(
            self.suite, self.split, stage, len(lanes), self.seed
        )
        support: Mapping[int, Sequence[Episode]] = {
            lane.group: supports[lane.task, lane.support][: lane.shots]
            for lane in lanes
            if lane.shots
        }
        replays = [each for each in self.replays if (each.shots, each.scored) == (shots, scored)]
        before = _read_meter(policy)
        rollout = roll_out_policy(
            policy,
            self.suite,
            self.environment,
            lanes,
            starts,
            policy_seeds,
            support,
            scored=scored,
            keep=not scored or bool(replays) or self.watch is not None,
            privileged=self.privileged,
            progress=None if report is None else lambda done, total: report(label, done, total),
        )
        self.costs.append(self._price(policy, before, shots, len(lanes), scored=scored))
        played = Played(lanes, policy_seeds, support, rollout.episodes, scored)
        if self.watch is not None:
            self.watch(played)
        for replay in replays:
            with self._open_guarded() as fresh:
                which = seeds.seed_replay(self.suite, self.split, self.track, label, self.seed)
                self.replayed.append(
                    replay_lanes(
                        fresh, self.suite, played, replay, which, label, privileged=self.privileged
                    )
                )
        return rollout

    def _price(
        self,
        policy: GuardedPolicy,
        before: tuple[int, int, float, float],
        shots: int,
        episodes: int,
        *,
        scored: bool,
    ) -> StageCost:
        spent = [now - then for now, then in zip(_read_meter(policy), before, strict=True)]
        return StageCost.model_validate(
            {
                "split": self.split,
                "track": self.track,
                "shots": shots,
                "scored": scored,
                "episodes": episodes,
                "act_calls": spent[0],
                "adapt_calls": spent[1],
                "seconds_acting": spent[2],
                "seconds_adapting": spent[3],
            }
        )


def _read_meter(policy: GuardedPolicy) -> tuple[int, int, float, float]:
    return policy.act_calls, policy.adapt_calls, policy.seconds_acting, policy.seconds_adapting


def _count(
    split: str, scored: Sequence[Rollout], collected: Sequence[Rollout], stages: _Stages
) -> Counts:
    steps = [sum(rollout.steps for rollout in part) for part in (scored, collected)]
    develops = split == protocol.VALIDATION
    return Counts(
        scored_steps=0 if develops else steps[0],
        support_steps=0 if develops else steps[1],
        development_steps=sum(steps) if develops else 0,
        act_calls=sum(cost.act_calls for cost in stages.costs),
        adapt_calls=sum(cost.adapt_calls for cost in stages.costs),
        replayed_lanes=sum(each.lanes for each in stages.replayed),
        replayed_steps=sum(each.steps for each in stages.replayed),
    )


def _make_collection(rollouts: Sequence[Rollout], split: str) -> Collection:
    rows: list[Row] = sorted(row for rollout in rollouts for row in rollout.rows)
    return Collection.model_validate({"split": split, "rows": rows})
