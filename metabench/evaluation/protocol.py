"""The protocol as data: splits, tracks, shots, quotas, and which lanes act.

All of it is fixed by suite, split and track alone, never by what a policy does: two methods meet the same episodes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metabench.errors import MetabenchError, UnknownNameError
from metabench.evaluation import seeds
from metabench.evaluation.prediction.quota import PREDICTION as PREDICTION
from metabench.evaluation.prediction.quota import SUPPORT_DATASET as SUPPORT_DATASET
from metabench.evaluation.prediction.quota import list_behaviours as list_behaviours
from metabench.evaluation.seeds import PROTOCOL as PROTOCOL
from metabench.suites import Suite
from metabench.suites.schema import FEW_SHOTS, TaskEntry

ARCHIVED_PROTOCOLS = ("1",)
"""Records of these stay scored and shown; none is made or added any more."""

SPLITS = ("test", "test-far")
"""The splits that are ranked."""

VALIDATION = "validation"
"""The validation tasks as a split: for choosing between configurations, never ranked."""

TRACKS = ("zero-shot", "few-shot", "logged-shot")
"""Where support comes from: nowhere, the policy's own episodes, logged trajectories."""

_SHOTS = {"zero-shot": (0,), "few-shot": (3,), "logged-shot": (3,)}
"""On every split; suites name more of few-shot for their test and validation tasks."""


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


def list_splits(suite: Suite) -> tuple[str, ...]:
    """The splits that a policy can act in: the ranked ones, then `validation`; those that have tasks."""
    return tuple(split for split in (*SPLITS, VALIDATION) if _find_tasks(suite, split))


def list_tasks(suite: Suite, split: str) -> tuple[TaskEntry, ...]:
    """The tasks of a split that a policy can act in.

    Raises:
        UnknownNameError: the suite has no such split; names the suite and the nearest one.
    """
    check_split(suite, split)
    return _find_tasks(suite, split)


def _find_tasks(suite: Suite, split: str) -> tuple[TaskEntry, ...]:
    if split == VALIDATION:
        return tuple(task for task in suite.split("train") if task.validation)
    return suite.split(split, allow_empty=True)


def check_split(suite: Suite, split: str) -> None:
    """Check that `split` is one of `list_splits`.

    Raises:
        UnknownNameError: it is not; names the suite and the nearest split.
    """
    known = list_splits(suite)
    if split not in known:
        raise UnknownNameError(f"split of suite {suite.name}", split, known)


def choose_shot_counts(
    suite: Suite, split: str, track: str, shots: Sequence[int] | None = None
) -> tuple[int, ...]:
    """The shot counts of a track, ascending and each once: those asked for, or the protocol's.

    Args:
        suite: the suite.
        split: `test`, `test-far` or `validation`.
        track: one of `TRACKS`.
        shots: numbers of support episodes; None takes the protocol's for this split.

    Raises:
        UnknownNameError: no such track.
        MetabenchError: `shots` holds a number that the track cannot have.
    """
    if track not in TRACKS:
        raise UnknownNameError("track", track, TRACKS)
    if shots is None:
        named = track == "few-shot" and split != "test-far"
        return suite.entry.evaluation.few_shot if named else _SHOTS[track]
    counts = tuple(sorted(set(shots)))
    if track == "zero-shot":
        fits, expected = counts == (0,), "exactly 0"
    else:
        fits, expected = bool(counts) and counts[0] >= 1, "1 or more"
    if not fits:
        found = ", ".join(map(str, shots)) or "none"
        raise MetabenchError(f"track {track!r} takes {expected} shots, not {found}")
    return counts


def choose_tracks(
    suite: Suite, tracks: Sequence[str] | None = None, splits: Sequence[str] | None = None
) -> tuple[tuple[str, str], ...]:
    """The (split, track) of a suite that have these names.

    Args:
        suite: the suite.
        tracks: some of `TRACKS`, or `PREDICTION`, which comes last; None takes all that the suite has.
        splits: some of `list_splits`; None takes all that are ranked.

    Raises:
        UnknownNameError: no such track, or the suite has no such split.
        MetabenchError: the suite cannot be scored in one of these tracks.
    """
    for split in splits or ():
        check_split(suite, split)
    supported = (*list_supported_tracks(suite), *list_prediction_tracks(suite))
    if splits is not None:
        supported = tuple(
            pair
            for pair in (*supported, *_list_supported(suite, [VALIDATION]))
            if pair[0] in splits
        )
    if tracks is None:
        return supported
    for track in tracks:
        if track not in (*TRACKS, PREDICTION):
            raise UnknownNameError("track", track, (*TRACKS, PREDICTION))
        if all(track != name for _, name in supported):
            lacks = "data of these splits" if track == PREDICTION else "medium dataset"
            raise MetabenchError(
                f"suite {suite.name!r} cannot be scored in track {track!r}: it has no {lacks}"
            )
    return tuple((split, track) for split, track in supported if track in tracks)


def list_supported_tracks(suite: Suite) -> tuple[tuple[str, str], ...]:
    """All (split, track) that `suite` can be ranked in: `logged-shot` needs `medium` data of the split."""
    return _list_supported(suite, [split for split in SPLITS if split in suite.splits])


def list_prediction_tracks(suite: Suite) -> tuple[tuple[str, str], ...]:
    """All (split, `prediction`) of `suite`: the ranked splits of which it has data."""
    return tuple(
        (split, PREDICTION)
        for split in SPLITS
        if split in suite.splits and list_behaviours(suite, split)
    )


def _list_supported(suite: Suite, splits: Sequence[str]) -> tuple[tuple[str, str], ...]:
    datasets = suite.entry.datasets
    logged = datasets[SUPPORT_DATASET].splits if SUPPORT_DATASET in datasets else ()
    return tuple(
        (split, track)
        for split in splits
        for track in TRACKS
        # Validation tasks are training tasks: their trajectories are those of the training data.
        if track != "logged-shot" or ("train" if split == VALIDATION else split) in logged
    )


def count_supports(suite: Suite, shots: int) -> int:
    """How many supports a task has with so many shots: R, but one where there are more shots than every suite has.

    Tasks matter more than episodes: twenty episodes in each of R supports would cost more than all the rest.
    """
    return suite.entry.evaluation.supports if shots <= max(FEW_SHOTS) else 1


def list_scored_lanes(suite: Suite, split: str, track: str, shots: int) -> tuple[Lane, ...]:
    """The scored episodes of a track with one shot count: E/R from each support, in a fixed shuffled order.

    Args:
        suite: whose quotas E (`evaluation.episodes`) and R (`evaluation.supports`) hold.
        split: one of `list_splits`.
        track: one of `TRACKS`.
        shots: one of those that `choose_shot_counts` gives.

    Returns:
        One lane an episode, tasks x E of them but with 20 shots; the i-th has then the same task and start in all
        tracks and shot counts.
    """
    quota = suite.entry.evaluation
    supports, episodes = count_supports(suite, shots), quota.episodes // quota.supports
    if track == "zero-shot":
        # Episodes without support have nothing in common: each is a group of its own.
        supports, episodes = quota.episodes, 1
    lanes = [
        Lane(task.id, support, shots, episode)
        for task in list_tasks(suite, split)
        for support in range(supports)
        for episode in range(episodes)
    ]
    return _make_anonymous(lanes, seeds.seed_lane_order(suite, split, scored=True))


def list_collection_lanes(suite: Suite, split: str, episode: int) -> tuple[Lane, ...]:
    """The `episode`-th support episode (counted from 0) of every (task, support), in a fixed shuffled order."""
    lanes = [
        # `episode` earlier ones have been acted: so many shots is the policy given now.
        Lane(task.id, support, shots=episode, episode=episode)
        for task in list_tasks(suite, split)
        for support in range(count_supports(suite, episode + 1))
    ]
    return _make_anonymous(lanes, seeds.seed_lane_order(suite, split, scored=False))


def _make_anonymous(lanes: Sequence[Lane], seed: int) -> tuple[Lane, ...]:
    """Shuffle the lanes and number their groups by order of appearance: neither tells anything about a task."""
    order = np.random.default_rng(seed).permutation(len(lanes))
    numbers: dict[tuple[int, int, int], int] = {}
    shuffled = []
    for lane in (lanes[i] for i in order):
        group = numbers.setdefault((lane.task, lane.support, lane.shots), len(numbers))
        shuffled.append(dataclasses.replace(lane, group=group))
    return tuple(shuffled)


def derive_reset_seeds(
    suite: Suite, split: str, lanes: Sequence[Lane], *, scored: bool
) -> list[int]:
    """Seeds of the lanes' reset noise, one a lane: the same for every method, seed, track and shot count."""
    if not scored:
        return [
            seeds.seed_support_start(suite, split, lane.task, lane.support, lane.episode)
            for lane in lanes
        ]
    return [
        seeds.seed_scored_start(suite, split, lane.task, number_start(suite, lane))
        for lane in lanes
    ]


def number_start(suite: Suite, lane: Lane) -> int:
    """Which of its task's E scored starts a scored lane has, counted from 0."""
    quota = suite.entry.evaluation
    each = quota.episodes // quota.supports if lane.shots else 1  # zero-shot: one a support
    return lane.support * each + lane.episode


def derive_policy_seeds(suite: Suite, split: str, stage: str, lanes: int, seed: int) -> list[int]:
    """The policy's randomness in each of so many lanes; see `seeds.seed_policy`."""
    return [seeds.seed_policy(suite, split, stage, place, seed) for place in range(lanes)]


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
    seed = seeds.seed_logged_support(suite, split, task, support)
    # The beginning of a whole permutation, not a draw of `shots`: that is how supports of different sizes are nested.
    chosen: list[int] = np.random.default_rng(seed).permutation(available)[:shots].tolist()
    return chosen
