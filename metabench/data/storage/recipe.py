"""Whether stored data is what its suite asks for today: one hash of all that a dataset is made from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from metabench.data.storage.owners import ClashError, check_owner
from metabench.data.trajectories import ACTION_DECIMALS
from metabench.errors import DataError
from metabench.suites import Suite


def compute_recipe_digest(suite: Suite, dataset: str) -> str:
    """`sha256:...` of all that the data depends on: rules, tasks, teachers' weights, foreign code and the recipe."""
    recipe = suite.dataset(dataset)
    teachers = suite.teachers_folder
    # Keys that came later stand here only where they are used, so that the digests of older data stay as they were.
    spaces = (
        {} if suite.entry.spaces is None else {"spaces": suite.entry.spaces.model_dump(mode="json")}
    )
    excluded = (
        {"digest"} if recipe.minari is not None else {"digest", "minari", "filter", "cut", "clip"}
    )
    excluded |= {key for key in ("stages", "labels_of") if getattr(recipe, key) is None}
    base = recipe.labels_of
    # Data that was recorded elsewhere is what it is, whatever the code of its tasks.
    code = None if recipe.minari is not None else suite.code_digest
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
        **({} if base is None else {"labelled": compute_recipe_digest(suite, base)}),
        **({} if code is None else {"code": code}),
    }
    # The order of the behaviours is part of the recipe: keys are not sorted.
    text = json.dumps(content, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def check_recipe(digest: str, suite: Suite, dataset: str, path: Path, folder: Path) -> None:
    """Raise `DataError` unless the data of this recipe digest is what `suite` asks for today.

    Args:
        digest: of the recipe that it was made from.
        suite: whose data it is to be.
        dataset: the dataset's name.
        path: the file that says so, in the dataset's folder or below.
        folder: the dataset's folder.
    """
    if digest != compute_recipe_digest(suite, dataset):
        check_owner(folder, suite)
        raise DataError(
            f"{path}: made from other tasks, teachers, code or another recipe than {suite.identity} has now for "
            f"{dataset!r}"
        )


@contextmanager
def suggest_rebuild(suite: Suite, dataset: str) -> Iterator[None]:
    """Let every `DataError` raised within say how to make the data anew."""
    try:
        yield
    except ClashError:
        raise
    except DataError as error:
        raise DataError(
            f"{error}; run `metabench data build {suite.argument} --dataset {dataset} --force`"
        ) from error
