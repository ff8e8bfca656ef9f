"""Episodes acted for a report: a few lanes of the protocol, with what the simulator shows of each moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from metabench.envs import Array, BatchedEnvironment, BatchStep, Scene, TaskParameters
from metabench.evaluation import protocol
from metabench.evaluation.evaluate import PolicyOpener
from metabench.evaluation.guarded_policy import GuardedPolicy
from metabench.evaluation.protocol import Lane
from metabench.evaluation.rollout import roll_out_policy
from metabench.methods.contract import Episode, Policy
from metabench.suites import Suite
from metabench.suites.schema import TaskEntry
from metabench.watching.acting import Start, Watched, act_teacher

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
        scenes: one before each step and after the last; empty where the simulator shows none.
        start: where it began; None where that is not known.
    """

    kind: str
    support: bool
    episode: Episode
    scenes: tuple[Scene, ...]
    start: Start | None = None


def act_episodes(
    opener: PolicyOpener,
    name: str,
    suite: Suite,
    seed: int,
    *,
    privileged: bool,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[tuple[TaskEntry, list[Acted]]]:
    """Act in the first test tasks: one episode without support, `SHOTS` of support, and one after them.

    Resets have the protocol's seeds; as other lanes act beside these than in an evaluation, a policy that draws its
    actions may draw others. `opener` loads the policy anew, as in an evaluation; errors call it `name`.

    Raises:
        MethodError: the policy broke its contract; names method, lane and step.
        SimulationError: a lane diverged.
    """
    environment = _WatchedEnvironment(suite.environment())
    tasks = suite.split(SPLIT)[:TASKS]
    found: list[list[Acted]] = [[] for _ in tasks]

    def act(
        policy: Policy, kind: str, stage: str, shots: int, episode: int, *, support: bool
    ) -> None:
        lanes = [Lane(task.id, 0, shots, episode, group) for group, task in enumerate(tasks)]
        given: Mapping[int, Sequence[Episode]] = {
            group: [each.episode for each in acted if each.support]
            for group, acted in enumerate(found)
        }
        reset_seeds = protocol.derive_reset_seeds(suite, SPLIT, lanes, scored=not support)
        policy_seeds = protocol.derive_policy_seeds(suite, SPLIT, stage, len(lanes), seed)
        rollout = roll_out_policy(
            GuardedPolicy(policy, name, suite.spaces),
            suite,
            environment,
            lanes,
            reset_seeds,
            policy_seeds,
            given if shots else {},
            scored=not support,
            keep=True,
            privileged=privileged,
            progress=None
            if progress is None
            else lambda done, total: progress(f"acting: {kind}", done, total),
        )
        for lane, acted in enumerate(rollout.episodes):
            start = Start(lanes[lane], not support, reset_seeds[lane], policy_seeds[lane])
            scenes = environment.lane_scenes(lane, len(acted))
            found[lane].append(Acted(kind, support, acted, scenes, start))

    with opener() as policy:
        act(policy, ZERO_SHOT, "scored episodes", 0, 0, support=False)
    with opener() as policy:
        for number in range(SHOTS):
            stage = f"support episode {number + 1}"
            act(policy, stage, stage, number, number, support=True)
    with opener() as policy:
        act(policy, ADAPTED, "scored episodes", SHOTS, 0, support=False)
    return list(zip(tasks, found, strict=True))


def watch_adapting(suite: Suite, name: str, task: TaskEntry, acted: Sequence[Acted]) -> Watched:
    """What a clip of the task shows: the support episodes and the scored one after them, the teacher beside it."""
    shown = [
        (each.start, each.episode)
        for each in acted
        if each.kind != ZERO_SHOT and each.start is not None
    ]
    starts = tuple(start for start, _ in shown)
    episodes = tuple(episode for _, episode in shown)
    taught = act_teacher(suite, starts)
    return Watched(suite, task, SPLIT, name, starts, episodes, taught, ADAPTED)


class _WatchedEnvironment(BatchedEnvironment):
    """An environment that keeps what its lanes looked like."""

    def __init__(self, environment: BatchedEnvironment) -> None:
        self.spaces = environment.spaces
        self._environment = environment
        self._moments: list[list[Scene | None]] = []

    def reset(self, parameters: Sequence[TaskParameters], seeds: Sequence[int]) -> Array:
        """Begin, and forget what was before."""
        first = self._environment.reset(parameters, seeds)
        self._moments.clear()
        self._look(len(parameters))
        return first

    def step(self, actions: Array) -> BatchStep:
        """Step, and look."""
        step = self._environment.step(actions)
        self._look(len(actions))
        return step

    def lane_scenes(self, lane: int, steps: int) -> tuple[Scene, ...]:
        """The scenes of one lane's first steps; none if it ever showed none."""
        scenes = [moment[lane] for moment in self._moments[: steps + 1]]
        return tuple(scene for scene in scenes if scene is not None) if None not in scenes else ()

    def _look(self, lanes: int) -> None:
        self._moments.append([self._environment.scene(lane) for lane in range(lanes)])
