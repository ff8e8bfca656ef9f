"""What data there is: every dataset's state at a glance, and one dataset in numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import ConfigDict

from metabench.data.storage.places import minari_folder, minari_id, store_folder
from metabench.data.storage.store import open_store, store_exists
from metabench.envs import Array
from metabench.errors import DataError
from metabench.suites import Suite
from metabench.suites.recipes.kinds import describe_recipe
from metabench.system.strict_model import StrictModel

QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


class DatasetState(StrictModel):
    """One line of `metabench data list`.

    Attributes:
        suite: the suite's name.
        dataset: the dataset's name.
        version: version of its recipe.
        state: `built`; `minari` when only the Minari files are there; `missing`; or `damaged`.
        tasks: number of tasks it covers.
        trajectories: number of trajectories in all; of recorded ones that are not built yet, the most there can be.
        bytes: size of what is on disk.
        digest: hash of the built arrays.
        expected: the hash in suite.toml.
        problem: what is damaged.
    """

    suite: str
    dataset: str
    version: int
    state: Literal["built", "minari", "missing", "damaged"]
    tasks: int
    trajectories: int
    bytes: int
    digest: str | None = None
    expected: str | None = None
    problem: str | None = None


class SplitSummary(StrictModel):
    """A split's part of a dataset.

    Attributes:
        tasks: suite task ids.
        trajectories: number of trajectories.
        steps: number of transitions.
        mean_return: mean undiscounted return.
        return_quantiles: at 0, 25, 50, 75 and 100 %.
        normalised: mean normalised score.
        terminated: share of trajectories that the task itself ended.
        success: share of trajectories with success at any step, where the suite has it.
        stage_returns: of histories, the mean return of each stage.
    """

    model_config = ConfigDict(allow_inf_nan=True)

    tasks: tuple[int, ...]
    trajectories: int
    steps: int
    mean_return: float
    return_quantiles: tuple[float, ...]
    normalised: float
    terminated: float
    success: float | None
    stage_returns: tuple[float, ...] = ()


class Description(StrictModel):
    """One dataset in numbers: `metabench data show`."""

    suite: str
    suite_version: int
    dataset: str
    version: int
    description: str
    trajectories: int
    steps: int
    behaviours: dict[str, int]
    splits: dict[str, SplitSummary]
    digest: str
    expected: str | None
    store: str
    minari: str
    minari_id: str
    notes: tuple[str, ...] = ()


def list_datasets(suite: Suite) -> tuple[DatasetState, ...]:
    """The state of each dataset of `suite`, in the order of its suite.toml."""
    return tuple(_state(suite, name) for name in suite.entry.datasets)


def describe_dataset(suite: Suite, dataset: str) -> Description:
    """A built dataset in numbers; raises `DataError` if it is not built or damaged."""
    suite.dataset(dataset)
    store = open_store(suite, dataset)
    names, counts = np.unique(store.trajectories.behaviours, return_counts=True)
    numbers = dict(zip(names.tolist(), counts.tolist(), strict=True))
    manifest = store.header.manifest
    columns, success = store.trajectories.columns, store.trajectories.success
    returns = columns.episode_returns
    succeeded = None if success is None else np.logical_or.reduceat(success, columns.offsets[:-1])
    lengths = np.diff(columns.offsets)
    splits: dict[str, SplitSummary] = {}
    for split in suite.dataset(dataset).splits:
        tasks = tuple(task.id for task in manifest.tasks if task.split == split)
        chosen = np.isin(columns.tasks, tasks)
        if not chosen.any():
            continue
        splits[split] = SplitSummary(
            tasks=tasks,
            trajectories=int(chosen.sum()),
            steps=int(lengths[chosen].sum()),
            mean_return=float(returns[chosen].mean()),
            return_quantiles=tuple(np.quantile(returns[chosen], QUANTILES).tolist()),
            normalised=float(
                np.mean(suite.normalised(columns.tasks[chosen].tolist(), returns[chosen].tolist()))
            ),
            terminated=float(columns.terminated[chosen].mean()),
            success=None if succeeded is None else float(succeeded[chosen].mean()),
            stage_returns=()
            if columns.stages is None
            else _average_stages(columns.stages[chosen], returns[chosen]),
        )
    return Description(
        suite=suite.name,
        suite_version=suite.entry.version,
        dataset=dataset,
        version=manifest.dataset_version,
        description=describe_recipe(suite.dataset(dataset).model_dump()),
        trajectories=store.header.episodes,
        steps=store.header.transitions,
        behaviours={name: numbers[name] for name in suite.dataset(dataset).behaviours},
        splits=splits,
        digest=manifest.digest,
        expected=suite.dataset(dataset).digest,
        store=str(store.folder),
        minari=str(minari_folder(suite, dataset)),
        minari_id=minari_id(suite, dataset),
        notes=manifest.notes,
    )


def _average_stages(stages: Array, returns: Array) -> tuple[float, ...]:
    return tuple(float(returns[stages == stage].mean()) for stage in np.unique(stages))


def _state(suite: Suite, dataset: str) -> DatasetState:
    recipe = suite.dataset(dataset)
    digest, problem = None, None
    tasks = len(suite.dataset_tasks(dataset))
    trajectories = tasks * recipe.trajectories
    state: Literal["built", "minari", "missing", "damaged"]
    if store_exists(suite, dataset):
        try:
            header = open_store(suite, dataset).header
            digest, trajectories, state = header.manifest.digest, header.episodes, "built"
        except DataError as error:
            problem, state = str(error), "damaged"
    else:
        state = "minari" if minari_folder(suite, dataset).is_dir() else "missing"
    return DatasetState(
        suite=suite.name,
        dataset=dataset,
        version=recipe.version,
        state=state,
        tasks=tasks,
        trajectories=trajectories,
        bytes=_size(store_folder(suite, dataset)) + _size(minari_folder(suite, dataset)),
        digest=digest,
        expected=recipe.digest,
        problem=problem,
    )


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
