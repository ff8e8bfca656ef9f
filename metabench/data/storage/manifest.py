"""What a stored dataset says of itself: which suite and recipe it was made from, and the digest of its arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from metabench.data.storage.recipe import compute_recipe_digest
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
    recipe_digest: str = Field(
        description="hash of all that the data depends on; the reference scores are not"
    )
    behaviours: dict[str, float] = Field(description="share of trajectories of each behaviour")
    trajectories: int = Field(description="trajectories a task")
    seed: int
    tasks: tuple[ManifestTask, ...]
    digest: str = Field(description="hash of the decoded arrays")
    notes: tuple[str, ...] = Field(
        default=(), description="what was recorded and is left out: cut, clipped, missing in some"
    )


def make_manifest(suite: Suite, dataset: str, digest: str, notes: tuple[str, ...] = ()) -> Manifest:
    """The manifest of `dataset` as the suite describes it today, with the digest of its arrays."""
    recipe = suite.dataset(dataset)
    return Manifest(
        suite=suite.name,
        suite_version=suite.entry.version,
        suite_digest=suite.digest,
        dataset=dataset,
        dataset_version=recipe.version,
        recipe_digest=compute_recipe_digest(suite, dataset),
        behaviours=recipe.behaviours,
        trajectories=recipe.trajectories,
        seed=recipe.seed,
        tasks=tuple(
            ManifestTask(id=task.id, split=task.split, parameters=task.parameters)
            for task in suite.dataset_tasks(dataset)
        ),
        digest=digest,
        notes=notes,
    )


def parse_manifest(content: Any, path: Path) -> Manifest:
    """Validate a manifest found in `path`; raises `DataError` naming file and key."""
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        raise DataError(f"{path}: metabench.{first_problem(error, '(whole manifest)')}") from error
