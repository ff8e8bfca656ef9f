"""The trajectories of a suite's dataset from Minari datasets, one a task, instead of from behaviours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from metabench.data.columns import Columns
from metabench.data.storage.recorded_minari import RecordedDataset, RecordedEpisode, open_recorded
from metabench.data.trajectories import BuildProgress, Trajectories, TrajectorySource
from metabench.envs import Array, DeclaredSpaces
from metabench.suites import DatasetEntry, Suite
from metabench.suites.schema import RECORDED, EpisodeFilter

OUT_OF_BOUNDS = 1e-6
"""Actions are clipped by at most so much without being asked: rounding of the bounds to float32."""


def read_recorded(
    suite: Suite, dataset: str, *, download: bool = False, progress: BuildProgress | None = None
) -> TrajectorySource:
    """The trajectories of a dataset that suite.toml maps to Minari datasets, read and checked.

    Args:
        suite: the suite.
        dataset: the name of a dataset with a table `minari`.
        download: fetch Minari datasets that are not there.
        progress: told how many tasks' datasets have been read.

    Raises:
        DataError: a Minari dataset is missing, damaged, of other spaces, longer than the horizon, or has no episode
            that passes the filter; the message names the dataset.
    """
    recipe, declared = suite.dataset(dataset), _declare_spaces(suite)
    assert recipe.minari is not None
    remedy = f"run `metabench data build {suite.argument} --dataset {dataset} --download`, which uses the network"
    tasks = [task.id for task in suite.dataset_tasks(dataset)]
    opened = [
        open_recorded(recipe.minari[task], download=download, remedy=remedy) for task in tasks
    ]
    chosen: list[list[RecordedEpisode]] = []
    for number, each in enumerate(opened, start=1):
        _check_spaces(each, declared)
        chosen.append(list(_choose_episodes(each, declared, recipe, suite.entry.horizon)))
        if progress is not None:
            progress("reading Minari datasets", number, len(tasks))
    successes = all(episode.success is not None for episodes in chosen for episode in episodes)
    count = sum(map(len, chosen))
    return TrajectorySource(
        parts=[
            _join_task(task, episodes, successes)
            for task, episodes in zip(tasks, chosen, strict=True)
        ],
        total=count,
        stage="storing",
        algorithm=f"recorded in {', '.join(dict.fromkeys(each.name for each in opened))}",
        description=f"{count} recorded trajectories",
    )


def _declare_spaces(suite: Suite) -> DeclaredSpaces:
    """The suite's spaces; those of families that fix them have no observation keys."""
    if suite.entry.spaces is not None:
        return suite.entry.spaces
    spaces = suite.spaces
    return DeclaredSpaces(
        observation_dim=spaces.observation_dim,
        action_low=spaces.action_low,
        action_high=spaces.action_high,
        num_actions=spaces.num_actions,
    )


def _check_spaces(source: RecordedDataset, declared: DeclaredSpaces) -> None:
    from metabench.envs.gymnasium.spaces import check_declared

    try:
        check_declared(declared, source.observation_space, source.action_space)
    except ValueError as error:
        raise source.problem(error) from error


def _choose_episodes(
    source: RecordedDataset, declared: DeclaredSpaces, recipe: DatasetEntry, horizon: int
) -> Iterator[RecordedEpisode]:
    """The first episodes that pass the filter, at most as many as the recipe says."""
    taken = 0
    for episode in source.episodes(declared):
        if episode.steps > horizon and not recipe.cut:
            raise source.problem(
                f"episode {episode.number} has {episode.steps} steps, more than the horizon of {horizon}; "
                "set cut = true in suite.toml to cut such episodes"
            )
        kept = _bring_into_bounds(source, episode.cut(horizon), declared, recipe.clip)
        if recipe.filter is None or _passes_filter(source, kept, recipe.filter):
            yield kept
            taken += 1
            if taken == recipe.trajectories:
                return
    if not taken:
        raise source.problem(f"none of its {source.count} episodes passes the filter of suite.toml")


def measure_excess(actions: Array, declared: DeclaredSpaces) -> float:
    """By how much the worst of recorded actions is out of the declared bounds; 0 for discrete actions."""
    return (
        0.0
        if declared.num_actions
        else float(np.abs(_clip_actions(actions, declared) - actions).max())
    )


def _clip_actions(actions: Array, declared: DeclaredSpaces) -> Array:
    return np.clip(
        actions,
        np.asarray(declared.action_low, np.float32),
        np.asarray(declared.action_high, np.float32),
    )


def _bring_into_bounds(
    source: RecordedDataset, episode: RecordedEpisode, declared: DeclaredSpaces, clip: bool
) -> RecordedEpisode:
    """The episode with actions in bounds."""
    if declared.num_actions:
        return episode
    excess = measure_excess(episode.actions, declared)
    if excess > OUT_OF_BOUNDS and not clip:
        raise source.problem(
            f"episode {episode.number}: an action is out of bounds by {excess:.3g}; "
            "set clip = true in suite.toml to clip such actions"
        )
    return replace(episode, actions=_clip_actions(episode.actions, declared))


def _passes_filter(
    source: RecordedDataset, episode: RecordedEpisode, wanted: EpisodeFilter
) -> bool:
    if wanted.success is not None:
        if episode.success is None:
            raise source.problem(
                f"episode {episode.number} has no infos/success, which the filter asks for"
            )
        if bool(episode.success.any()) != wanted.success:
            return False
    return (
        (wanted.min_return is None or episode.total >= wanted.min_return)
        and (wanted.max_return is None or episode.total <= wanted.max_return)
        and (wanted.min_steps is None or episode.steps >= wanted.min_steps)
    )


def _join_task(task: int, episodes: Sequence[RecordedEpisode], successes: bool) -> Trajectories:
    """One task's episodes; a trajectory's seed is the episode's number."""
    lengths = [episode.steps for episode in episodes]
    columns = Columns(
        observations=np.concatenate([episode.observations for episode in episodes]),
        actions=np.concatenate([episode.actions for episode in episodes]),
        rewards=np.concatenate([episode.rewards for episode in episodes]),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        terminated=np.array([episode.terminated for episode in episodes], bool),
        tasks=np.full(len(episodes), task, np.int64),
    )
    return Trajectories(
        columns,
        behaviours=np.full(len(episodes), RECORDED),
        seeds=np.array([episode.number for episode in episodes], np.int64),
        success=np.concatenate(
            [episode.success for episode in episodes if episode.success is not None]
        )
        if successes
        else None,
    )
