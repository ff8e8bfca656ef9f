"""What a stored dataset says of itself: which suite and recipe it was made from, and the digest of its arrays."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from metabench.data.trajectories import ACTION_DECIMALS
from metabench.errors import DataError, first_problem
from metabench.suites import Suite
from metabench.system.strict_model import StrictModel


class ManifestTask(StrictModel):
    """One task that the dataset covers."""

    id: int
    split: str
    parameters: dict[str, Any]


class Manifest(StrictModel):
    """Identity of a stored dataset: in the store's header, and under `metabench` in Minari's metadata."""

    format: Literal[1] = 1
    suite: str
    suite_version: int
    suite_digest: str = Field(description="the suite as it was when the data was made")
    dataset: str
    dataset_version: int
    recipe_digest: str = Field(description="hash of all that the data depends on; the reference scores are not")
    behaviours: dict[str, float] = Field(description="share of trajectories of each behaviour")
    trajectories: int = Field(description="trajectories a task")
    seed: int
    tasks: tuple[ManifestTask, ...]
    digest: str = Field(description="hash of the decoded arrays")


def make_manifest(suite: Suite, dataset: str, digest: str) -> Manifest:
    """The manifest of `dataset` as the suite describes it today, with the digest of its arrays."""
    recipe = suite.dataset(dataset)
    return Manifest(
        suite=suite.name,
        suite_version=suite.entry.version,
        suite_digest=suite.digest,
        dataset=dataset,
        dataset_version=recipe.version,
        recipe_digest=recipe_digest(suite, dataset),
        behaviours=recipe.behaviours,
        trajectories=recipe.trajectories,
        seed=recipe.seed,
        tasks=tuple(
            ManifestTask(id=task.id, split=task.split, parameters=task.parameters)
            for task in suite.dataset_tasks(dataset)
        ),
        digest=digest,
    )


def read_manifest(content: Any, path: Path) -> Manifest:
    """Validate a manifest found in `path`; raises `DataError` naming file and key."""
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        raise DataError(f"{path}: metabench.{first_problem(error, '(whole manifest)')}") from error


def check_manifest(manifest: Manifest, suite: Suite, dataset: str, path: Path) -> None:
    """Raise `DataError` unless the data in `path` was made from `suite`'s present tasks and recipe."""
    if manifest.recipe_digest != recipe_digest(suite, dataset):
        raise DataError(
            f"{path}: made from other tasks, teachers or another recipe than {suite.identity} has now for {dataset!r}"
        )


@contextmanager
def remedy(suite: Suite, dataset: str) -> Iterator[None]:
    """Let every `DataError` raised within say how to make the data anew."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{error}; run `metabench data build {suite.argument} --dataset {dataset} --force`") from error


def recipe_digest(suite: Suite, dataset: str) -> str:
    """`sha256:...` of all that the data depends on: rules, tasks, teachers' weights and the recipe."""
    recipe = suite.dataset(dataset)
    teachers = suite.teachers_folder
    spaces = {} if suite.entry.spaces is None else {"spaces": suite.entry.spaces.model_dump(mode="json")}
    excluded = {"digest"} if recipe.minari is not None else {"digest", "minari", "filter", "cut", "clip"}
    content = {
        "suite": [suite.name, suite.entry.version, suite.entry.family, suite.entry.horizon],
        "tasks": [[task.id, task.split, task.parameters] for task in suite.dataset_tasks(dataset)],
        "dataset": dataset,
        "recipe": recipe.model_dump(mode="json", exclude=excluded),
        "action_decimals": ACTION_DECIMALS,
        "teachers": {
            path.relative_to(teachers).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted([*teachers.rglob("*.safetensors"), *teachers.glob("medium.json")])
        },
        **spaces,
    }
    # The order of the behaviours is part of the recipe: keys are not sorted.
    text = json.dumps(content, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
