"""D4RL's HDF5 files as Minari datasets, read without gym and without d4rl's own package.

A file holds flat columns `observations`, `actions`, `rewards`, `terminals`, and perhaps `timeouts` and
`next_observations`; or pieces of them, one after another, as `virtual/0/observations`, `virtual/1/observations` and so
on. `flat_transitions` says where episodes end and what is kept of them. `infos` and `metadata` are not read.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from metabench.data.foreign.flat_columns import FlatRows
from metabench.data.foreign.flat_transitions import find_episodes, read_episodes
from metabench.data.foreign.options import ImportOptions, check_task, find_fitting_spaces
from metabench.data.foreign.write_minari import ForeignFile, Imported, open_new_datasets
from metabench.data.storage.hdf5_heaps import check_heaps
from metabench.data.trajectories import BuildProgress
from metabench.envs import Array
from metabench.errors import DataError
from metabench.system.home import read_folder

REQUIRED = ("observations", "actions", "rewards", "terminals")
OPTIONAL = ("timeouts", "next_observations")

_GZIP = b"\x1f\x8b"

_FAULTS: tuple[tuple[str, str, str], ...] = (
    (
        r"ant-?maze",
        r"(?!)",
        "rewards of AntMaze are 1 at the goal and 0 elsewhere; many methods expect 1 subtracted from each, which is "
        "not done here",
    ),
    (
        r"ant-?maze",
        r"fixed|v[1-9]",
        "the time-outs of AntMaze's first version are known not to lie where its episodes end (D4RL issue 77); take "
        "a later one",
    ),
    (
        r"maze2d",
        r"(?!)",
        "the time-outs of Maze2D are known to mark where the goal changes, not where an episode ends (D4RL issue 85)",
    ),
)
"""Known faults: a pattern of file names, one of those that do not have the fault, and what it is."""


def import_d4rl(
    path: Path,
    task: int,
    options: ImportOptions,
    *,
    sha256: str | None = None,
    progress: BuildProgress | None = None,
) -> Imported:
    """Write the D4RL file `path` as the Minari dataset of `task`.

    Args:
        path: the file; a relative name that does not exist is looked for in `$D4RL_DATASET_DIR` (by default
            `~/.d4rl/datasets`).
        task: the task's id in the suite.
        options: what the file does not say.
        sha256: the file's hash, if it is to be checked.
        progress: told how far it is.

    Raises:
        DataError: the file does not hold what it should, in one line that names file and key; nothing is written.
        MetabenchError: the options contradict each other.
    """
    path = _find_file(path)
    suite = options.load_suite_of_target()
    check_task(suite, task, path)
    registered = options.look_up_environment()
    digest = _hash_file(path)
    if sha256 is not None and digest != sha256.lower().removeprefix("sha256:"):
        raise DataError(f"{path}: sha256: expected {sha256}, found {digest}")
    with _open_rows(path) as rows:
        horizon = options.horizon if suite is None else suite.spaces.horizon
        if horizon is None and registered is not None:
            horizon = registered.spec.max_episode_steps
        cut = rows.timeouts is None
        if cut and horizon is None:
            raise DataError(
                f"{path}: timeouts: is missing: say after how many steps an episode ends (`--horizon`), or "
                "of which environment it is (`--environment Hopper-v5`)"
            )
        spaces = find_fitting_spaces(options, suite, rows, horizon or rows.count, registered)
        spans = find_episodes(rows, horizon, cut=cut, jumps_allowed=True, progress=progress)
        if horizon is None:
            spaces = replace(spaces, horizon=spans.longest)
        source = ForeignFile(
            path,
            rows.keys["actions"],
            rows.count,
            {"format": "d4rl", "file": path.name, "sha256": digest},
            horizon=horizon,
            environment=registered.spec if registered is not None else None,
        )
        with open_new_datasets(options, [task]) as datasets:
            imported = datasets.add(
                task, read_episodes(rows, spans, options.keep_last), spaces, source, progress
            )
    _warn_of_faults(path)
    return imported


def _find_file(path: Path) -> Path:
    if path.exists() or path.is_absolute():
        return path
    folder = read_folder("D4RL_DATASET_DIR") or Path.home() / ".d4rl" / "datasets"
    return folder / path if (folder / path).exists() else path


def _hash_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


@contextmanager
def _open_rows(path: Path) -> Iterator[FlatRows]:
    """The columns of the file, readable within."""
    import h5py

    with path.open("rb") as raw:
        if raw.read(2) == _GZIP:
            raise DataError(f"{path}: is compressed with gzip; unpack it first")
    try:
        check_heaps(path)
        file = h5py.File(path, "r")
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a whole HDF5 file: {error}") from error
    with file:
        try:
            rows = _columns(path, file)
        except (OSError, RuntimeError, KeyError, ValueError) as error:
            raise DataError(f"{path}: damaged: {error}") from error
        yield rows


def _columns(path: Path, file: Any) -> FlatRows:
    prefixes = (
        ("",)
        if "virtual" not in file or any(name in file for name in REQUIRED)
        else _list_pieces(path, file)
    )
    columns: dict[str, _Column] = {}
    for name in (*REQUIRED, *OPTIONAL):
        missing = [f"{prefix}{name}" for prefix in prefixes if f"{prefix}{name}" not in file]
        if missing and (name in REQUIRED or len(missing) < len(prefixes)):
            there = ", ".join(_list_names(file[prefixes[0]] if prefixes[0] else file)) or "nothing"
            raise DataError(f"{path}: {missing[0]}: is missing; the file has {there}")
        if not missing:
            columns[name] = _Column(path, file, [f"{prefix}{name}" for prefix in prefixes])
    names = {
        name: name if prefixes == ("",) else f"virtual/*/{name}" for name in (*REQUIRED, *OPTIONAL)
    }
    return FlatRows(path, names, **columns)


def _list_pieces(path: Path, file: Any) -> tuple[str, ...]:
    """`virtual/0/`, `virtual/1/`, ...: in the order of their numbers, none missing."""
    import h5py

    _refuse_links(path, file, "virtual")
    group = file["virtual"]
    names = _list_names(group) if isinstance(group, h5py.Group) else []
    if not names or set(names) != {str(number) for number in range(len(names))}:
        found = ", ".join(names[:5]) or "none"
        raise DataError(
            f"{path}: virtual: expected pieces 0, 1, 2 and so on without gaps, found {found}"
        )
    for name in names:
        _refuse_links(path, file, f"virtual/{name}")
        if not isinstance(group[name], h5py.Group):
            raise DataError(
                f"{path}: virtual/{name}: expected a group of arrays, found {group[name]!r}"
            )
    return tuple(f"virtual/{number}/" for number in range(len(names)))


def _list_names(group: Any) -> list[str]:
    """What lies in a group, sorted; h5py gives names that are no text as bytes."""
    return sorted(
        name if isinstance(name, str) else name.decode(errors="replace") for name in group
    )


def _refuse_links(path: Path, file: Any, key: str) -> None:
    """Raise `DataError` if `key` is reached by a link: it could lead to another file."""
    import h5py

    parts = key.split("/")
    for depth in range(1, len(parts) + 1):
        if not isinstance(file.get("/".join(parts[:depth]), getlink=True), h5py.HardLink):
            raise DataError(f"{path}: {key}: is a link; expected the numbers themselves")


class _Column:
    """Pieces of a column, one after another, read as they are asked for."""

    def __init__(self, path: Path, file: Any, keys: list[str]) -> None:
        """Raise `DataError` unless all are arrays that lie in this file and are as wide as each other."""
        import h5py

        self._path, self._keys = path, keys
        self._pieces: list[Any] = []
        for key in keys:
            _refuse_links(path, file, key)
            piece = file[key]
            if not isinstance(piece, h5py.Dataset) or not piece.shape:
                raise DataError(f"{path}: {key}: expected an array, found {piece!r}")
            if piece.external is not None or (
                piece.is_virtual
                and any(source.file_name != "." for source in piece.virtual_sources())
            ):
                raise DataError(
                    f"{path}: {key}: its numbers lie in another file; expected them in this one"
                )
            if self._pieces and (
                piece.shape[1:] != self._pieces[0].shape[1:] or piece.dtype != self._pieces[0].dtype
            ):
                first = f"{self._pieces[0].dtype} of shape (N, {str(self._pieces[0].shape[1:])[1:]}"
                raise DataError(
                    f"{path}: {key}: expected {first} as {keys[0]} is, found {piece.dtype} of shape {piece.shape}"
                )
            self._pieces.append(piece)
        self._ends = np.cumsum([piece.shape[0] for piece in self._pieces])
        self.shape: tuple[int, ...] = (int(self._ends[-1]), *self._pieces[0].shape[1:])
        self.dtype: np.dtype[Any] = self._pieces[0].dtype

    def __getitem__(self, rows: slice) -> Array:
        start, stop, _step = rows.indices(self.shape[0])
        parts: list[Array] = []
        for key, piece, end in zip(self._keys, self._pieces, self._ends, strict=True):
            begin = end - piece.shape[0]
            if start < end and stop > begin:
                try:
                    parts.append(piece[max(start - begin, 0) : stop - begin])
                except (OSError, RuntimeError, ValueError) as error:
                    raise DataError(f"{self._path}: {key}: damaged: {error}") from error
        return np.concatenate(parts) if len(parts) != 1 else parts[0]


def _warn_of_faults(path: Path) -> None:
    name = path.name.lower().replace("_", "-")
    for pattern, unless, fault in _FAULTS:
        if re.search(pattern, name) and not re.search(unless, name):
            warnings.warn(f"{path.name}: {fault}", stacklevel=3)
