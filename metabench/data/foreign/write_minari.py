"""Logged episodes from elsewhere, written as ordinary Minari datasets, one a task: all of them whole, or none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.envs.registration import EnvSpec

from metabench.data.foreign.flat_transitions import LoggedEpisode
from metabench.data.foreign.options import ImportOptions
from metabench.data.making.build import remove_folder
from metabench.data.storage.minari_files import MAIN_FILE
from metabench.data.trajectories import BuildProgress
from metabench.envs import Array, Spaces
from metabench.envs.gymnasium.view import action_space, observation_space
from metabench.errors import DataError, MetabenchError
from metabench.system.home import let_minari_use, minari_root

ACTION_TOLERANCE = 1e-6
"""Actions out of bounds by up to this much are clipped, by more refused: the protocol's rule for policies."""

HORIZON_KEY = "horizon"
"""Key of the time limit in the metadata of a written dataset, where it is known."""

SOURCE_KEY = "source"
"""Key of what it was made from."""


@dataclass(frozen=True)
class Imported:
    """A dataset that was written.

    Attributes:
        dataset_id: its Minari id.
        task: its task.
        episodes: how many episodes it has.
        steps: their transitions in all.
        dropped: transitions of the file that are not in it, since the observation after them is unknown.
        returns: lowest, mean and highest return of an episode.
        horizon: the largest number of steps of an episode.
    """

    dataset_id: str
    task: int
    episodes: int
    steps: int
    dropped: int
    returns: tuple[float, float, float]
    horizon: int


@dataclass(frozen=True)
class ForeignFile:
    """What a dataset is written from.

    Attributes:
        path: the file.
        actions_key: the actions' name in it, for messages.
        rows: its transitions.
        description: what the dataset's metadata says of it.
        hint_at_bounds: what to say behind the bounds of actions that are out of them.
        horizon: after how many steps a time limit ends an episode, if that is known.
        environment: how the environment that was logged is made, if that is known.
    """

    path: Path
    actions_key: str
    rows: int
    description: Mapping[str, Any]
    hint_at_bounds: str = ""
    horizon: int | None = None
    environment: EnvSpec | None = None


class NewDatasets:
    """Datasets that are being written, none of which is in place yet."""

    def __init__(self, folder: Path, options: ImportOptions) -> None:
        """Write below `folder`, which exists and is empty; see `open_new_datasets`."""
        self._folder, self._options = folder, options
        self.staged: dict[str, Path] = {}

    def add(
        self,
        task: int,
        episodes: Iterator[LoggedEpisode],
        spaces: Spaces,
        source: ForeignFile,
        progress: BuildProgress | None,
    ) -> Imported:
        """Write the dataset of one task, an episode at a time; raises `DataError` at what does not fit `spaces`."""
        import minari
        from minari.dataset.minari_storage import MinariStorage

        from metabench.data.storage.minari_episodes import open_episode_file

        dataset_id = self._options.name_dataset(task)
        folder = self._folder / str(len(self.staged))
        folder.mkdir()
        storage = MinariStorage.new(
            folder / "data",
            observation_space=observation_space(spaces),
            action_space=action_space(spaces),
            env_spec=source.environment,
            data_format="hdf5",
            jpeg_encoding=False,
        )
        returns: list[float] = []
        with open_episode_file(folder / MAIN_FILE) as file:
            for episode in episodes:
                file.add(
                    _arrange_arrays(episode, spaces, source),
                    {},
                    {
                        "task": task,
                        "first_row": episode.first_row,
                        "last_observation": episode.last_observation,
                    },
                )
                returns.append(float(episode.rewards.sum(dtype=np.float64)))
                if progress is not None:
                    progress(
                        f"writing {dataset_id}",
                        episode.first_row + len(episode.rewards),
                        source.rows,
                    )
            written, steps = file.episodes, file.steps
        if not written:
            raise DataError(f"{source.path}: has no episode with a transition that can be kept")
        dropped = source.rows - steps
        storage.update_metadata(
            {
                "dataset_id": dataset_id,
                "minari_version": minari.__version__,
                "author": {"metabench"},
                "algorithm_name": f"imported from {source.path.name}",
                "description": f"task {task} of {self._options.suite}, imported from {source.path.name}",
                "total_episodes": written,
                "total_steps": steps,
                "dataset_size": storage.get_size(),
                **({} if source.horizon is None else {HORIZON_KEY: source.horizon}),
                SOURCE_KEY: {
                    **source.description,
                    "dropped": dropped,
                    "keep_last": self._options.keep_last,
                },
            }
        )
        self.staged[dataset_id] = folder
        spread = (min(returns), float(np.mean(returns)), max(returns))
        return Imported(dataset_id, task, written, steps, dropped, spread, spaces.horizon)


@contextmanager
def open_new_datasets(options: ImportOptions, tasks: list[int]) -> Iterator[NewDatasets]:
    """Write one dataset for each of `tasks`; they take their places at the end, unless something was raised before.

    Imports into one Minari folder wait for each other. An interrupted one leaves nothing behind but a hidden folder,
    which the next removes.

    Raises:
        DataError: a dataset is there already, and `options.force` is not set.
        MetabenchError: an id is none, or two tasks would have the same.
    """
    from filelock import FileLock

    root = minari_root()
    places: dict[str, Path] = {}
    for task in tasks:
        dataset_id = options.name_dataset(task)
        if dataset_id in places:
            raise MetabenchError(
                f"Minari id {dataset_id!r} for several tasks: expected one with {{task}} in it"
            )
        places[dataset_id] = root / dataset_id
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / ".importing.lock"):
        for dataset_id, place in places.items():
            if place.exists() and not options.force:
                raise DataError(
                    f"{dataset_id}: is already there, in {place}; `--force` replaces it"
                )
        fresh = root / ".importing"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        try:
            datasets = NewDatasets(fresh, options)
            yield datasets
            for dataset_id, folder in datasets.staged.items():
                places[dataset_id].parent.mkdir(parents=True, exist_ok=True)
                remove_folder(places[dataset_id])
                os.replace(folder, places[dataset_id])
                _describe_namespace(dataset_id, options.suite)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def _arrange_arrays(
    episode: LoggedEpisode, spaces: Spaces, source: ForeignFile
) -> dict[str, Array]:
    """The episode's arrays as Minari names them, its actions in bounds."""
    last = np.arange(len(episode.rewards)) == len(episode.rewards) - 1
    actions = episode.actions
    if spaces.discrete:
        wrong = np.asarray((actions < 0) | (actions >= spaces.num_actions))
        expected = f"a number from 0 to {spaces.num_actions - 1}"
    else:
        low, high = (
            np.asarray(spaces.action_low, np.float32),
            np.asarray(spaces.action_high, np.float32),
        )
        outside = (actions < low - ACTION_TOLERANCE) | (actions > high + ACTION_TOLERANCE)
        wrong = np.asarray(outside.any(axis=1))
        expected = f"numbers from {low.min():g} to {high.max():g}{source.hint_at_bounds}"
        actions = np.clip(actions, low, high)
    if wrong.any():
        row = int(np.argmax(wrong))
        found = episode.actions[row].tolist()
        raise DataError(
            f"{source.path}: {source.actions_key}: row {episode.first_row + row}: expected {expected}, found {found}"
        )
    return {
        "observations": episode.observations,
        "actions": actions,
        "rewards": episode.rewards,
        "terminations": last & episode.terminated,
        "truncations": last & (not episode.terminated),
    }


def _describe_namespace(dataset_id: str, suite: str) -> None:
    """Let Minari know the namespace, as its own way of creating a dataset does."""
    from minari.dataset.minari_dataset import parse_dataset_id
    from minari.namespace import create_namespace

    namespace, _name, _version = parse_dataset_id(dataset_id)
    if namespace is not None:
        # ValueError: it is there already
        with suppress(ValueError), let_minari_use(minari_root()):
            create_namespace(namespace, description=f"tasks of {suite}")
