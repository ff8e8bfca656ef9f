"""The kinds of datasets, on recipes as plain content: lists read suite.toml without validating it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metabench.errors import UnknownNameError

RECORDED = "recorded"
"""The behaviour of trajectories that were not rolled out here but come from Minari datasets."""

MIXTURE = "random-to-expert"
"""The behaviour of mixed histories: the expert's actions among random ones, more of them in each stage."""

_OWN = ("version", "digest", "labels_of")
"""Keys of a labelled dataset's own; all others are those of the dataset whose trajectories it has."""


def complete_behaviours(recipe: Mapping[str, Any]) -> dict[str, float] | None:
    """The behaviours of a recipe that need not write them down; None where it must.

    Histories have them from their stages, recorded trajectories are of one behaviour.
    """
    stages = recipe.get("stages")
    if recipe.get("minari") is not None:
        return {RECORDED: 1.0}
    if isinstance(stages, list | tuple) and stages:
        return {str(name): 1.0 / len(stages) for name in stages}
    return None if stages is None else {MIXTURE: 1.0}


def complete_labelled(datasets: Mapping[str, Any]) -> dict[str, Any]:
    """All recipes, those with `labels_of` filled up from the dataset whose trajectories they have.

    Raises:
        ValueError: there is no such dataset, it has labels itself or is recorded elsewhere, or a key says something
            else than its own.
    """
    completed = dict(datasets)
    for name, recipe in datasets.items():
        base = recipe.get("labels_of") if isinstance(recipe, Mapping) else None
        if base is None:
            continue
        if not isinstance(base, str) or base not in datasets:
            raise ValueError(
                f"datasets.{name}.labels_of: {UnknownNameError('dataset', str(base), datasets)}"
            )
        whole = datasets[base]
        if not isinstance(whole, Mapping):
            continue
        if whole.get("labels_of") is not None or whole.get("minari") is not None:
            raise ValueError(
                f"datasets.{name}.labels_of: expected a dataset that is rolled out here, found {base!r}"
            )
        taken = {key: value for key, value in whole.items() if key not in _OWN}
        for key, value in recipe.items():
            if key not in _OWN and value != taken.get(key, value):
                raise ValueError(
                    f"datasets.{name}.{key}: must equal that of {base!r}, whose trajectories it has; leave it out"
                )
        completed[name] = {**taken, **recipe}
    return completed


def describe_recipe(recipe: Mapping[str, Any]) -> str:
    """What a dataset is, in a few words: `70 % medium, 30 % expert`; the recipe must be complete."""
    if (base := recipe.get("labels_of")) is not None:
        return f"the trajectories of {base}, with the expert's action in every state"
    stages = recipe.get("stages")
    if isinstance(stages, int):
        return f"{stages} stages of expert mixed with random actions: a synthetic history, not a learner's"
    if stages:
        return f"{len(stages)} stages in the order of learning: {', '.join(stages)}"
    return ", ".join(
        f"{100 * share:g} % {behaviour}" for behaviour, share in recipe["behaviours"].items()
    )
