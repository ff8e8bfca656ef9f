"""Datasets on disk in Minari's format, read through Minari's own storage class."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from metabench.data.collect import RollOut, joined, roll_out
from metabench.data.columns import Columns
from metabench.data.home import minari_id
from metabench.data.manifest import Manifest, Plan, Trajectories, plan_trajectories, read_manifest
from metabench.envs import Array, Spaces
from metabench.errors import DataError
from metabench.suites import Suite

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

CHUNK = 500
"""Trajectories that are rolled out and written, or read, between two calls of a `Progress`."""

METADATA_FILE = "data/metadata.json"
MAIN_FILE = "data/main_data.hdf5"
MANIFEST_KEY = "metabench"


def write_minari(folder: Path, suite: Suite, dataset: str, progress: Progress | None = None) -> Trajectories:
    """Roll out all trajectories of `dataset` into a new Minari dataset in `folder`, which must exist.

    Returns what has been written. `set_manifest` completes the dataset.
    """
    import minari
    from minari.dataset.minari_storage import MinariStorage

    from metabench.data.minari_layout import episode_file

    recipe = suite.dataset(dataset)
    shares = ", ".join(f"{100 * share:g} % {name}" for name, share in recipe.behaviours.items())
    observation_space, action_space = _gymnasium_spaces(suite.spaces)
    storage = MinariStorage.new(
        folder / "data",
        observation_space=observation_space,
        action_space=action_space,
        data_format="hdf5",
        jpeg_encoding=False,
    )
    plan = plan_trajectories(suite, dataset)
    parts: list[RollOut] = []
    with episode_file(folder / MAIN_FILE) as file:
        for start in range(0, len(plan), CHUNK):
            chunk = slice(start, start + CHUNK)
            part = roll_out(suite, plan.tasks[chunk], plan.behaviours[chunk], plan.seeds[chunk])
            for episode in range(len(part.columns.tasks)):
                arrays, infos = _arrays(part, episode)
                file.add(arrays, infos, _metadata(part, episode, plan, start + episode))
            parts.append(part)
            if progress is not None:
                progress("rolling out", file.episodes, len(plan))
    storage.update_metadata(
        {
            "dataset_id": minari_id(suite, dataset),
            "minari_version": minari.__version__,
            "author": {"metabench"},
            "algorithm_name": f"metabench teacher: {shares}",
            "description": f"{suite.entry.title}: {recipe.trajectories} trajectories a task, {shares}",
            "total_episodes": file.episodes,
            "total_steps": file.steps,
            "dataset_size": storage.get_size(),
        }
    )
    whole = joined(parts)
    return Trajectories(whole.columns, np.array(plan.behaviours), np.array(plan.seeds, np.int64), whole.success)


def set_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest` into the metadata of the Minari dataset in `folder`."""
    _open(folder).update_metadata({MANIFEST_KEY: manifest.model_dump(mode="json")})


def manifest_of(folder: Path) -> Manifest:
    """The manifest in a Minari dataset's metadata; raises `DataError` if there is none or it is damaged."""
    from minari.dataset.minari_storage import MinariStorage

    path = folder / METADATA_FILE
    try:
        metadata = MinariStorage.read_raw_metadata(folder / "data")
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    if not isinstance(metadata, dict) or MANIFEST_KEY not in metadata:
        raise DataError(f"{path}: has no key {MANIFEST_KEY!r}: not a dataset that metabench made")
    return read_manifest(metadata[MANIFEST_KEY], path)


def read_minari(folder: Path, progress: Progress | None = None) -> Trajectories:
    """Decode all episodes of the Minari dataset in `folder`; raises `DataError` naming a damaged file."""
    with _naming(folder / MAIN_FILE):
        storage = _open(folder)
        count = storage.total_episodes
        entries = list(storage.get_episode_metadata(range(count)))
    episodes: list[dict[str, Any]] = []
    for start in range(0, count, CHUNK):
        with _naming(folder / MAIN_FILE):
            episodes += [_whole(episode) for episode in storage.get_episodes(range(start, min(start + CHUNK, count)))]
        if progress is not None:
            progress("reading back", len(episodes), count)
    with _naming(folder / MAIN_FILE):
        return _joined(episodes, entries)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn whatever Minari or h5py raise on damaged content into a `DataError` that names the file."""
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, AssertionError, TypeError) as error:
        raise DataError(f"{path}: damaged: {error or type(error).__name__}") from error


def _open(folder: Path) -> Any:
    from minari.dataset.minari_storage import MinariStorage

    return MinariStorage.read(folder / "data")


def _gymnasium_spaces(spaces: Spaces) -> tuple[Any, Any]:
    from metabench.envs.gymnasium_view import action_space, observation_space

    return observation_space(spaces), action_space(spaces)


def _arrays(part: RollOut, episode: int) -> tuple[dict[str, Array], dict[str, Array]]:
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
    return arrays, {} if part.success is None else {"success": part.success[start:stop]}


def _metadata(part: RollOut, episode: int, plan: Plan, position: int) -> dict[str, str | int | bool]:
    """Seed, task, split, behaviour and, where there is such a thing, success at any step."""
    entry: dict[str, str | int | bool] = {
        "seed": plan.seeds[position],
        "task": plan.tasks[position],
        "split": plan.splits[position],
        "behaviour": plan.behaviours[position],
    }
    if part.success is not None:
        offsets = part.columns.offsets
        entry["success"] = bool(part.success[offsets[episode] : offsets[episode + 1]].any())
    return entry


def _whole(episode: dict[str, Any]) -> dict[str, Any]:
    """The episode, if it ends with its last step and nowhere else."""
    steps = len(episode["rewards"])
    ended = episode["terminations"] | episode["truncations"]
    if ended.shape != (steps,) or not ended[-1] or ended[:-1].any() or len(episode["observations"]) != steps + 1:
        raise ValueError(f"episode {episode['id']} does not end with its last step")
    return episode


def _joined(episodes: list[dict[str, Any]], entries: list[dict[str, Any]]) -> Trajectories:
    """Episodes and their metadata as flat arrays."""
    lengths = [len(episode["rewards"]) for episode in episodes]
    successes = [episode["infos"]["success"] for episode in episodes if "success" in (episode["infos"] or {})]
    if successes and len(successes) != len(episodes):
        raise ValueError("some episodes have no infos/success")
    columns = Columns(
        observations=np.concatenate([episode["observations"] for episode in episodes]),
        actions=np.concatenate([episode["actions"] for episode in episodes]),
        rewards=np.concatenate([episode["rewards"] for episode in episodes]),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        terminated=np.array([episode["terminations"][-1] for episode in episodes], bool),
        tasks=np.array([entry["task"] for entry in entries], np.int64),
    )
    return Trajectories(
        columns,
        behaviours=np.array([entry["behaviour"] for entry in entries], np.str_),
        seeds=np.array([entry["seed"] for entry in entries], np.int64),
        success=np.concatenate(successes) if successes else None,
    )
