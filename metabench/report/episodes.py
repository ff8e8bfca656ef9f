"""Episodes acted for a report: a few lanes of the protocol, with the bodies' positions where there are any."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from metabench.envs import Array, BatchedEnvironment, BatchStep, TaskParameters
from metabench.evaluation import protocol
from metabench.evaluation.guarded_policy import GuardedPolicy
from metabench.evaluation.protocol import Lane
from metabench.evaluation.rollout import roll_out_policy
from metabench.methods.contract import Episode
from metabench.suites import Suite
from metabench.suites.schema import TaskEntry

TASKS = 3
"""Test tasks that are acted in, the first ones."""

SHOTS = 3
"""Support episodes that are acted before the last one."""

SPLIT = "test"

ZERO_SHOT, ADAPTED = "without support", f"after {SHOTS} own episodes"
"""The two scored kinds of episodes."""


@dataclass(frozen=True)
class Acted:
    """One episode.

    Attributes:
        kind: `ZERO_SHOT`, `ADAPTED`, or which support episode it is.
        support: it is a support episode, in which the policy may explore.
        episode: what happened.
        positions: `(T + 1, nq)` joint positions; None where the simulator has no body.
    """

    kind: str
    support: bool
    episode: Episode
    positions: Array | None


def act_episodes(
    policy: GuardedPolicy,
    suite: Suite,
    seed: int,
    *,
    privileged: bool,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[tuple[TaskEntry, list[Acted]]]:
    """Act in the first test tasks: one episode without support, `SHOTS` of support, and one after them.

    Resets have the protocol's seeds; as other lanes act beside these than in an evaluation, a policy that draws its
    actions may draw others.

    Raises:
        MethodError: the policy broke its contract; names method, lane and step.
        SimulationError: a lane diverged.
    """
    environment = _Watched(suite.environment())
    tasks = suite.split(SPLIT)[:TASKS]
    found: list[list[Acted]] = [[] for _ in tasks]

    def act(kind: str, track: str, stage: str, shots: int, episode: int, *, support: bool) -> None:
        lanes = [Lane(task.id, 0, shots, episode, group) for group, task in enumerate(tasks)]
        given: Mapping[int, Sequence[Episode]] = {
            group: [each.episode for each in acted if each.support] for group, acted in enumerate(found)
        }
        rollout = roll_out_policy(
            policy,
            suite,
            environment,
            lanes,
            protocol.derive_reset_seeds(suite, SPLIT, "collection" if support else track, lanes),
            protocol.derive_policy_seeds(suite, SPLIT, track, stage, len(lanes), seed),
            given if shots else {},
            scored=not support,
            keep=True,
            privileged=privileged,
            progress=None if progress is None else lambda done, total: progress(f"acting: {kind}", done, total),
        )
        for lane, acted in enumerate(rollout.episodes):
            found[lane].append(Acted(kind, support, acted, environment.path(lane, len(acted))))

    act(ZERO_SHOT, "zero-shot", "scored episodes", 0, 0, support=False)
    for number in range(SHOTS):
        act(f"support episode {number + 1}", "few-shot", f"support episode {number + 1}", number, number, support=True)
    act(ADAPTED, "few-shot", "scored episodes", SHOTS, 0, support=False)
    return list(zip(tasks, found, strict=True))


class _Watched(BatchedEnvironment):
    """An environment that keeps where its bodies were."""

    def __init__(self, environment: BatchedEnvironment) -> None:
        self.spaces = environment.spaces
        self._environment = environment
        self._positions: list[Array] = []

    def reset(self, parameters: Sequence[TaskParameters], seeds: Sequence[int]) -> Array:
        """Begin, and forget what was before."""
        first = self._environment.reset(parameters, seeds)
        self._positions.clear()
        self._keep()
        return first

    def step(self, actions: Array) -> BatchStep:
        """Step, and look."""
        step = self._environment.step(actions)
        self._keep()
        return step

    def path(self, lane: int, steps: int) -> Array | None:
        """`(steps + 1, nq)` positions of one lane, if there are any."""
        return np.array([each[lane] for each in self._positions[: steps + 1]]) if self._positions else None

    def _keep(self) -> None:
        from metabench.envs.locomotion.environment import LocomotionEnvironment

        if isinstance(self._environment, LocomotionEnvironment):
            self._positions.append(self._environment.positions.copy())
