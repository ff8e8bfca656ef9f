"""Datasets on disk in Minari's format, read through Minari's own storage class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from metabench.data.columns import Columns
from metabench.data.storage.hdf5_heaps import check_heaps
from metabench.data.storage.manifest import Manifest, parse_manifest
from metabench.data.storage.places import minari_id
from metabench.data.trajectories import (
    CHUNK,
    BuildProgress,
    Trajectories,
    TrajectorySource,
    join_trajectories,
)
from metabench.envs import Array, Spaces
from metabench.errors import DataError
from metabench.suites import Suite, TaskEntry
from metabench.suites.gymnasium_ids import describe_view

METADATA_FILE = "data/metadata.json"
MAIN_FILE = "data/main_data.hdf5"
MANIFEST_KEY = "metabench"
STAGE, EXPERT_ACTIONS = "stage", "expert_actions"
"""In an episode's metadata and in its `infos`, where the dataset has them."""


def write_minari(
    folder: Path,
    suite: Suite,
    dataset: str,
    source: TrajectorySource,
    progress: BuildProgress | None = None,
) -> Trajectories:
    """Write all trajectories of `source` into a new Minari dataset in `folder`, which must exist.

    Its metadata is for those who have Minari alone: the environment is that of the first task (`recover_environment`
    takes `task=7` for another), the ends of the score are the means over the tasks, and each task's own stand beside.

    Returns what has been written. `set_manifest` completes the dataset.
    """
    import minari
    from minari.dataset.minari_storage import MinariStorage

    from metabench.data.storage.minari_episodes import open_episode_file

    observation_space, action_space = _make_gymnasium_spaces(suite.spaces)
    storage = MinariStorage.new(
        folder / "data",
        observation_space=observation_space,
        action_space=action_space,
        env_spec=describe_view(suite, suite.dataset_tasks(dataset)[0].id),
        data_format="hdf5",
        jpeg_encoding=False,
    )
    parts: list[Trajectories] = []
    recipe = suite.dataset(dataset)
    in_stage = recipe.trajectories // recipe.stage_count
    with open_episode_file(folder / MAIN_FILE) as file:
        for part in source.parts:
            for episode in range(len(part.seeds)):
                arrays, infos = _split_arrays(part, episode)
                order = file.episodes % recipe.trajectories % in_stage
                file.add(arrays, infos, _describe_episode(part, episode, suite, order))
            parts.append(part)
            if progress is not None:
                progress(source.stage, file.episodes, source.total)
    storage.update_metadata(
        {
            "dataset_id": minari_id(suite, dataset),
            "minari_version": minari.__version__,
            "author": {"metabench"},
            "algorithm_name": source.algorithm,
            "description": f"{suite.entry.title}: {source.description}",
            "total_episodes": file.episodes,
            "total_steps": file.steps,
            "dataset_size": storage.get_size(),
            **_describe_scores(suite.dataset_tasks(dataset)),
        }
    )
    return join_trajectories(parts)


def set_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest` into the metadata of the Minari dataset in `folder`."""
    _open(folder).update_metadata({MANIFEST_KEY: manifest.model_dump(mode="json")})


def read_minari_manifest(folder: Path) -> Manifest:
    """The manifest in a Minari dataset's metadata; raises `DataError` if there is none or it is damaged."""
    from minari.dataset.minari_storage import MinariStorage

    path = folder / METADATA_FILE
    try:
        metadata = MinariStorage.read_raw_metadata(folder / "data")
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    if not isinstance(metadata, dict) or MANIFEST_KEY not in metadata:
        raise DataError(f"{path}: has no key {MANIFEST_KEY!r}: not a dataset that metabench made")
    return parse_manifest(metadata[MANIFEST_KEY], path)


def read_minari(folder: Path, progress: BuildProgress | None = None) -> Trajectories:
    """Decode all episodes of the Minari dataset in `folder`; raises `DataError` naming a damaged file."""
    with name_damage(folder / MAIN_FILE):
        check_heaps(folder / MAIN_FILE)
        storage = _open(folder)
        count = storage.total_episodes
        entries = list(storage.get_episode_metadata(range(count)))
    episodes: list[dict[str, Any]] = []
    for start in range(0, count, CHUNK):
        with name_damage(folder / MAIN_FILE):
            episodes += [
                _check_whole(episode)
                for episode in storage.get_episodes(range(start, min(start + CHUNK, count)))
            ]
        if progress is not None:
            progress("reading back", len(episodes), count)
    with name_damage(folder / MAIN_FILE):
        return _join_episodes(episodes, entries)


@contextmanager
def name_damage(path: Path) -> Iterator[None]:
    """Turn whatever Minari or h5py raise on damaged content into a `DataError` that names the file."""
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, AssertionError, TypeError) as error:
        raise DataError(f"{path}: damaged: {error or type(error).__name__}") from error


def _open(folder: Path) -> Any:
    from minari.dataset.minari_storage import MinariStorage

    return MinariStorage.read(folder / "data")


def _make_gymnasium_spaces(spaces: Spaces) -> tuple[Any, Any]:
    from metabench.envs.gymnasium.view import action_space, observation_space

    return observation_space(spaces), action_space(spaces)


def _describe_scores(tasks: Sequence[TaskEntry]) -> dict[str, Any]:
    """Returns that are 0 and 1 of Minari's normalised score, as they were when the data was made."""
    ends = {str(task.id): (task.reference.random, task.reference.expert) for task in tasks}
    low, high = np.mean(list(ends.values()), axis=0).tolist()
    return {
        "ref_min_score": low,
        "ref_max_score": high,
        "ref_scores_of_tasks": ends,
        "requirements": ["metabench"],
    }


def _split_arrays(part: Trajectories, episode: int) -> tuple[dict[str, Array], dict[str, Array]]:
    """One episode's arrays as Minari names them, and its `infos`."""
    columns = part.columns
    start, stop = int(columns.offsets[episode]), int(columns.offsets[episode + 1])
    last = np.arange(stop - start) == stop - start - 1
    terminated = bool(columns.terminated[episode])
    arrays = {
        "observations": columns.observations[start + episode : stop + episode + 1],
        "actions": columns.actions[start:stop],
        "rewards": columns.rewards[start:stop],
        "terminations": last & terminated,
        "truncations": last & (not terminated),
    }
    further = {"success": part.success, EXPERT_ACTIONS: columns.expert_actions}
    return arrays, {name: each[start:stop] for name, each in further.items() if each is not None}


def _describe_episode(
    part: Trajectories, episode: int, suite: Suite, order: int
) -> dict[str, str | int | bool]:
    """Seed, task, split, behaviour and, where there is such a thing, success at any step, stage and order in it."""
    task = int(part.columns.tasks[episode])
    entry: dict[str, str | int | bool] = {
        "seed": int(part.seeds[episode]),
        "task": task,
        "split": suite.tasks[task].split,
        "behaviour": str(part.behaviours[episode]),
    }
    if part.success is not None:
        offsets = part.columns.offsets
        entry["success"] = bool(part.success[offsets[episode] : offsets[episode + 1]].any())
    if part.columns.stages is not None:
        entry |= {STAGE: int(part.columns.stages[episode]), "order": order}
    return entry


def _check_whole(episode: dict[str, Any]) -> dict[str, Any]:
    """The episode, if it ends with its last step and nowhere else."""
    steps = len(episode["rewards"])
    ended = episode["terminations"] | episode["truncations"]
    if (
        ended.shape != (steps,)
        or not ended[-1]
        or ended[:-1].any()
        or len(episode["observations"]) != steps + 1
    ):
        raise ValueError(f"episode {episode['id']} does not end with its last step")
    return episode


def _join_episodes(episodes: list[dict[str, Any]], entries: list[dict[str, Any]]) -> Trajectories:
    """Episodes and their metadata as flat arrays."""
    lengths = [len(episode["rewards"]) for episode in episodes]
    infos = [episode["infos"] or {} for episode in episodes]
    success, labels = (_find_known(infos, name, "infos/") for name in ("success", EXPERT_ACTIONS))
    stages = _find_known(entries, STAGE)
    columns = Columns(
        observations=np.concatenate([episode["observations"] for episode in episodes]),
        actions=np.concatenate([episode["actions"] for episode in episodes]),
        rewards=np.concatenate([episode["rewards"] for episode in episodes]),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        terminated=np.array([episode["terminations"][-1] for episode in episodes], bool),
        tasks=np.array([entry["task"] for entry in entries], np.int64),
        stages=None if stages is None else np.array(stages, np.int64),
        expert_actions=None if labels is None else np.concatenate(labels),
    )
    return Trajectories(
        columns,
        behaviours=np.array([entry["behaviour"] for entry in entries], np.str_),
        seeds=np.array([entry["seed"] for entry in entries], np.int64),
        success=None if success is None else np.concatenate(success),
    )


def _find_known(content: list[dict[str, Any]], name: str, where: str = "") -> list[Any] | None:
    """What all episodes have under `name`; None where none has it."""
    known = [each[name] for each in content if name in each]
    if known and len(known) != len(content):
        raise ValueError(f"some episodes have no {where}{name}")
    return known or None
