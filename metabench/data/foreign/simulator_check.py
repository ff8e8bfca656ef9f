"""Whether logged episodes are of a suite's own tasks: its simulator is given their actions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metabench.data.foreign.flat_columns import FlatRows
from metabench.data.foreign.flat_transitions import LoggedEpisode
from metabench.envs import Array, BatchedEnvironment
from metabench.errors import DataError, MetabenchError
from metabench.suites import Suite

TOLERANCE = 1e-4
"""Numbers that differ by less than this, relatively, are the same: logs hold float32."""


def follow_episodes(
    suite: Suite, task: int, episodes: Sequence[LoggedEpisode], rows: FlatRows
) -> str | None:
    """Act the logged actions in `task` and compare what is observed and earned.

    Returns:
        None where everything was compared, else why it cannot be: the simulator's state is not in what was logged.

    Raises:
        DataError: the simulator observes or pays something else; names file, key, row and both numbers.
    """
    try:
        lanes, twins = suite.environment(), suite.environment()
    except MetabenchError as error:
        return f"{suite.identity} has no simulator here: {error}"
    size = min(lanes.lanes_at_once, twins.lanes_at_once)
    for first in range(0, len(episodes), size):
        reason = _follow_some(suite, task, episodes[first : first + size], rows, lanes, twins)
        if reason is not None:
            return reason
    return None


def _follow_some(
    suite: Suite,
    task: int,
    episodes: Sequence[LoggedEpisode],
    rows: FlatRows,
    lanes: BatchedEnvironment,
    twins: BatchedEnvironment,
) -> str | None:
    count = len(episodes)
    parameters = [suite.tasks[task].parameters] * count
    seen = lanes.reset(parameters, range(count))
    # The same with other seeds: where the two differ, chance has a part in it, and no log can be followed.
    if not np.array_equal(seen, twins.reset(parameters, range(count, 2 * count))):
        return f"episodes of {suite.identity} begin at random"
    _compare(suite, task, episodes, rows, "observations", 0, seen, range(count))
    spaces = suite.spaces
    for step in range(max(len(episode.rewards) for episode in episodes)):
        active = [lane for lane in range(count) if step < len(episodes[lane].rewards)]
        actions = spaces.null_actions(count)
        actions[active] = np.stack([episodes[lane].actions[step] for lane in active])
        if not spaces.discrete:
            actions = np.clip(actions, spaces.action_low, spaces.action_high).astype(np.float32)
        after, other = lanes.step(actions), twins.step(actions)
        seen, earned = after.observation[active], after.reward[active]
        if not np.array_equal(seen, other.observation[active]):
            return f"chance has a part in the steps of {suite.identity}"
        known = [lane for lane in active if _is_recorded(episodes[lane], step)]
        _compare(
            suite, task, episodes, rows, "observations", step + 1, after.observation[known], known
        )
        if np.array_equal(earned, other.reward[active]):
            _compare(suite, task, episodes, rows, "rewards", step, earned, active)
    return None


def _is_recorded(episode: LoggedEpisode, step: int) -> bool:
    """Whether the observation after `step` was logged."""
    return step + 1 < len(episode.rewards) or episode.last_observation == "recorded"


def _compare(
    suite: Suite,
    task: int,
    episodes: Sequence[LoggedEpisode],
    rows: FlatRows,
    key: str,
    step: int,
    simulated: Array,
    lanes: Sequence[int],
) -> None:
    """Raise `DataError` at the first of `lanes` whose number at `step` is not that of the simulator."""
    if not len(lanes):
        return
    logged = np.stack([getattr(episodes[lane], key)[step] for lane in lanes])
    differs = np.abs(logged - simulated) > TOLERANCE * (1 + np.abs(simulated))
    if not differs.any():
        return
    place = int(np.nonzero(differs)[0][0])
    episode = episodes[lanes[place]]
    # Of an episode's last observation the file has the row before.
    row = episode.first_row + min(step, len(episode.rewards) - 1)
    what = {
        "observations": f"where the actions lead in the simulator of {suite.identity}",
        "rewards": f"what task {task} of {suite.identity} pays there",
    }[key]
    expected, found = _format(simulated[place]), _format(logged[place])
    raise DataError(
        f"{rows.path}: {rows.keys[key]}: row {row}: expected {expected}, {what}, found {found}"
    )


def _format(value: Array) -> str:
    return str(np.round(np.asarray(value, np.float64), 4).tolist())
