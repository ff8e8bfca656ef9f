"""The protocol as data: tracks, shots, quotas, and every seed that evaluation uses.

All of it is fixed by suite, split and track alone, never by what a policy does: two methods meet the same episodes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from metabench.errors import MetabenchError, UnknownNameError
from metabench.seeding import derived_seed
from metabench.suites import Suite

PROTOCOL = "1"
"""Version of all that is fixed here and in `rollout`; every record names it."""

SPLITS = ("test", "test-far")
"""The splits that are scored."""

TRACKS = ("zero-shot", "few-shot", "logged-shot")
"""Where support comes from: nowhere, the policy's own episodes, logged trajectories."""

SUPPORT_DATASET = "medium"
"""The dataset that the support of `logged-shot` is drawn from."""

_SHOTS: dict[str, dict[str, tuple[int, ...]]] = {
    "test": {"zero-shot": (0,), "few-shot": (1, 3, 5), "logged-shot": (3,)},
    "test-far": {"zero-shot": (0,), "few-shot": (3,), "logged-shot": (3,)},
}


@dataclass(frozen=True, order=True)
class Lane:
    """One episode of the protocol.

    Attributes:
        task: the suite's task id.
        support: which of the task's supports; for zero-shot, which episode.
        shots: support episodes that the policy is given.
        episode: which scored episode of this support; in a collection, which support episode.
        group: the number that the policy knows the lane's (task, support, shots) by.
    """

    task: int
    support: int
    shots: int
    episode: int
    group: int = 0


def check_split(suite: Suite, split: str) -> None:
    """Check that `split` is one of `SPLITS` and that `suite` has it.

    Raises:
        UnknownNameError: it is not; names the suite and the nearest split.
    """
    known = [name for name in SPLITS if name in suite.splits]
    if split not in known:
        raise UnknownNameError(f"scored split of suite {suite.name}", split, known)


def choose_shot_counts(
    split: str, track: str, shots: Sequence[int] | None = None
) -> tuple[int, ...]:
    """The shot counts of a track, ascending and each once: those asked for, or the protocol's.

    Args:
        split: `test` or `test-far`.
        track: one of `TRACKS`.
        shots: numbers of support episodes; None takes the protocol's for this split.

    Raises:
        UnknownNameError: no such track.
        MetabenchError: `shots` holds a number that the track cannot have.
    """
    if track not in TRACKS:
        raise UnknownNameError("track", track, TRACKS)
    if shots is None:
        return _SHOTS[split][track]
    counts = tuple(sorted(set(shots)))
    if track == "zero-shot":
        fits, expected = counts == (0,), "exactly 0"
    else:
        fits, expected = bool(counts) and counts[0] >= 1, "1 or more"
    if not fits:
        found = ", ".join(map(str, shots)) or "none"
        raise MetabenchError(f"track {track!r} takes {expected} shots, not {found}")
    return counts


def list_supported_tracks(suite: Suite) -> tuple[tuple[str, str], ...]:
    """All (split, track) that `suite` can be scored in: `logged-shot` needs `medium` data of the split."""
    datasets = suite.entry.datasets
    logged = datasets[SUPPORT_DATASET].splits if SUPPORT_DATASET in datasets else ()
    return tuple(
        (split, track)
        for split in SPLITS
        if split in suite.splits
        for track in TRACKS
        if track != "logged-shot" or split in logged
    )


def list_scored_lanes(
    suite: Suite, split: str, track: str, shots: Sequence[int]
) -> tuple[Lane, ...]:
    """The scored episodes of a track: E a task and shot count, E/R from each support, in a fixed shuffled order.

    Args:
        suite: whose quotas E (`evaluation.episodes`) and R (`evaluation.supports`) hold.
        split: `test` or `test-far`.
        track: one of `TRACKS`.
        shots: as `choose_shot_counts` gives them.

    Returns:
        One lane an episode, tasks x E x shot counts of them.
    """
    quota = suite.entry.evaluation
    supports, episodes = quota.supports, quota.episodes // quota.supports
    if track == "zero-shot":
        # Episodes without support have nothing in common: each is a group of its own.
        supports, episodes = quota.episodes, 1
    lanes = [
        Lane(task.id, support, count, episode)
        for task in suite.split(split)
        for support in range(supports)
        for count in shots
        for episode in range(episodes)
    ]
    return _make_anonymous(lanes, derived_seed(PROTOCOL, "order", suite.identity, split, track))


def list_collection_lanes(suite: Suite, split: str, episode: int) -> tuple[Lane, ...]:
    """The `episode`-th support episode (counted from 0) of every (task, support), in a fixed shuffled order."""
    lanes = [
        # `episode` earlier ones have been acted: so many shots is the policy given now.
        Lane(task.id, support, shots=episode, episode=episode)
        for task in suite.split(split)
        for support in range(suite.entry.evaluation.supports)
    ]
    return _make_anonymous(
        lanes, derived_seed(PROTOCOL, "order", suite.identity, split, "collection")
    )


def _make_anonymous(lanes: Sequence[Lane], seed: int) -> tuple[Lane, ...]:
    """Shuffle the lanes and number their groups by order of appearance: neither tells anything about a task."""
    order = np.random.default_rng(seed).permutation(len(lanes))
    numbers: dict[tuple[int, int, int], int] = {}
    shuffled = []
    for lane in (lanes[i] for i in order):
        group = numbers.setdefault((lane.task, lane.support, lane.shots), len(numbers))
        shuffled.append(dataclasses.replace(lane, group=group))
    return tuple(shuffled)


def derive_reset_seeds(suite: Suite, split: str, track: str, lanes: Iterable[Lane]) -> list[int]:
    """Seeds of the lanes' reset noise, one a lane: the same for every method, seed and shot count."""
    # Without `lane.shots`: an adaptation curve compares shot counts from the same starts.
    return [
        derived_seed(
            PROTOCOL, "reset", suite.identity, split, track, lane.task, lane.support, lane.episode
        )
        for lane in lanes
    ]


def derive_policy_seeds(
    suite: Suite, split: str, track: str, stage: str, lanes: int, seed: int
) -> list[int]:
    """The policy's randomness in each lane: by its place in the shuffled order, so that it names no task.

    Args:
        suite: the suite.
        split: the split.
        track: the track.
        stage: which reset of the track this is.
        lanes: number of lanes.
        seed: the evaluation seed.

    Returns:
        One a lane.
    """
    return [
        derived_seed(PROTOCOL, "policy", seed, suite.identity, split, track, stage, place)
        for place in range(lanes)
    ]


def draw_logged_support(
    suite: Suite, split: str, task: int, support: int, available: int, shots: int
) -> list[int]:
    """Which of a task's `available` logged trajectories make up a support: the same for every method and seed.

    Returns:
        `shots` different numbers below `available`; more shots begin with those of fewer.

    Raises:
        MetabenchError: there are fewer than `shots`; names suite and task.
    """
    if available < shots:
        raise MetabenchError(
            f"suite {suite.name}: task {task} has {available} {SUPPORT_DATASET} trajectories; {shots} shots need more"
        )
    seed = derived_seed(PROTOCOL, "logged-support", suite.identity, split, task, support)
    # The beginning of a whole permutation, not a draw of `shots`: that is how supports of different sizes are nested.
    chosen: list[int] = np.random.default_rng(seed).permutation(available)[:shots].tolist()
    return chosen
