"""Every seed that evaluation uses: each depends on what it is for, and never on what a policy does.

All of them are public. They keep methods comparable; they keep nothing secret.
"""

from __future__ import annotations

from metabench.seeding import derive_seed
from metabench.suites import Suite

PROTOCOL = "2"
"""Version of all that is fixed here, in `protocol` and in `rollout`; every record names it."""


def seed_scored_start(suite: Suite, split: str, task: int, start: int) -> int:
    """Of a task's `start`-th scored episode, counted from 0: the reset noise.

    No method, track or shot count has a part in it. Were the track in it, a policy that cannot adapt would seem to:
    its rows would differ between tracks by their starts alone.
    """
    return derive_seed(PROTOCOL, "scored start", suite.identity, split, task, start)


def seed_support_start(suite: Suite, split: str, task: int, support: int, episode: int) -> int:
    """Of a support episode that a policy acts itself: the reset noise, from another stream than any scored start."""
    return derive_seed(PROTOCOL, "support start", suite.identity, split, task, support, episode)


def seed_lane_order(suite: Suite, split: str, *, scored: bool) -> int:
    """The order of the lanes: one for all scored rollouts of a split, one for all its support episodes."""
    return derive_seed(PROTOCOL, "order", suite.identity, split, "scored" if scored else "support")


def seed_policy(suite: Suite, split: str, stage: str, place: int, seed: int) -> int:
    """A policy's randomness in the lane at `place` of the shuffled order, so that it names no task.

    Args:
        suite: the suite.
        split: the split.
        stage: `scored episodes`, or which support episode: the same in all tracks and shot counts, so that an
            adaptation curve compares like with like.
        place: of the lane.
        seed: the evaluation seed.
    """
    return derive_seed(PROTOCOL, "policy", seed, suite.identity, split, stage, place)


def seed_logged_support(suite: Suite, split: str, task: int, support: int) -> int:
    """Which logged trajectories make up a support."""
    return derive_seed(PROTOCOL, "logged support", suite.identity, split, task, support)


def seed_held_out(suite: Suite, split: str, task: int, behaviour: str) -> int:
    """Which logged trajectories of a task and behaviour are to be predicted."""
    return derive_seed(PROTOCOL, "held out", suite.identity, split, task, behaviour)


def seed_prediction_order(suite: Suite, split: str) -> int:
    """The order of the lanes of the track `prediction`."""
    return derive_seed(PROTOCOL, "prediction order", suite.identity, split)


def seed_replay_choice(suite: Suite, seed: int) -> int:
    """Which rollout of a cell is replayed in part; `seed` is the evaluation seed."""
    return derive_seed(PROTOCOL, "replayed rollout", suite.identity, seed)


def seed_replay(suite: Suite, split: str, track: str, stage: str, seed: int) -> int:
    """Which lanes of a rollout are replayed, and in what company; `seed` is the evaluation seed."""
    return derive_seed(PROTOCOL, "replay", suite.identity, split, track, stage, seed)
