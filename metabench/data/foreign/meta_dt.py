"""The released data of the Meta-DT group as Minari datasets: one pickle a task, `dataset_task_<i>.pkl`.

Each is a mapping of flat columns, in one of two spellings: `observations`, `next_observations`, `terminals` or
`states`, `next_states`, `dones`, and in both `actions`, `rewards` and perhaps `masks`. Trajectories are all as long as
the horizon and lie one after another. `masks` is 0 where an end is the task's own: an end with mask 1 is a time
limit's. Files of prompts, goals and returns beside them are not read. `safe_pickle` reads the pickles.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from metabench.data.foreign.flat_columns import FlatRows
from metabench.data.foreign.flat_transitions import LoggedEpisode, find_episodes, read_episodes
from metabench.data.foreign.options import ImportOptions, check_task, find_fitting_spaces
from metabench.data.foreign.own_dataset import (
    choose_whole_splits,
    is_imported,
    make_own_dataset,
    name_own_dataset,
)
from metabench.data.foreign.safe_pickle import read_mapping
from metabench.data.foreign.simulator_check import follow_episodes
from metabench.data.foreign.write_minari import ForeignFile, Imported, open_new_datasets
from metabench.data.trajectories import BuildProgress
from metabench.envs import Array
from metabench.errors import DataError
from metabench.suites.gymnasium_ids import describe_view

_FILE = re.compile(r"dataset_task_(0|[1-9]\d{0,5})\.pkl")

_SPELLINGS: tuple[dict[str, str], ...] = (
    {
        "observations": "observations",
        "next_observations": "next_observations",
        "terminals": "terminals",
    },
    {"observations": "states", "next_observations": "next_states", "terminals": "dones"},
)


def import_meta_dt(
    folder: Path,
    options: ImportOptions,
    *,
    keep: bool = False,
    progress: BuildProgress | None = None,
) -> tuple[Imported, ...]:
    """Write every `dataset_task_<i>.pkl` in `folder` as the Minari dataset of task i: all of them, or none.

    If the suite exists, its simulator repeats the logged actions, and the data become a dataset of the suite.

    Args:
        folder: the folder of the pickles.
        options: what the files do not say; the horizon is needed unless the suite exists.
        keep: do nothing and return nothing if the suite already has this dataset from exactly these files.
        progress: told how far it is.

    Raises:
        DataError: a file has wrong content, or the suite's simulator gives other observations or rewards; the line
            names file and key, and nothing is written.
        MetabenchError: the options contradict each other.
    """
    suite = options.load_suite_of_target()
    files = _list_files(folder)
    for task, path in files.items():
        check_task(suite, task, path)
    horizon = options.horizon if suite is None else suite.spaces.horizon
    if horizon is None:
        raise DataError(
            f"{folder}: its files do not say how long a trajectory is: give the horizon (`--horizon`)"
        )
    if suite is not None:
        options = name_own_dataset(options, suite)
        files = choose_whole_splits(suite, files, folder)
    descriptions = {
        task: {
            "format": "meta-dt",
            "file": path.name,
            "sha256": _hash_file(path),
            "action_scale": options.action_scale,
        }
        for task, path in files.items()
    }
    if keep and suite is not None and options.own_dataset in suite.entry.datasets:
        if is_imported(suite, options, descriptions):
            return ()
        raise DataError(
            f"dataset {options.own_dataset!r} of {suite.identity} was made of other files than those in {folder}, or "
            f"in other units; `metabench data import meta-dt {folder} --suite {suite.name} --force` replaces it"
        )
    imported, unchecked = [], None
    with open_new_datasets(options, list(files)) as datasets:
        for task, path in files.items():
            rows = _read_rows(path)
            spaces = find_fitting_spaces(options, suite, rows, horizon)
            spans = find_episodes(rows, horizon, cut=True, jumps_allowed=False)
            hint = " (of other units? `--action-scale`)"
            source = ForeignFile(
                path,
                rows.keys["actions"],
                rows.count,
                descriptions[task],
                hint,
                horizon,
                None if suite is None else describe_view(suite, task),
            )
            episodes = [
                _scale_actions(episode, options.action_scale, rows)
                for episode in read_episodes(rows, spans, options.keep_last)
            ]
            imported.append(datasets.add(task, iter(episodes), spaces, source, progress))
            if suite is not None and unchecked is None:
                unchecked = follow_episodes(suite, task, episodes, rows)
    if unchecked is not None:
        warnings.warn(
            f"{folder}: it was not compared with the suite's simulator: {unchecked}", stacklevel=2
        )
    if suite is not None:
        make_own_dataset(suite, options, imported, progress)
    return tuple(imported)


def _scale_actions(episode: LoggedEpisode, scale: float, rows: FlatRows) -> LoggedEpisode:
    """The episode with actions in other units; raises `DataError` for discrete ones."""
    if scale == 1.0:
        return episode
    if rows.discrete:
        raise DataError(
            f"{rows.path}: {rows.keys['actions']}: are whole numbers; leave out the action scale"
        )
    actions = (episode.actions.astype(np.float64) * scale).astype(np.float32)
    return replace(episode, actions=actions)


def _list_files(folder: Path) -> dict[int, Path]:
    """Task to file, in the order of the tasks; none of them lies outside `folder`."""
    if not folder.is_dir():
        raise DataError(f"{folder}: expected a folder with dataset_task_<i>.pkl")
    root = folder.resolve()
    found = {}
    for path in folder.iterdir():
        named = _FILE.fullmatch(path.name)
        if named is None:
            continue
        if not path.resolve().is_relative_to(root):
            raise DataError(f"{path}: leads outside the folder, to {path.resolve()}")
        if not path.is_file():
            raise DataError(f"{path}: expected a file")
        found[int(named[1])] = path
    if not found:
        raise DataError(f"{folder}: expected files dataset_task_<i>.pkl, found none")
    return dict(sorted(found.items()))


def _read_rows(path: Path) -> FlatRows:
    """The columns of one pickle."""
    content = read_mapping(path)
    keys = {
        "actions": "actions",
        "rewards": "rewards",
        **_SPELLINGS["states" in content],
        "timeouts": "masks",
    }
    columns = {
        name: _take_array(path, content, key) for name, key in keys.items() if key in content
    }
    for name in ("observations", "actions", "rewards", "terminals"):
        if name not in columns:
            there = ", ".join(sorted(content)) or "nothing"
            raise DataError(f"{path}: {keys[name]}: is missing; the file has {there}")
    rows = FlatRows(path, keys, **columns)
    if rows.timeouts is None:
        return rows
    ended, limited = rows.read_flags("terminals"), rows.read_flags("timeouts")
    return FlatRows(
        path, keys, **{**columns, "terminals": ended & ~limited, "timeouts": ended & limited}
    )


def _take_array(path: Path, content: dict[str, Any], key: str) -> Array:
    value = content[key]
    if not isinstance(value, np.ndarray):
        raise DataError(f"{path}: {key}: expected an array, found {type(value).__name__}")
    return value


def _hash_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
