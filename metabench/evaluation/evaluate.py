"""The one evaluator: a policy, a suite, a track; out come the rows of every scored episode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from metabench.envs import BatchedEnvironment
from metabench.evaluation import protocol
from metabench.evaluation.guarded_policy import GuardedPolicy
from metabench.evaluation.logged_supports import Supports, load_logged_supports
from metabench.evaluation.protocol import Lane
from metabench.evaluation.rollout import Rollout, roll_out_policy
from metabench.evaluation.rows import Block, Collection, Counts, Row
from metabench.methods.contract import Episode, Policy
from metabench.suites import Suite, load_suite

Progress: TypeAlias = Callable[[str, int, int], None]
"""Told (stage, done, total)."""


@dataclass(frozen=True)
class Evaluation:
    """What one track on one split measured.

    Attributes:
        blocks: the scored rows, one block a shot count.
        collection: the support episodes that the policy acted itself; None but for few-shot.
        counts: real steps and policy calls.
        seconds_acting: spent in `Policy.act`.
        seconds_adapting: spent in `Policy.adapt`.
    """

    blocks: tuple[Block, ...]
    collection: Collection | None
    counts: Counts
    seconds_acting: float
    seconds_adapting: float


def evaluate(
    policy: Policy,
    suite: Suite | str,
    track: str,
    *,
    split: str = "test",
    shots: Sequence[int] | None = None,
    seed: int = 0,
    privileged: bool = False,
    name: str | None = None,
    logged: Supports | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Score `policy` in one track of the protocol; all episodes of a stage act at once.

    Args:
        policy: the policy.
        suite: a suite or its name.
        track: `zero-shot`, `few-shot` or `logged-shot`.
        split: `test` or `test-far`.
        shots: numbers of support episodes; None takes the protocol's.
        seed: the evaluation seed: the policy's randomness depends on it, the tasks' reset noise does not.
        privileged: reveal the tasks' parameters to the policy.
        name: what errors call the policy; its class by default.
        logged: of `logged-shot`, the supports; None reads the protocol's from the suite's data, which must be built.
        progress: told (stage, steps done, steps in all).

    Raises:
        UnknownNameError: no such suite, split or track.
        DataError: the data of `logged-shot` is not built; names the command that builds it.
        MethodError: the policy broke its contract; names method, lane and step.
    """
    suite = load_suite(suite) if isinstance(suite, str) else suite
    protocol.check_split(suite, split)
    counts = protocol.choose_shot_counts(split, track, shots)
    guarded = GuardedPolicy(policy, name or type(policy).__name__, suite.spaces)
    stages = _Stages(guarded, suite, suite.environment(), split, track, seed, privileged, progress)
    supports: Supports = {}
    collected: list[Rollout] = []
    if track == "few-shot":
        supports, collected = stages.collect(max(counts))
    elif track == "logged-shot":
        supports = load_logged_supports(suite, split, max(counts)) if logged is None else logged
    scored = stages.score(counts, supports)
    return Evaluation(
        blocks=tuple(_block(scored, split, track, count) for count in counts),
        collection=_collection(collected, split) if collected else None,
        counts=Counts(
            scored_steps=scored.steps,
            support_steps=sum(rollout.steps for rollout in collected),
            act_calls=guarded.act_calls,
            adapt_calls=guarded.adapt_calls,
        ),
        seconds_acting=guarded.seconds_acting,
        seconds_adapting=guarded.seconds_adapting,
    )


@dataclass(frozen=True)
class _Stages:
    """The rollouts of one evaluation."""

    policy: GuardedPolicy
    suite: Suite
    environment: BatchedEnvironment
    split: str
    track: str
    seed: int
    privileged: bool
    progress: Progress | None

    def collect(self, shots: int) -> tuple[Supports, list[Rollout]]:
        """Let the policy act `shots` support episodes in sequence, each after adapting to the earlier ones."""
        supports: dict[tuple[int, int], list[Episode]] = {}
        rollouts = []
        for episode in range(shots):
            lanes = protocol.list_collection_lanes(self.suite, self.split, episode)
            rollout = self._roll_out(
                lanes, supports, f"support episode {episode + 1}", scored=False
            )
            rollouts.append(rollout)
            for lane, acted in zip(lanes, rollout.episodes, strict=True):
                supports.setdefault((lane.task, lane.support), []).append(acted)
        return supports, rollouts

    def score(self, shots: Sequence[int], supports: Supports) -> Rollout:
        """All scored episodes of all shot counts at once."""
        lanes = protocol.list_scored_lanes(self.suite, self.split, self.track, shots)
        return self._roll_out(lanes, supports, "scored episodes", scored=True)

    def _roll_out(
        self, lanes: Sequence[Lane], supports: Supports, stage: str, *, scored: bool
    ) -> Rollout:
        label = f"{self.split} {self.track}: {stage}"
        report = self.progress
        return roll_out_policy(
            self.policy,
            self.suite,
            self.environment,
            lanes,
            protocol.derive_reset_seeds(
                self.suite, self.split, self.track if scored else "collection", lanes
            ),
            protocol.derive_policy_seeds(
                self.suite, self.split, self.track, stage, len(lanes), self.seed
            ),
            {
                lane.group: supports[lane.task, lane.support][: lane.shots]
                for lane in lanes
                if lane.shots
            },
            scored=scored,
            keep=not scored,
            privileged=self.privileged,
            progress=None if report is None else lambda done, total: report(label, done, total),
        )


def _block(rollout: Rollout, split: str, track: str, shots: int) -> Block:
    rows = [row for row, count in zip(rollout.rows, rollout.shots, strict=True) if count == shots]
    return Block.model_validate({"split": split, "track": track, "shots": shots, "rows": rows})


def _collection(rollouts: Sequence[Rollout], split: str) -> Collection:
    rows: list[Row] = sorted(row for rollout in rollouts for row in rollout.rows)
    return Collection.model_validate({"split": split, "rows": rows})
