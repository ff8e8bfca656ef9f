"""Nested training state (tensors, arrays, numbers, strings, lists, mappings) as safetensors and JSON, never pickle."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from metabench.errors import DataError
from metabench.system.writing import writing

TENSORS = "tensors.safetensors"
STRUCTURE = "structure.json"
DIGESTS = "digests.json"
"""Hashes of the other two; older states and those from elsewhere may have none."""


def save_state(state: Mapping[str, Any], folder: Path, *, keep_previous: bool = False) -> None:
    """Write `state` into `folder`, replacing its content. A reader always finds a complete state, old or new.

    Args:
        state: tensors, arrays and plain values, nested.
        folder: made if missing.
        keep_previous: keep the old state beside the new one; `load_state` reads it if the new one is ever damaged.

    Raises:
        TypeError: a value is not a tensor, array, number, string, bool, None, list, tuple or mapping.
        StorageError: the disk is full, read-only or fails; the old state is unchanged.
    """
    tensors: dict[str, Any] = {}
    structure = _describe(state, tensors, "state")
    fresh, previous = folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")
    with writing(folder):
        try:
            _write_folder(fresh, structure, tensors)
            # No folder can be replaced in one step: the old one goes aside, then the new one takes its place.
            if (
                folder.exists()
            ):  # after a crash between the two renames, the state before is all there is
                shutil.rmtree(previous, ignore_errors=True)
                os.replace(folder, previous)
            os.replace(fresh, folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)  # on a full disk, what could be written of it
    if not keep_previous:
        shutil.rmtree(previous, ignore_errors=True)


def has_state(folder: Path) -> bool:
    """Whether `save_state` ever wrote to `folder`."""
    return folder.exists() or folder.with_name(folder.name + ".old").exists()


def load_state(folder: Path) -> dict[str, Any]:
    """Read what `save_state` wrote; if it is damaged, the state before, if that was kept and is intact.

    Raises:
        DataError: nothing was saved there, or all of it is damaged; the message names the folder.
    """
    # The state before is taken where there is no newer one, too: see `save_state`, between its renames.
    candidates = [
        path for path in (folder, folder.with_name(folder.name + ".old")) if path.exists()
    ]
    problem = ""
    for path in candidates:
        try:
            return _read_folder(path)
        except DataError as error:
            problem = problem or str(error)
    raise DataError(problem or f"{folder}: nothing was saved here")


def _write_folder(folder: Path, structure: Any, tensors: Mapping[str, Any]) -> None:
    """Make `folder` anew and write its three files, to the disk itself."""
    from safetensors.torch import save_file

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    save_file(dict(tensors), folder / TENSORS)
    (folder / STRUCTURE).write_text(json.dumps(structure), encoding="utf-8")
    (folder / DIGESTS).write_text(json.dumps(_hash_files(folder)), encoding="utf-8")
    for name in (TENSORS, STRUCTURE, DIGESTS):
        with (folder / name).open("rb") as file:
            os.fsync(file.fileno())


def _check_digests(folder: Path) -> None:
    """Raise `ValueError` if the files are not those that were written; there may be no digests to tell by."""
    path = folder / DIGESTS
    if path.exists() and json.loads(path.read_bytes()) != _hash_files(folder):
        raise ValueError(f"its files do not match {DIGESTS}")


def _hash_files(folder: Path) -> dict[str, str]:
    digests = {}
    for name in (TENSORS, STRUCTURE):
        with (folder / name).open("rb") as file:
            digests[name] = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
    return digests


def _read_folder(folder: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        _check_digests(folder)
        structure = json.loads((folder / STRUCTURE).read_text(encoding="utf-8"))
        tensors = load_file(folder / TENSORS)
        state = _rebuild(structure, tensors)
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
        SafetensorError,
    ) as error:
        raise DataError(
            f"{folder}: damaged checkpoint ({error}); delete the folder to start again"
        ) from error
    if not isinstance(state, dict):
        raise DataError(
            f"{folder}: damaged checkpoint (not a mapping); delete the folder to start again"
        )
    return state


def _describe(value: Any, tensors: dict[str, Any], path: str) -> Any:
    """`value` as JSON in which tensors and arrays are names, and themselves put into `tensors`."""
    import torch

    name = f"{len(tensors)}:{path}"  # keys may hold dots, so paths alone need not differ
    if isinstance(value, torch.Tensor):
        # A copy of its own: safetensors refuses tensors that share memory, as tied weights and slices do.
        tensors[name] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {"tensor": name}
    if isinstance(value, np.ndarray):
        tensors[name] = torch.from_numpy(value.copy(order="C"))
        return {"array": name}
    if isinstance(value, np.generic):
        return {"value": value.item()}
    if value is None or isinstance(value, bool | int | float | str):
        return {"value": value}
    if isinstance(value, Mapping):
        # Pairs, not a JSON object, whose keys could be strings only.
        items = [
            [_describe_key(key, path), _describe(item, tensors, f"{path}.{key}")]
            for key, item in value.items()
        ]
        return {"mapping": items}
    if isinstance(value, list | tuple):
        items = [_describe(item, tensors, f"{path}.{i}") for i, item in enumerate(value)]
        return {"list" if isinstance(value, list) else "tuple": items}
    raise TypeError(
        f"{path}: a checkpoint cannot hold {type(value).__name__}; expected tensors, arrays or plain values"
    )


def _describe_key(key: Any, path: str) -> Any:
    if not isinstance(key, str | int):
        raise TypeError(
            f"{path}: keys of a checkpoint must be strings or integers, found {type(key).__name__}"
        )
    return key


def _rebuild(node: Any, tensors: Mapping[str, Any]) -> Any:
    """What `_describe` described; anything else is a damaged file and raises one of what `_read_folder` catches."""
    ((kind, content),) = node.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "array":
        return tensors[content].numpy()
    if kind == "value":
        return content
    if kind == "mapping":
        return {key: _rebuild(item, tensors) for key, item in content}
    items = [_rebuild(item, tensors) for item in content]
    if kind == "list":
        return items
    if kind == "tuple":
        return tuple(items)
    raise ValueError(f"unknown node {kind!r}")
