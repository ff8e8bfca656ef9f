"""The linear probe: how well a linear map of a policy's task code tells the parameters of held-out training tasks."""

from __future__ import annotations

from typing import Any

import numpy as np

from metabench.data.load import load_columns
from metabench.envs import Array
from metabench.methods.contract import Policy
from metabench.suites import Suite

EPISODES = 20
"""Logged episodes a training task that the probe reads."""

PENALTY = 1e-3
"""Ridge penalty for each example, on standardised codes."""


def probe_task_codes(policy: Policy, suite: Suite, dataset: str) -> dict[str, Any] | None:
    """Regress task parameters on task codes by ridge: fitted on the training tasks, judged on the validation tasks.

    Returns:
        For each number of steps (1, 4, 16, ... as the horizon allows) `r2` (1 - squared error / squared error of the
        fitted tasks' mean), `distance` (mean Euclidean error), and `mean_distance` (the same for that mean); None for
        a policy without a code, or a suite whose validation tasks or their numbers leave nothing to compare.
    """
    tasks = suite.split("train")
    held_out = np.array([task.validation for task in tasks])
    if not held_out.any() or held_out.all():
        return None
    # Tasks are comparable only if each is a vector, and all of one length.
    vectors = [suite.family.task_vector(task.parameters) for task in tasks]
    known = [vector for vector in vectors if vector is not None]
    if len(known) < len(tasks) or len({vector.shape for vector in known}) > 1:
        return None
    columns = load_columns(suite, dataset, "train", build=False)
    chosen = [np.flatnonzero(columns.tasks == task.id)[:EPISODES] for task in tasks]
    episodes = [columns.episode(int(e)) for part in chosen for e in part]
    owner = np.repeat(
        np.arange(len(tasks)), [len(part) for part in chosen]
    )  # (episodes,) the task of each
    targets = np.stack(known)[owner]  # (episodes, parameters)
    fitted, judged = ~held_out[owner], held_out[owner]
    mean = targets[fitted].mean(axis=0)
    baseline = targets[judged] - mean
    if not baseline.any():  # the validation tasks lie at the mean: there is no error to reduce
        return None
    report: dict[str, Any] = {"mean_distance": float(np.linalg.norm(baseline, axis=1).mean())}
    for steps in (n for n in (1, 4, 16, 64) if n <= suite.spaces.horizon):
        codes = policy.task_codes(episodes, steps)
        if codes is None:
            return None
        error = targets[judged] - _predict_by_ridge(codes[fitted], targets[fitted], codes[judged])
        report[f"after_{steps}_steps"] = {
            "r2": float(1.0 - (error**2).sum() / (baseline**2).sum()),
            "distance": float(np.linalg.norm(error, axis=1).mean()),
        }
    return report


def _predict_by_ridge(inputs: Array, targets: Array, queries: Array) -> Array:
    """Predictions at `queries` of ridge regression with an unpenalised intercept.

    Args:
        inputs: `(examples, code_dim)`.
        targets: `(examples, parameters)`.
        queries: `(others, code_dim)`.

    Returns:
        `(others, parameters)`.
    """
    mean, deviation = (
        inputs.mean(axis=0),
        inputs.std(axis=0) + 1e-8,
    )  # a coordinate that never varies is not 0 / 0
    scaled, asked = (inputs - mean) / deviation, (queries - mean) / deviation
    centre = targets.mean(
        axis=0
    )  # taken off and put back: that is the intercept, which the penalty leaves alone
    gram = scaled.T @ scaled + PENALTY * len(scaled) * np.eye(scaled.shape[1])
    return np.asarray(asked @ np.linalg.solve(gram, scaled.T @ (targets - centre)) + centre)
