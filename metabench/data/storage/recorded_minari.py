"""Minari datasets that others have recorded, read with suspicion: their spaces and episodes.

Nothing in them is run: an environment that a dataset describes is never made from that description.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from metabench.data.storage.download import download_minari
from metabench.data.storage.hdf5_heaps import check_heaps
from metabench.data.trajectories import CHUNK
from metabench.envs import Array, DeclaredSpaces
from metabench.envs.gymnasium.family import find_success
from metabench.errors import DataError
from metabench.system.home import minari_root

Content = TypeVar("Content")


@dataclass(frozen=True)
class RecordedEpisode:
    """One episode as it was recorded, with T steps.

    Attributes:
        number: its number in the dataset.
        observations: `(T + 1, observation_dim)` float32, flattened.
        actions: `(T, action_dim)` float32, or `(T,)` int64.
        rewards: `(T,)` float32.
        terminated: the task ended it; else it was broken off.
        success: `(T,)` bool after each step, or None if that was not recorded.
    """

    number: int
    observations: Array
    actions: Array
    rewards: Array
    terminated: bool
    success: Array | None

    @property
    def steps(self) -> int:
        """T."""
        return len(self.rewards)

    @property
    def total(self) -> float:
        """The undiscounted return."""
        return float(self.rewards.sum(dtype=np.float64))

    def cut(self, steps: int) -> RecordedEpisode:
        """Its first `steps` steps, broken off there; itself if it is no longer than that."""
        if self.steps <= steps:
            return self
        return replace(
            self,
            observations=self.observations[: steps + 1],
            actions=self.actions[:steps],
            rewards=self.rewards[:steps],
            terminated=False,
            success=None if self.success is None else self.success[:steps],
        )


@dataclass(frozen=True)
class RecordedDataset:
    """An opened Minari dataset.

    Attributes:
        name: its id.
        folder: where it lies.
        metadata: the content of its metadata.json.
        storage: Minari's storage.
    """

    name: str
    folder: Path
    metadata: dict[str, Any]
    storage: Any

    def problem(self, what: object) -> DataError:
        """An error that names the dataset."""
        return DataError(f"Minari dataset {self.name!r}: {what}")

    @property
    def observation_space(self) -> Any:
        """Gymnasium's observation space of it."""
        return self.storage.observation_space

    @property
    def action_space(self) -> Any:
        """Gymnasium's action space of it."""
        return self.storage.action_space

    @property
    def env_spec(self) -> dict[str, Any]:
        """What it says of its environment, as plain values; empty if it says nothing."""
        return _parse_plain(self.metadata.get("env_spec"))

    @property
    def count(self) -> int:
        """Number of episodes."""
        return int(self.metadata["total_episodes"])

    def episodes(self, declared: DeclaredSpaces) -> Iterator[RecordedEpisode]:
        """All episodes in stored order, checked one by one.

        Raises:
            DataError: a file is damaged, or an episode is not whole or not finite.
        """
        for start in range(0, self.count, CHUNK):
            with _name_damage(self.name, self.folder):
                chunk = list(
                    self.storage.get_episodes(range(start, min(start + CHUNK, self.count)))
                )
            for episode in chunk:
                try:
                    yield _decode_episode(episode, declared)
                except KeyError as error:
                    said = f"episode {episode['id']}: {error.args[0]!r} is missing"
                    raise DamagedError(f"Minari dataset {self.name!r}: {said}") from error
                except (TypeError, ValueError) as error:
                    raise self.problem(f"episode {episode['id']}: {error}") from error


class DamagedError(DataError):
    """A dataset that is not whole: downloading may have been interrupted."""


def read_or_download(
    name: str, read: Callable[[RecordedDataset], Content], *, download: bool, remedy: str
) -> Content:
    """What `read` makes of the Minari dataset `name`; one that is not whole is downloaded again, if that is allowed.

    Args:
        name: its id.
        read: reads what is needed of it.
        download: fetch it with Minari if it is missing or not whole; without it nothing touches the network.
        remedy: what to do if it is not there, for the error.

    Raises:
        DataError: as `open_recorded` and `read`.
    """
    try:
        return read(open_recorded(name, download=download, remedy=remedy))
    except DamagedError as error:
        if not download:
            raise DamagedError(f"{error}; {remedy}") from error
        warnings.warn(f"{error}; it is downloaded again", stacklevel=2)
        download_minari(name)
    return read(open_recorded(name, download=False, remedy=remedy))


def open_recorded(name: str, *, download: bool, remedy: str) -> RecordedDataset:
    """Open the Minari dataset `name`.

    Args:
        name: its id.
        download: fetch it with Minari if it is not there; without it nothing touches the network.
        remedy: what to do if it is not there, for the error.

    Raises:
        DataError: it is missing, cannot be downloaded, is damaged, or lacks what is needed.
    """
    from minari import supported_dataset_versions
    from minari.dataset.minari_storage import MinariStorage

    folder = minari_root() / name
    if not folder.is_dir():
        if not download:
            raise DataError(f"Minari dataset {name!r} is not in {minari_root()}; {remedy}")
        download_minari(name)
    with _name_damage(name, folder):
        metadata = MinariStorage.read_raw_metadata(folder / "data")
        for key in ("observation_space", "action_space"):
            # Without them Minari would make the environment that the dataset describes.
            if not isinstance(metadata.get(key), str):
                raise ValueError(
                    f"metadata.json: {key}: expected a space, found {metadata.get(key)!r:.40}"
                )
        version = metadata.get("minari_version")
        if version not in supported_dataset_versions:
            raise ValueError(
                f"metadata.json: minari_version: {version!r} is not among those that can be read here"
            )
        if not isinstance(metadata.get("total_episodes"), int) or metadata["total_episodes"] < 1:
            raise ValueError(
                f"metadata.json: total_episodes: expected 1 or more, found {metadata.get('total_episodes')}"
            )
        for file in sorted((folder / "data").glob("*.hdf5")):
            check_heaps(file)
        storage = MinariStorage.read(folder / "data")
    return RecordedDataset(name, folder, metadata, storage)


@contextmanager
def _name_damage(name: str, folder: Path) -> Iterator[None]:
    """Turn whatever Minari or h5py raise on damaged content into a `DataError` that names dataset and folder."""
    try:
        yield
    except (
        OSError,
        ValueError,
        KeyError,
        RuntimeError,
        AssertionError,
        TypeError,
        AttributeError,
        ImportError,
    ) as error:
        raise DamagedError(
            f"Minari dataset {name!r}: cannot be read from {folder / 'data'}: {error or type(error).__name__}"
        ) from error


def _parse_plain(text: Any) -> dict[str, Any]:
    try:
        content = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        content = None
    return content if isinstance(content, dict) else {}


def _decode_episode(episode: dict[str, Any], declared: DeclaredSpaces) -> RecordedEpisode:
    """Check one episode as Minari returns it; raises `ValueError` saying what is wrong."""
    from metabench.envs.gymnasium.spaces import flatten_observations

    rewards = np.asarray(episode["rewards"])
    steps = len(rewards)
    if rewards.shape != (steps,) or steps < 1 or rewards.dtype.kind not in "fiub":
        raise ValueError(f"rewards: expected one number a step, found shape {rewards.shape}")
    ends = {key: np.asarray(episode[key]) for key in ("terminations", "truncations")}
    for key, values in ends.items():
        if values.shape != (steps,) or values.dtype.kind != "b":
            raise ValueError(
                f"{key}: expected {steps} truth values, found {values.dtype} {values.shape}"
            )
    if (ends["terminations"] | ends["truncations"])[:-1].any():
        raise ValueError("terminations, truncations: the episode goes on after its end")
    return RecordedEpisode(
        number=int(episode["id"]),
        observations=_check_finite(
            "observations",
            flatten_observations(episode["observations"], declared.observation_keys, leading=1),
            (steps + 1, declared.observation_dim),
        ),
        actions=_check_actions(np.asarray(episode["actions"]), steps, declared),
        rewards=_check_finite("rewards", rewards.astype(np.float32), (steps,)),
        terminated=bool(ends["terminations"][-1]),
        success=_read_success(episode["infos"] or {}, steps),
    )


def _check_actions(actions: Array, steps: int, declared: DeclaredSpaces) -> Array:
    if not declared.num_actions:
        return _check_finite(
            "actions", actions.astype(np.float32), (steps, len(declared.action_low))
        )
    if actions.shape != (steps,) or actions.dtype.kind not in "iu":
        raise ValueError(
            f"actions: expected {steps} integers, found {actions.dtype} {actions.shape}"
        )
    if actions.min() < 0 or actions.max() >= declared.num_actions:
        raise ValueError(
            f"actions: expected 0 to {declared.num_actions - 1}, found {actions.min()} to {actions.max()}"
        )
    return actions.astype(np.int64)


def _check_finite(key: str, values: Array, shape: tuple[int, ...]) -> Array:
    if values.shape != shape:
        raise ValueError(f"{key}: expected shape {shape}, found {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(
            f"{key}: not finite at step {int(np.argwhere(~np.isfinite(values))[0][0])}"
        )
    return values


def _read_success(infos: dict[str, Any], steps: int) -> Array | None:
    """After each step; Minari's collector also stores one value for the reset, before the first step."""
    key = find_success(infos)
    if key is None:
        return None
    success = np.asarray(infos[key])
    if success.shape[1:] == (1,):
        success = success[:, 0]
    if success.shape not in ((steps,), (steps + 1,)) or success.dtype.kind not in "biuf":
        raise ValueError(
            f"infos/{key}: expected {steps} truth values, found {success.dtype} {success.shape}"
        )
    return success[-steps:].astype(bool)
