"""Whether lanes are independent: some of them act once more, on what they saw, in other company.

A lane may know its own episode and its group's support, nothing else. A policy whose lanes share what they learn has
more experience than the protocol gives it. So a sample of lanes, each of another task, is fed its recorded observations
again by a freshly loaded policy with the same seeds, while all other lanes see episodes and supports of another task:
its actions must be equal. No simulator is needed. Everything that last bits may depend on is as it was: how many lanes
there are and in which places, which of them are active, and how long the supports are.

Not found is who shares only in rollouts, lanes or steps that are not replayed (`choose_replay` takes one rollout of a
run, its first steps; `leaderboard verify` takes all), and who keeps actions or other groups' episodes outside the
policy, on a disk or in a module, and finds them again by what the lane sees: against that helps a process of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from metabench.envs import Array
from metabench.errors import DependentLanesError
from metabench.evaluation import protocol, seeds
from metabench.evaluation.guarded_policy import GuardedPolicy
from metabench.evaluation.protocol import Lane
from metabench.methods.contract import Episode, Step
from metabench.suites import Suite

FEW_LANES = 4
"""Lanes that a run replays, each of another task; at most half of the tasks, so that there is other company."""

FIRST_STEPS = 0.25
"""Share of the horizon that a run replays: with one rollout of a cell's sixteen, 1.6 % of its acting."""


WITH_SUPPORT = 1 / 3
"""Share of the cells that replay a rollout with support: as much as 3 % of an evaluation allow on average."""


@dataclass(frozen=True)
class Replay:
    """Which rollout of a track is replayed, and how much of it.

    Attributes:
        shots: support episodes that the rollout's groups have.
        scored: whether it is the scored rollout, or that of the support episode after `shots` others.
        lanes: how many lanes are compared, each of another task; at most half of the tasks. None is that many.
        share: of the horizon, from the start.
    """

    shots: int
    scored: bool
    lanes: int | None = None
    share: float = 1.0


@dataclass(frozen=True)
class Replayed:
    """How many lanes were compared, and how many actions of theirs in all."""

    lanes: int
    steps: int


@dataclass(frozen=True)
class Played:
    """A rollout as it was.

    Attributes:
        lanes: in the order in which the policy had them.
        seeds: of the policy, one a lane.
        support: of each group; empty where there was none.
        episodes: one a lane.
        scored: what the policy was told of them.
    """

    lanes: Sequence[Lane]
    seeds: Sequence[int]
    support: Mapping[int, Sequence[Episode]]
    episodes: Sequence[Episode]
    scored: bool


def choose_replay(
    suite: Suite, pairs: Sequence[tuple[str, str]], seed: int
) -> tuple[str, str, Replay]:
    """The rollout of a cell that is replayed in part.

    A third of the cells replay one with support: a policy may take as long to adapt as to act, and adapting cannot be
    replayed in part.

    Args:
        suite: the cell's suite.
        pairs: all (split, track) of the cell.
        seed: the evaluation seed.

    Returns:
        Split, track, and what of it.
    """
    every = [
        (split, track, Replay(each.shots, each.scored, FEW_LANES, FIRST_STEPS))
        for split, track in pairs
        for each in list_replays(suite, split, track)
    ]
    generator = np.random.default_rng(seeds.seed_replay_choice(suite, seed))
    with_support = generator.random() < WITH_SUPPORT
    fitting = [each for each in every if (each[2].shots > 0) == with_support] or every
    return fitting[int(generator.integers(len(fitting)))]


def list_replays(suite: Suite, split: str, track: str) -> tuple[Replay, ...]:
    """All rollouts of a track, whole, with as many lanes as there can be."""
    counts = protocol.choose_shot_counts(suite, split, track)
    collected = range(max(counts)) if track == "few-shot" else ()
    return (
        *(Replay(shots, scored=False) for shots in collected),
        *(Replay(shots, scored=True) for shots in counts),
    )


def replay_lanes(
    policy: GuardedPolicy,
    suite: Suite,
    played: Played,
    replay: Replay,
    seed: int,
    label: str,
    *,
    privileged: bool = False,
) -> Replayed:
    """Act a sample of lanes again in other company, and compare their actions.

    Args:
        policy: freshly loaded.
        suite: the suite.
        played: the rollout.
        replay: how much of it.
        seed: which lanes, and what company.
        label: what errors call the rollout.
        privileged: whether to reveal tasks to the policy; each lane's is that of the episode it sees.

    Returns:
        How much was compared; nothing where there is one lane.

    Raises:
        DependentLanesError: an action differs; names method, rollout, task and step.
        MethodError: the policy broke its contract.
    """
    generator = np.random.default_rng(seed)
    chosen = choose_lanes(played.lanes, replay.lanes, generator)
    if not chosen:
        return Replayed(0, 0)
    # (lanes,) whose episode each lane sees now
    sources = choose_sources(played.lanes, chosen, generator)
    shown = [played.episodes[source] for source in sources]
    tasks = [suite.tasks[played.lanes[source].task].parameters for source in sources]
    policy.reset([lane.group for lane in played.lanes], played.seeds, tasks if privileged else None)
    if played.support:
        policy.adapt(change_supports(played, sources))
    lengths = np.array([len(episode) for episode in played.episodes])  # (lanes,)
    script = _write_script(shown, lengths, math.ceil(replay.share * suite.spaces.horizon))
    compared = 0
    for timestep in range(script.observations.shape[1]):
        active = timestep < lengths
        if not active[chosen].any():
            break
        actions = policy.act(script.make_step(suite, timestep, active, played.scored), timestep)
        for lane in chosen:
            if not active[lane]:
                continue
            compared += 1
            if not np.array_equal(actions[lane], played.episodes[lane].actions[timestep]):
                raise DependentLanesError(
                    f"method {policy.name!r}: its lanes are not independent: {label}, "
                    f"task {played.lanes[lane].task}, step {timestep}: with the same seed, support and observations "
                    f"but other lanes beside it, it chose {actions[lane].tolist()}, not "
                    f"{played.episodes[lane].actions[timestep].tolist()}"
                )
    return Replayed(len(chosen), compared)


def choose_lanes(
    lanes: Sequence[Lane], most: int | None, generator: np.random.Generator
) -> list[int]:
    """Places of lanes of different tasks, at most half of all tasks; none where a lane has no company at all."""
    if len(lanes) == 1:
        return []
    tasks = sorted({lane.task for lane in lanes})
    half = max(1, len(tasks) // 2)
    drawn = generator.permutation(tasks)[: half if most is None else min(half, most)]
    return [
        int(generator.choice([i for i, lane in enumerate(lanes) if lane.task == task]))
        for task in drawn
    ]


def choose_sources(
    lanes: Sequence[Lane], chosen: Sequence[int], generator: np.random.Generator
) -> list[int]:
    """For each lane, the one whose episode it sees: itself for the chosen, all others one of a single other task.

    That is no chosen lane's task: who shares within a task finds nobody to share with, and who shares with everybody
    finds others. Where all lanes are of one task, they see the chosen lane's own, from which it learns nothing. Lanes
    of one group see lanes of one group, as far as it has as many.
    """
    checked = {lanes[i].task for i in chosen}
    groups: dict[int, list[int]] = {}
    for i, lane in enumerate(lanes):
        groups.setdefault(lane.group, []).append(i)
    strangers = sorted({lane.task for lane in lanes} - checked)
    if strangers:
        task = int(generator.choice(strangers))
        company = [members for members in groups.values() if lanes[members[0]].task == task]
    else:
        company = [[i] for i in chosen]
    sources = list(range(len(lanes)))
    for members in groups.values():
        shown = company[int(generator.integers(len(company)))]
        for number, member in enumerate(members):
            if member not in chosen:
                sources[member] = shown[number % len(shown)]
    return sources


def change_supports(played: Played, sources: Sequence[int]) -> dict[int, Sequence[Episode]]:
    """Each group's support: its own if one of its lanes sees its own episode, else that of a group that it sees."""
    changed: dict[int, Sequence[Episode]] = {}
    own = {played.lanes[i].group for i, source in enumerate(sources) if i == source}
    for i, source in enumerate(sources):
        group = played.lanes[i].group
        if group in changed:
            continue
        new = played.support[group if group in own else played.lanes[source].group]
        changed[group] = [
            fit_episode(episode, len(old))
            for episode, old in zip(new, played.support[group], strict=True)
        ]
    # In the order in which the policy had them.
    return {group: changed[group] for group in played.support}


def fit_episode(episode: Episode, length: int) -> Episode:
    """As much of an episode as fills `length` steps, from its start again where it is too short."""
    if len(episode) == length:
        return episode
    steps = np.arange(length) % len(episode)
    return Episode(
        observations=episode.observations[np.append(steps, (steps[-1] + 1))],
        actions=episode.actions[steps],
        rewards=episode.rewards[steps],
        terminated=episode.terminated,
        truncated=episode.truncated,
    )


@dataclass(frozen=True)
class _Script:
    """What lanes see in the first steps, whatever they do.

    Attributes:
        observations: `(lanes, steps, observation_dim)`.
        previous_actions: `(lanes, steps, action_dim)` or `(lanes, steps)`; of the first step, any.
        previous_rewards: `(lanes, steps)`; of the first step, any.
    """

    observations: Array
    previous_actions: Array
    previous_rewards: Array

    def make_step(self, suite: Suite, timestep: int, active: Array, scored: bool) -> Step:
        """Copies: the policy may write to them."""
        lanes = len(active)
        first = timestep == 0
        return Step(
            observation=self.observations[:, timestep].copy(),
            previous_action=suite.spaces.null_actions(lanes)
            if first
            else self.previous_actions[:, timestep].copy(),
            previous_reward=np.zeros(lanes, np.float32)
            if first
            else self.previous_rewards[:, timestep].copy(),
            timestep=np.full(lanes, timestep, np.int64),
            active=active.copy(),
            scored=np.full(lanes, scored),
        )


def _write_script(shown: Sequence[Episode], lengths: Array, steps: int) -> _Script:
    """A lane that had ended, or sees a shorter episode, keeps seeing what was last acted on."""
    last = np.minimum(lengths, [len(episode) for episode in shown]) - 1  # (lanes,)
    at = np.minimum(np.arange(min(steps, int(lengths.max()))), last[:, None])  # (lanes, steps)
    before = np.maximum(at - 1, 0)
    return _Script(
        np.stack([episode.observations[i] for episode, i in zip(shown, at, strict=True)]),
        np.stack([episode.actions[i] for episode, i in zip(shown, before, strict=True)]),
        np.stack([episode.rewards[i] for episode, i in zip(shown, before, strict=True)]),
    )
