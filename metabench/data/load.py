"""Loading a suite's data: the training tasks' for methods, any split's as plain columns for the evaluator."""

from __future__ import annotations

import dataclasses

import numpy as np

from metabench.data.columns import Columns
from metabench.data.making.build import DatasetIdentity, build_data, identify_data
from metabench.data.storage.store import Store, open_checked_store, open_store, store_exists
from metabench.data.training_data import TrainingData
from metabench.data.trajectories import BuildProgress
from metabench.errors import DataError
from metabench.suites import Suite, load_suite


def load_data(
    suite: Suite | str,
    dataset: str,
    *,
    build: bool = True,
    progress: BuildProgress | None = None,
    expert_labels: bool = True,
) -> TrainingData:
    """The training tasks' trajectories of `dataset`, tasks as indices in ascending order of their ids.

    Args:
        suite: the suite or its name.
        dataset: the dataset's name: `medium`.
        build: make the data when it is missing.
        progress: told how far a build is: what, how much is done, how much there is.
        expert_labels: include the expert's actions, if the dataset has them. They are privileged: a method that does
            not declare `uses_expert_labels` trains on the data without them.

    Raises:
        UnknownNameError: no such suite or dataset.
        DataError: the data is missing (without `build`), damaged, or made for something else.
    """
    suite = load_suite(suite) if isinstance(suite, str) else suite
    columns = _select_split(_open_or_build(suite, dataset, build, progress), suite, "train")
    tasks = np.unique(columns.tasks)
    validation = [task.id for task in suite.split("train") if task.validation]
    counted_anew = dataclasses.replace(
        columns,
        tasks=np.searchsorted(tasks, columns.tasks),
        expert_actions=columns.expert_actions if expert_labels else None,
    )
    return TrainingData(
        counted_anew,
        suite.spaces,
        np.searchsorted(tasks, validation).tolist(),
        suite_name=suite.argument,
        dataset=dataset,
    )


def load_columns(
    suite: Suite,
    dataset: str,
    split: str,
    *,
    build: bool = True,
    progress: BuildProgress | None = None,
) -> Columns:
    """The trajectories of one split's tasks, never with labels; `columns.tasks` holds suite task ids.

    Raises:
        UnknownNameError: the suite has no such split.
        DataError: as `load_data`, or the dataset does not cover the split.
    """
    if not suite.split(split) or split not in suite.dataset(dataset).splits:
        covered = ", ".join(suite.dataset(dataset).splits)
        raise DataError(
            f"dataset {dataset!r} of {suite.identity} does not cover split {split!r}, only {covered}"
        )
    columns = _select_split(_open_or_build(suite, dataset, build, progress), suite, split)
    return dataclasses.replace(columns, expert_actions=None)


def read_dataset_identity(suite: Suite, dataset: str) -> DatasetIdentity:
    """Version and digest of the built `dataset`; raises `DataError` if it is not built."""
    return identify_data(open_store(suite, dataset).header.manifest, suite, dataset)


def _open_or_build(
    suite: Suite, dataset: str, build: bool, progress: BuildProgress | None
) -> Store:
    suite.dataset(dataset)
    if build and not store_exists(suite, dataset):
        build_data(suite, dataset, progress=progress)
    return open_checked_store(suite, dataset)


def _select_split(store: Store, suite: Suite, split: str) -> Columns:
    columns = store.trajectories.columns
    tasks = [task.id for task in suite.split(split)]
    episodes = np.flatnonzero(np.isin(columns.tasks, tasks))
    return dataclasses.replace(columns.select(episodes), tasks=columns.tasks[episodes])
