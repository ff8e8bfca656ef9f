"""The trajectories of a suite's dataset from Minari datasets, one a task, instead of from behaviours."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from metabench.data.columns import Columns
from metabench.data.storage.recorded_minari import (
    RecordedDataset,
    RecordedEpisode,
    read_or_download,
)
from metabench.data.trajectories import BuildProgress, Trajectories, TrajectorySource
from metabench.envs import Array, DeclaredSpaces
from metabench.suites import DatasetEntry, Suite
from metabench.suites.recipes.dataset_entry import EpisodeFilter
from metabench.suites.recipes.kinds import RECORDED

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
    names = [recipe.minari[task] for task in tasks]
    for name in names:  # before the first is read, which may take long
        read_or_download(name, _ignore, download=download, remedy=remedy)
    chosen: list[list[RecordedEpisode]] = []
    losses = Losses()
    for number, name in enumerate(names, start=1):

        def choose(source: RecordedDataset) -> tuple[list[RecordedEpisode], Losses]:
            _check_spaces(source, declared)
            return _choose_episodes(source, declared, recipe, suite.entry.horizon)

        episodes, lost = read_or_download(name, choose, download=download, remedy=remedy)
        chosen.append(episodes)
        losses += lost
        if progress is not None:
            progress("reading Minari datasets", number, len(tasks))
    count = sum(map(len, chosen))
    without = sum(episode.success is None for episodes in chosen for episode in episodes)
    notes = losses.describe(suite.entry.horizon)
    if 0 < without < count:
        notes += (f"success is left out: {without} of {count} episodes do not tell it",)
    for note in notes:
        warnings.warn(f"{dataset} of {suite.identity}: {note}", stacklevel=2)
    return TrajectorySource(
        parts=[
            _join_task(task, episodes, without == 0)
            for task, episodes in zip(tasks, chosen, strict=True)
        ],
        total=count,
        stage="storing",
        algorithm=f"recorded in {', '.join(dict.fromkeys(names))}",
        description=f"{count} recorded trajectories",
        notes=notes,
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


@dataclass(frozen=True)
class Losses:
    """What is not as it was recorded.

    Attributes:
        episodes: all that were looked at.
        transitions: theirs.
        cut_episodes: those longer than the horizon.
        cut: transitions beyond it.
        clipped: transitions whose action is out of bounds.
        excess: by how much the worst is.
    """

    episodes: int = 0
    transitions: int = 0
    cut_episodes: int = 0
    cut: int = 0
    clipped: int = 0
    excess: float = 0.0

    @staticmethod
    def count(steps: int, excess: Array, horizon: int) -> Losses:
        """Those of one episode of so many steps; `excess` is of the actions that are kept of it."""
        beyond = max(0, steps - horizon)
        clipped = int((excess > OUT_OF_BOUNDS).sum())
        return Losses(1, steps, int(beyond > 0), beyond, clipped, float(excess.max()))

    def __add__(self, other: Losses) -> Losses:
        """Of both."""
        return Losses(
            self.episodes + other.episodes,
            self.transitions + other.transitions,
            self.cut_episodes + other.cut_episodes,
            self.cut + other.cut,
            self.clipped + other.clipped,
            max(self.excess, other.excess),
        )

    def describe(self, horizon: int) -> tuple[str, ...]:
        """A line for each kind; none where nothing was lost."""
        cut = (
            f"{self.cut_episodes} of {self.episodes} episodes are longer than the horizon of {horizon}: {self.cut} of "
            f"{self.transitions} transitions are cut off"
        )
        clipped = (
            f"{self.clipped} of {self.transitions - self.cut} transitions have an action out of bounds, by up to "
            f"{self.excess:.3g}: it is clipped"
        )
        return (cut,) * (self.cut > 0) + (clipped,) * (self.clipped > 0)


def _ignore(source: RecordedDataset) -> None:
    """Only that it opens matters."""
    del source


def _choose_episodes(
    source: RecordedDataset, declared: DeclaredSpaces, recipe: DatasetEntry, horizon: int
) -> tuple[list[RecordedEpisode], Losses]:
    """The first episodes that pass the filter, at most as many as the recipe says, and what they lost."""
    chosen: list[RecordedEpisode] = []
    losses = Losses()
    for episode in source.episodes(declared):
        if episode.steps > horizon and not recipe.cut:
            raise source.problem(
                f"episode {episode.number} has {episode.steps} steps, more than the horizon of {horizon}; "
                "set cut = true in suite.toml to cut such episodes"
            )
        cut = episode.cut(horizon)
        kept = _bring_into_bounds(source, cut, declared, recipe.clip)
        if recipe.filter is None or _passes_filter(source, kept, recipe.filter):
            excess = measure_excess(cut.actions, declared)
            losses += Losses.count(episode.steps, excess, horizon)
            chosen.append(kept)
            if len(chosen) == recipe.trajectories:
                break
    if not chosen:
        raise source.problem(f"none of its {source.count} episodes passes the filter of suite.toml")
    return chosen, losses


def measure_excess(actions: Array, declared: DeclaredSpaces) -> Array:
    """`(T,)`: by how much recorded actions are out of the declared bounds; 0 for discrete actions."""
    if declared.num_actions:
        return np.zeros(len(actions))
    return np.asarray(np.abs(_clip_actions(actions, declared) - actions).max(axis=1))


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
    excess = float(measure_excess(episode.actions, declared).max())
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
