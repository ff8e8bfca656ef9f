"""twm-plus's support: which segments of it a policy keeps in sight."""

from __future__ import annotations

import dataclasses

import numpy as np
from metabench_baselines.twm_plus.support import choose_support_segments

from metabench import Episode

from .twm_setting import tiny


def test_segments_are_spread_over_the_best_episodes_first():
    episodes = [
        Episode(np.zeros((21, 1)), np.zeros((20, 1)), np.full(20, reward), False, True) for reward in (1.0, 3.0, 2.0)
    ]
    chosen = choose_support_segments(episodes, tiny(segments=4, segment_steps=5))
    assert [episode.rewards[0] for episode, _, _ in chosen] == [3.0, 2.0, 1.0, 3.0]
    assert [(start, stop) for _, start, stop in chosen] == [(4, 9), (8, 13), (8, 13), (11, 16)]
    short = dataclasses.replace(
        episodes[0], observations=np.zeros((4, 1)), actions=np.zeros((3, 1)), rewards=np.ones(3)
    )
    assert {
        (start, stop) for _, start, stop in choose_support_segments([short], tiny(segments=2, segment_steps=5))
    } == {(0, 3)}
