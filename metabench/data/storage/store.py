"""The memory-mapped columnar store: one `.npy` file a column and a JSON header that describes and hashes them."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, ValidationError

from metabench.data.storage.manifest import Manifest
from metabench.data.storage.places import store_folder
from metabench.data.storage.recipe import check_recipe, suggest_rebuild
from metabench.data.trajectories import Trajectories
from metabench.envs import Array, Spaces
from metabench.errors import DataError, first_problem
from metabench.suites import Suite
from metabench.system.strict_model import StrictModel
from metabench.system.writing import writing

HEADER_FILE = "header.json"


class ColumnFile(StrictModel):
    """One column's file."""

    file: str = Field(pattern=r"^[a-z_]+\.npy$")
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    sha256: str


class Header(StrictModel):
    """The content of header.json."""

    format: Literal[1] = 1
    manifest: Manifest
    spaces: Spaces
    episodes: int
    transitions: int
    columns: dict[str, ColumnFile]


@dataclass(frozen=True)
class Store:
    """An opened store.

    Attributes:
        folder: where it lies.
        header: its description.
        trajectories: its columns, read-only views of the memory-mapped files.
    """

    folder: Path
    header: Header
    trajectories: Trajectories


def write_store(
    folder: Path, trajectories: Trajectories, manifest: Manifest, spaces: Spaces
) -> None:
    """Write all columns and then the header into `folder`, which must exist and be empty.

    Raises:
        StorageError: the disk is full, read-only or fails.
    """
    columns = {}
    for name, values in trajectories.arrays().items():
        path = folder / f"{name}.npy"
        with writing(path), path.open("wb") as file:
            np.save(file, np.ascontiguousarray(values), allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        columns[name] = ColumnFile(
            file=path.name,
            shape=values.shape,
            dtype=values.dtype.str,
            bytes=path.stat().st_size,
            sha256=_hash_file(path),
        )
    header = Header(
        manifest=manifest,
        spaces=spaces,
        episodes=len(trajectories.seeds),
        transitions=len(trajectories.columns.rewards),
        columns=columns,
    )
    text = json.dumps(header.model_dump(mode="json"), indent=1) + "\n"
    with writing(folder / HEADER_FILE):
        (folder / HEADER_FILE).write_text(text, encoding="utf-8")


def store_exists(suite: Suite, dataset: str) -> bool:
    """Whether the dataset has a store, sound or not."""
    return store_folder(suite, dataset).is_dir()


def open_store(suite: Suite, dataset: str) -> Store:
    """Open the store of `dataset` after cheap checks: header, sizes, shapes, tasks and recipe; not the hashes.

    Raises:
        DataError: it is not there, damaged or made for something else; the message names file and remedy.
    """
    folder = store_folder(suite, dataset)
    if not folder.is_dir():
        raise DataError(
            f"dataset {dataset!r} of {suite.identity} is not built; "
            f"run `metabench data build {suite.argument} --dataset {dataset}`"
        )
    with suggest_rebuild(suite, dataset):
        header = _read_header(folder)
        check_recipe(header.manifest.recipe_digest, suite, dataset, folder / HEADER_FILE, folder)
        if header.spaces != suite.spaces:
            raise DataError(f"{folder / HEADER_FILE}: spaces: expected {suite.spaces}")
        arrays = {
            name: _open_column(folder / column.file, column)
            for name, column in header.columns.items()
        }
        try:
            trajectories = Trajectories.from_arrays(arrays)
        except KeyError as error:
            raise DataError(
                f"{folder / HEADER_FILE}: columns: {error.args[0]!r} is missing"
            ) from error
        _check_shapes(header, trajectories, folder)
    return Store(folder, header, trajectories)


def open_checked_store(suite: Suite, dataset: str) -> Store:
    """Open the store of `dataset` to use its numbers: its files' hashes as well are recomputed, once a process.

    Raises:
        DataError: as `open_store`, or a file's content is not what was written.
    """
    store = open_store(suite, dataset)
    with suggest_rebuild(suite, dataset):
        for column in store.header.columns.values():
            path = store.folder / column.file
            status = path.stat()
            _check_hash(path, column.sha256, status.st_ino, status.st_mtime_ns)
    return store


def read_store_manifest(folder: Path) -> Manifest:
    """What the store in `folder` says of itself; raises `DataError` if it is not there or damaged."""
    return _read_header(folder).manifest


def check_hashes(folder: Path) -> None:
    """Recompute the hash of every file of a store; raises `DataError` naming the first wrong one."""
    for column in _read_header(folder).columns.values():
        path = folder / column.file
        if not path.is_file():
            raise DataError(f"{path}: is missing")
        _compare_hash(path, column.sha256)


def _read_header(folder: Path) -> Header:
    path = folder / HEADER_FILE
    try:
        return Header.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise DataError(f"{path}: {first_problem(error)}") from error


def _open_column(path: Path, column: ColumnFile) -> Array:
    """Memory-map one column, if its file is what the header says."""
    if not path.is_file():
        raise DataError(f"{path}: is missing")
    size = path.stat().st_size
    if size != column.bytes:
        raise DataError(f"{path}: has {size} bytes, expected {column.bytes}")
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: not a NumPy file: {error}") from error
    if values.shape != column.shape or values.dtype.str != column.dtype:
        found = f"{values.dtype.str} {values.shape}"
        raise DataError(f"{path}: holds {found}, expected {column.dtype} {column.shape}")
    return np.asarray(values)


def _check_shapes(header: Header, trajectories: Trajectories, folder: Path) -> None:
    episodes, transitions, spaces = header.episodes, header.transitions, header.spaces
    actions = (transitions,) if spaces.discrete else (transitions, spaces.action_dim)
    expected: dict[str, tuple[int, ...]] = {
        "observations": (transitions + episodes, spaces.observation_dim),
        "actions": actions,
        "rewards": (transitions,),
        "offsets": (episodes + 1,),
        "terminated": (episodes,),
        "tasks": (episodes,),
        "behaviours": (episodes,),
        "seeds": (episodes,),
        "success": (transitions,),
        "stages": (episodes,),
        "expert_actions": actions,
    }
    for name, values in trajectories.arrays().items():
        if values.shape != expected[name]:
            raise DataError(
                f"{folder / name}.npy: has shape {values.shape}, expected {expected[name]}"
            )
    offsets, tasks = trajectories.columns.offsets, trajectories.columns.tasks
    if (
        episodes < 1
        or offsets[0] != 0
        or offsets[-1] != transitions
        or (np.diff(offsets) < 1).any()
    ):
        raise DataError(f"{folder / 'offsets.npy'}: not the offsets of {transitions} transitions")
    if (np.diff(tasks) < 0).any() or not np.isin(
        tasks, [task.id for task in header.manifest.tasks]
    ).all():
        raise DataError(f"{folder / 'tasks.npy'}: not ascending ids of the dataset's tasks")


@functools.cache
def _check_hash(path: Path, expected: str, *state: int) -> None:
    """As `_compare_hash`, once for each state of the file."""
    del state
    _compare_hash(path, expected)


def _compare_hash(path: Path, expected: str) -> None:
    if _hash_file(path) != expected:
        raise DataError(f"{path}: its content does not match the sha256 in {HEADER_FILE}")


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
