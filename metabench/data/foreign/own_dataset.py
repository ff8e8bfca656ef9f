"""Imported data of tasks that a suite has: a dataset of that suite, for every method to train on."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from metabench.data.foreign.options import ImportOptions
from metabench.data.foreign.write_minari import SOURCE_KEY, Imported
from metabench.data.making.build import build_data
from metabench.data.storage.minari_files import METADATA_FILE
from metabench.data.trajectories import BuildProgress
from metabench.errors import DataError, MetabenchError
from metabench.suites import DatasetEntry, Suite, load_suite
from metabench.suites.imported import imported_path, write_imported
from metabench.system.home import minari_root

_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")


def name_own_dataset(options: ImportOptions, suite: Suite) -> ImportOptions:
    """`options` with Minari ids of the dataset's name; raises `MetabenchError` if the suite cannot have that name."""
    name = options.own_dataset
    if not _NAME.fullmatch(name):
        raise MetabenchError(
            f"dataset {name!r:.80}: expected lower-case letters, digits and hyphens: 'released'"
        )
    if name in suite.entry.datasets and not imported_path(suite, name).exists():
        raise MetabenchError(
            f"dataset {name!r}: {suite.identity} already has a dataset of this name; expected another name: 'released'"
        )
    return replace(
        options, dataset_id=options.dataset_id or f"{suite.name}/{name}-task-{{task}}-v0"
    )


def choose_whole_splits(suite: Suite, files: Mapping[int, Path], folder: Path) -> dict[int, Path]:
    """Of the files by task those of splits that are there as a whole; warns of others.

    Raises:
        DataError: a training task has no file.
    """
    missing = [task.id for task in suite.split("train") if task.id not in files]
    if missing:
        count = len(suite.split("train"))
        raise DataError(
            f"{folder}: expected a file for each of the {count} training tasks of {suite.identity}, that of task "
            f"{missing[0]} is missing"
        )
    splits = [name for name in suite.splits if all(task.id in files for task in suite.split(name))]
    kept = {task: path for task, path in files.items() if suite.tasks[task].split in splits}
    if len(kept) < len(files):
        left = sorted(files.keys() - kept.keys())
        warnings.warn(
            f"{folder}: {len(left)} files, the first of them of task {left[0]}, are left out: a dataset covers whole "
            f"splits, and {suite.identity} has more tasks of {suite.tasks[left[0]].split!r}",
            stacklevel=2,
        )
    return kept


def is_imported(
    suite: Suite, options: ImportOptions, descriptions: Mapping[int, Mapping[str, Any]]
) -> bool:
    """Whether `suite` has the dataset already, made of what `descriptions` say by task."""
    recipe = suite.entry.datasets.get(options.own_dataset)
    if recipe is None or recipe.minari is None or recipe.minari.keys() != descriptions.keys():
        return False
    for task, dataset_id in recipe.minari.items():
        try:
            path = minari_root() / dataset_id / METADATA_FILE
            source = json.loads(path.read_text(encoding="utf-8"))[SOURCE_KEY]
        except (OSError, ValueError, KeyError, TypeError):
            return False
        if {**source, **descriptions[task]} != source:
            return False
    return True


def make_own_dataset(
    suite: Suite,
    options: ImportOptions,
    imported: Sequence[Imported],
    progress: BuildProgress | None = None,
) -> None:
    """Let `suite` have the imported data as a dataset, and build it.

    Raises:
        DataError, StorageError: as `build_data`; the suite is then as it was.
    """
    name = options.own_dataset
    kinds = {suite.tasks[each.task].split for each in imported}
    entry = DatasetEntry.model_validate(
        {
            "trajectories": max(each.episodes for each in imported),
            "minari": {each.task: each.dataset_id for each in imported},
            "splits": [split for split in suite.splits if split in kinds],
        }
    )
    write_imported(suite, name, entry)
    try:
        build_data(load_suite(suite.name), name, force=True, progress=progress)
    except BaseException:
        imported_path(suite, name).unlink()
        raise
