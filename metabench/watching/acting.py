"""The episodes to watch: those of one lane of the evaluator, and the teacher's from the same starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from metabench.data.episode import Episode
from metabench.envs import Array
from metabench.errors import MetabenchError
from metabench.evaluation import protocol
from metabench.evaluation.evaluate import PolicyOpener, Progress, evaluate
from metabench.evaluation.guarded_policy import GuardedPolicy
from metabench.evaluation.independence import Played
from metabench.evaluation.protocol import Lane
from metabench.evaluation.rollout import roll_out_policy
from metabench.methods.contract import Policy, Step
from metabench.suites import Suite
from metabench.suites.schema import TaskEntry

EXPERT = "expert"


@dataclass(frozen=True)
class Start:
    """Where an episode begins, for whoever acts in it.

    Attributes:
        lane: of the protocol.
        scored: whether it is scored; else it is a support episode.
        reset_seed: of the simulator's noise.
        policy_seed: of what acts.
    """

    lane: Lane
    scored: bool
    reset_seed: int
    policy_seed: int


@dataclass(frozen=True)
class Watched:
    """A policy's episodes in one task, in the order of acting: support, then the scored one.

    Attributes:
        suite: where they were acted.
        task: in which task.
        split: of the task.
        name: what the policy is called.
        starts: one an episode.
        episodes: what the policy did.
        taught: what the teacher did from the same starts; None where there is none, or it is not to be shown.
        last: what the last episode is called; the others are support.
    """

    suite: Suite
    task: TaskEntry
    split: str
    name: str
    starts: tuple[Start, ...]
    episodes: tuple[Episode, ...]
    taught: tuple[Episode, ...] | None
    last: str = "scored"


def choose_task(suite: Suite, split: str, task: int | None) -> TaskEntry:
    """A task of `split` by its id; None takes the first.

    Raises:
        UnknownNameError: the suite has no such split.
        MetabenchError: the split has no such task; names the first and the last.
    """
    tasks = protocol.list_tasks(suite, split)
    if task is None:
        return tasks[0]
    found = next((each for each in tasks if each.id == task), None)
    if found is None:
        raise MetabenchError(
            f"suite {suite.name}: split {split!r} has no task {task}; expected one of its {len(tasks)}, "
            f"{tasks[0].id} to {tasks[-1].id}"
        )
    return found


def act_watched(
    opener: PolicyOpener,
    suite: Suite,
    name: str,
    *,
    split: str = "test",
    task: int | None = None,
    shots: int = 3,
    seed: int = 0,
    privileged: bool = False,
    teacher: bool = True,
    progress: Progress | None = None,
) -> Watched:
    """Let the evaluator act, and keep what it saw in one task: the first support, its first scored episode.

    All lanes of the protocol act, as in an evaluation: a policy's randomness depends on its lane's place, and its last
    bits may depend on how many act at once. The scored episode is that of a record's row with support 0 and episode 0.

    Args:
        opener: opens the policy anew, as for `evaluate`.
        suite: where.
        name: what the policy is called.
        split: `test`, `test-far` or `validation`.
        task: the id of a task of this split; None is the first.
        shots: support episodes before the scored one; 0 is zero-shot.
        seed: the evaluation seed.
        privileged: reveal the tasks' parameters to the policy.
        teacher: whether the suite's teacher acts from the same starts, where there is one.
        progress: told (stage, steps done, steps in all).

    Raises:
        UnknownNameError: the suite has no such split.
        MetabenchError: the split has no such task, or `shots` is below 0.
        MethodError: the policy broke its contract.
    """
    chosen = choose_task(suite, split, task)
    if shots < 0:
        raise MetabenchError(f"shots: expected 0 or more, found {shots}")
    kept: list[tuple[Start, Episode]] = []

    def keep(played: Played) -> None:
        seeds = protocol.derive_reset_seeds(suite, split, played.lanes, scored=played.scored)
        for lane, reset_seed, policy_seed, episode in zip(
            played.lanes, seeds, played.seeds, played.episodes, strict=True
        ):
            first = lane.episode == 0 or not played.scored
            if lane.task == chosen.id and lane.support == 0 and first:
                kept.append((Start(lane, played.scored, reset_seed, policy_seed), episode))

    evaluate(
        opener,
        suite,
        "few-shot" if shots else "zero-shot",
        split=split,
        shots=[shots],
        seed=seed,
        privileged=privileged,
        name=name,
        progress=progress,
        watch=keep,
    )
    starts, episodes = zip(*kept, strict=True)
    taught = act_teacher(suite, starts, progress) if teacher else None
    return Watched(suite, chosen, split, name, starts, episodes, taught)


def act_teacher(
    suite: Suite, starts: Sequence[Start], progress: Progress | None = None
) -> tuple[Episode, ...] | None:
    """What the suite's expert does from these starts, told the task; None where there is no expert."""
    policy = _ToldTeacher(suite)
    if EXPERT not in policy.behaviours:
        return None
    lanes = [replace(start.lane, group=place) for place, start in enumerate(starts)]
    return roll_out_policy(
        GuardedPolicy(policy, "teacher", suite.spaces),
        suite,
        suite.environment(),
        lanes,
        [start.reset_seed for start in starts],
        [start.policy_seed for start in starts],
        {},
        scored=True,
        keep=True,
        privileged=True,
        progress=None
        if progress is None
        else lambda done, total: progress("the teacher", done, total),
    ).episodes


class _ToldTeacher(Policy):
    """The suite's expert behind the contract that the rollout loop acts by."""

    def __init__(self, suite: Suite) -> None:
        self._teacher = suite.teacher()
        self.behaviours = self._teacher.behaviours
        self._seeds: list[int] = []

    def reset(self, groups: Sequence[int], seeds: Sequence[int]) -> None:
        del groups
        self._seeds = list(seeds)

    def reveal(self, tasks: Sequence[Mapping[str, Any]]) -> None:
        self._teacher.reset([EXPERT] * len(tasks), tasks, self._seeds)

    def act(self, step: Step) -> Array:
        return self._teacher.act(step.observation)

    def save(self, folder: Any) -> None:
        """Nothing keeps it."""
        raise NotImplementedError
