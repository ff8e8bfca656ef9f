"""Support episodes: which of their steps are pinned, and as what the world model reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from metabench import DataError, Episode, Spaces

from .config import TWMConfig
from .model.world_model import Sequences, Support


def make_episode_sequences(
    episodes: Sequence[Episode],
    starts: Sequence[int],
    stops: Sequence[int],
    spaces: Spaces,
    device: Any,
) -> Sequences:
    """Parts of episodes that are at hand as such: steps `starts[i]` to `stops[i]`, left-padded to the longest.

    Raises:
        DataError: observations of another shape than the spaces', or rewards that are not finite.
    """
    count, length = (
        len(episodes),
        max(stop - start for start, stop in zip(starts, stops, strict=True)),
    )
    observations = np.zeros((count, length + 1, spaces.observation_dim), np.float32)
    actions = np.zeros((count, length, spaces.action_dim), np.float32)
    rewards, flags = np.zeros((count, length), np.float32), np.zeros((3, count, length), bool)
    for i, (episode, start, stop) in enumerate(zip(episodes, starts, stops, strict=True)):
        if episode.observations.shape[1:] != (spaces.observation_dim,):
            raise DataError(
                f"support episode: observations of shape {episode.observations.shape}, "
                f"expected (T + 1, {spaces.observation_dim})"
            )
        if not np.isfinite(episode.rewards).all():
            raise DataError("support episode: rewards overflow: expected finite numbers")
        place = slice(length - (stop - start), length)
        observations[i, place.start :] = episode.observations[start : stop + 1]
        actions[i, place] = spaces.action_features(episode.actions[start:stop])
        rewards[i, place] = episode.rewards[start:stop]
        flags[0, i, place] = True
        at_end = stop == len(episode)
        flags[1, i, -1], flags[2, i, -1] = at_end, at_end and episode.terminated
    tensors = [torch.as_tensor(x, device=device) for x in (observations, actions, rewards, *flags)]
    seen, acted, rewarded, real, ended, terminated = tensors
    return Sequences(
        seen, acted, rewarded, terminated, ended, real.long() - 1, torch.ones_like(real)
    )


def choose_support_segments(
    episodes: Sequence[Episode], config: TWMConfig
) -> list[tuple[Episode, int, int]]:
    """Episode, first step and end of the segments to pin: episodes of the highest return first, segments spread evenly.

    There are `config.segments`, of `config.segment_steps` steps or the whole episode if it is shorter.
    """
    ranked = sorted(episodes, key=lambda episode: -episode.total_return)
    segments = []
    for i in range(config.segments):
        episode = ranked[i % len(ranked)]
        number, count = i // len(ranked), len(range(i % len(ranked), config.segments, len(ranked)))
        latest = max(0, len(episode) - config.segment_steps)
        start = round((number + 0.5) / count * latest)
        segments.append((episode, start, min(len(episode), start + config.segment_steps)))
    return segments


def make_pinned_support(
    lanes: Sequence[Sequence[Episode]],
    config: TWMConfig,
    spaces: Spaces,
    device: Any,
    shared: bool = False,
) -> Support:
    """What is pinned for lanes: segments of their support episodes.

    Args:
        lanes: the support episodes of each lane, perhaps none; some of them have some.
        config: how many segments, and how long.
        spaces: the suite's.
        device: where to put them.
        shared: all lanes have the same support.
    """
    some = next(episodes for episodes in lanes if episodes)
    chosen: dict[int, list[tuple[Episode, int, int]]] = {}
    flat = []
    for episodes in lanes[:1] if shared else lanes:
        owner = episodes or some  # segments of a lane without support are hidden from it
        if id(owner) not in chosen:
            chosen[id(owner)] = choose_support_segments(owner, config)
        flat += chosen[id(owner)]
    owners, starts, stops = (list(part) for part in zip(*flat, strict=True))
    segments = make_episode_sequences(owners, starts, stops, spaces, device)
    segments.ended[:, -1] = True
    hidden = torch.as_tensor(
        [[not episodes] * config.segments for episodes in lanes], device=device
    )
    return Support(segments, config.segments, hidden)
