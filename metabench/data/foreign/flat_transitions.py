"""Logged transitions as flat columns, a row a transition: where episodes end, and each episode as arrays.

D4RL's files and the Meta-DT group's pickles have this form. What is known of an episode's end decides what is kept:

- An episode ends at a terminal row, at a time-out, where `next_observations` does not lead to the next row, and at the
  end of the file; where a file has no time-outs, also after `horizon` rows. No pair of observations lies across an end.
- With `next_observations`, every row is kept, whatever ended its episode.
- Without, the observation after an episode's last row is unknown. After a terminal row nothing follows that a value
  could be learned from, but the row's reward and the end itself matter: the row is kept, its own observation stands for
  the next as well (`last_observation` says so). After a time-out, or at the end of the file, the last row is dropped,
  unless it is asked for; then it is kept in the same way.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from metabench.data.foreign.flat_columns import BLOCK, FlatRows
from metabench.data.trajectories import BuildProgress
from metabench.envs import Array
from metabench.errors import DataError

JUMP = 1e-3
"""A row leads to the next if `next_observations` and the next observation differ by less than this, relatively."""


@dataclass(frozen=True)
class LoggedEpisode:
    """One episode of T transitions as it was logged.

    Attributes:
        observations: `(T + 1, observation_dim)` float32.
        actions: `(T, action_dim)` float32, or `(T,)` int64 for discrete actions.
        rewards: `(T,)` float32.
        terminated: the task ended it (else a time limit did, or the log ends there).
        last_observation: `recorded`, or `repeated` where the log does not hold the one after the last transition and
            the one before it stands there.
        first_row: where it begins in its file, counted from 0.
    """

    observations: Array
    actions: Array
    rewards: Array
    terminated: bool
    last_observation: str
    first_row: int


@dataclass(frozen=True)
class EpisodeSpans:
    """Where the E episodes of flat columns lie.

    Attributes:
        starts: `(E,)` int64: the first row of each.
        stops: `(E,)` int64: the row after its last.
        terminated: `(E,)` bool: whether its last row is terminal.
    """

    starts: Array
    stops: Array
    terminated: Array

    @property
    def longest(self) -> int:
        """Rows of the longest episode."""
        return int((self.stops - self.starts).max())


def find_episodes(
    rows: FlatRows,
    horizon: int | None,
    *,
    cut: bool,
    jumps_allowed: bool,
    progress: BuildProgress | None = None,
) -> EpisodeSpans:
    """Where the episodes lie.

    Args:
        rows: the columns.
        horizon: the largest number of rows of an episode, if it is known.
        cut: end an episode after `horizon` rows, which must be given; else one that is longer is refused.
        jumps_allowed: end an episode where `next_observations` does not lead to the next row, though nothing else ends
            it, and warn; else refuse.
        progress: told how far it is.

    Raises:
        DataError: naming file, key and row.
    """
    terminal = rows.read_flags("terminals")
    said = terminal.copy() if rows.timeouts is None else terminal | rows.read_flags("timeouts")
    said[-1] = True
    jumps = _find_jumps(rows, progress)
    stops = np.flatnonzero(said | jumps) + 1
    starts = np.concatenate([[0], stops[:-1]])
    if horizon is not None and cut:
        # Each span as so many pieces of `horizon` rows, the last one shorter: a quotient rounded up.
        pieces = -(-(stops - starts) // horizon)
        within = np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        starts, stops = np.repeat(starts, pieces) + within * horizon, np.repeat(stops, pieces)
        stops = np.minimum(starts + horizon, stops)
    full = stops - starts == horizon if horizon is not None else np.zeros(len(stops), bool)
    place = f"{rows.path}: {rows.keys['next_observations']}"
    early = np.flatnonzero(jumps[stops - 1] & ~said[stops - 1] & ~(full & cut))
    if len(early) and not jumps_allowed:
        first, last = int(starts[early[0]]), int(stops[early[0]]) - 1
        reason = f"though the episode from row {first} has {last + 1 - first} of {horizon} steps"
        raise DataError(
            f"{place}: row {last} does not lead to row {last + 1}, {reason}: another horizon?"
        )
    if len(early):
        warnings.warn(
            f"{place}: {len(early)} rows, the first of them {int(stops[early[0]]) - 1}, do not lead to the next, and "
            "nothing else ends an episode there: episodes are cut there",
            stacklevel=2,
        )
    if horizon is not None and (stops - starts).max() > horizon:
        episode = int(np.argmax(stops - starts > horizon))
        found = (
            f"the episode from row {starts[episode]} has {stops[episode] - starts[episode]} steps"
        )
        key = rows.keys["timeouts" if rows.timeouts is not None else "terminals"]
        raise DataError(f"{rows.path}: {key}: expected at most {horizon} steps an episode, {found}")
    goes_on = (
        int((full & ~said[stops - 1] & ~jumps[stops - 1]).sum())
        if rows.next_observations is not None
        else 0
    )
    # A few may end where the next begins by chance.
    if 10 * goes_on > len(stops):
        warnings.warn(
            f"{place}: at {goes_on} of {len(stops)} ends the row leads on to the next: is the horizon longer than "
            f"{horizon}?",
            stacklevel=2,
        )
    return EpisodeSpans(starts, stops, terminal[stops - 1])


def read_episodes(rows: FlatRows, spans: EpisodeSpans, keep_last: bool) -> Iterator[LoggedEpisode]:
    """All episodes of which a transition is left, in order; the columns are read about `BLOCK` rows at a time.

    Args:
        rows: the columns.
        spans: where the episodes lie.
        keep_last: keep an episode's last row though the observation after it is unknown.

    Raises:
        DataError: a number that is not finite, or rows that cannot be read.
    """
    first = 0
    while first < len(spans.starts):
        begin = int(spans.starts[first])
        # As many whole episodes as fit into a block, at least one.
        after = max(first + 1, int(np.searchsorted(spans.stops, begin + BLOCK, side="right")))
        end = int(spans.stops[after - 1])
        observations, actions, rewards = (
            rows.read_numbers(name, begin, end) for name in ("observations", "actions", "rewards")
        )
        recorded = rows.next_observations is not None
        following = rows.read_numbers("next_observations", begin, end) if recorded else observations
        for episode in range(first, after):
            start, stop = int(spans.starts[episode]) - begin, int(spans.stops[episode]) - begin
            terminated = bool(spans.terminated[episode])
            if recorded or terminated or keep_last:
                seen = np.concatenate([observations[start:stop], following[stop - 1 : stop]])
                last = "recorded" if recorded else "repeated"
            else:
                stop -= 1
                seen, last = observations[start : stop + 1], "recorded"
            if stop > start:
                yield LoggedEpisode(
                    seen,
                    actions[start:stop],
                    rewards[start:stop],
                    terminated,
                    last,
                    first_row=begin + start,
                )
        first = after


def _find_jumps(rows: FlatRows, progress: BuildProgress | None) -> Array:
    """`(N,)` bool: rows whose `next_observations` is not the next row's observation; none without that column."""
    jumps = np.zeros(rows.count, bool)
    if rows.next_observations is not None:
        for start in range(0, rows.count - 1, BLOCK):
            stop = min(start + BLOCK, rows.count - 1)
            after = rows.read_numbers("next_observations", start, stop)
            following = rows.read_numbers("observations", start + 1, stop + 1)
            jumps[start:stop] = (np.abs(after - following) > JUMP * (1 + np.abs(following))).any(
                axis=1
            )
            if progress is not None:
                progress("looking for episodes", stop, rows.count - 1)
    return jumps
