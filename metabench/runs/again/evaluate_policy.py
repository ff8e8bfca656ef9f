"""Evaluating a saved policy again, in its own suite or in another with the same spaces."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from metabench.data.making.build import build_data
from metabench.envs import Spaces
from metabench.errors import DataError
from metabench.evaluation.evaluate import Evaluation, PolicyOpener, evaluate
from metabench.evaluation.prediction.measure import evaluate_predictions
from metabench.evaluation.prediction.sums import Predictions
from metabench.evaluation.protocol import (
    PREDICTION,
    SUPPORT_DATASET,
    choose_shot_counts,
    choose_tracks,
    list_behaviours,
)
from metabench.runs.isolation.isolated_policy import open_isolated
from metabench.runs.isolation.limits import NO_LIMITS, Limits
from metabench.runs.isolation.method_facts import find_facts
from metabench.runs.kept.record import digest_of
from metabench.runs.kept.saved_policy import (
    POLICY,
    Training,
    load_trained_policy,
    read_training,
    suite_for,
)
from metabench.suites import Suite
from metabench.system.torch_settings import torch_settings


def evaluate_saved(
    folder: Path,
    *,
    suite: str | None = None,
    tracks: Sequence[str] | None = None,
    splits: Sequence[str] | None = None,
    shots: Sequence[int] | None = None,
    seed: int | None = None,
    isolate: bool = False,
    limits: Limits = NO_LIMITS,
) -> tuple[Suite, list[Evaluation]]:
    """Evaluate the policy saved in `folder`; with its own suite and seed the rows are those of its record.

    Its own suite is the present version of it: see `tell_other_version`. Of the track `prediction` see
    `predict_saved`. Torch has as many threads meanwhile as in training.

    Args:
        folder: as a run leaves it, below `home()/policies`.
        suite: a suite's name or folder; None is the one it was trained on.
        tracks: some tracks; None is all that the suite has.
        splits: some splits, `validation` perhaps; None is all that are ranked.
        shots: numbers of shots; None is the protocol's.
        seed: evaluation seed; None is the training seed.
        isolate: let the policy act in processes of its own, one a rollout; its method's code is not imported here.
        limits: what each of these processes may take.

    Raises:
        UnknownNameError: no such suite, track or split.
        MetabenchError: the suite has other spaces than the policy was trained for.
        DataError: the folder holds no whole policy.
        MethodError: the policy broke its contract, took too much, or is privileged and was to be isolated.
    """
    training = read_training(folder)
    scored_on = suite_for(training, suite)
    chosen = choose_tracks(scored_on, tracks, splits)
    pairs = [pair for pair in chosen if pair[1] != PREDICTION]
    for split, track in pairs:
        choose_shot_counts(scored_on, split, track, shots)
    if any(track == "logged-shot" for _, track in pairs):
        build_data(scored_on, SUPPORT_DATASET)
    opener, privileged = _make_opener(training, folder, scored_on.spaces, isolate, limits)
    with torch_settings(training.threads):
        measured = [
            evaluate(
                opener,
                scored_on,
                track,
                split=split,
                shots=shots,
                seed=training.cell.seed if seed is None else seed,
                privileged=privileged,
                name=training.cell.method,
            )
            for split, track in pairs
        ]
    return scored_on, measured


def tell_other_version(training: Training, scored_on: Suite) -> str | None:
    """In one line that a policy was trained on another version of the suite than it is scored on; None if not."""
    cell = training.cell
    if scored_on.name != cell.suite or scored_on.digest == cell.suite_digest:
        return None
    trained_on = f"{cell.suite}-v{cell.suite_version}"
    if trained_on == scored_on.identity:
        trained_on = f"another {trained_on} ({cell.suite_digest:.15}...)"
    return (
        f"{cell.method} was trained on {trained_on} and is scored on {scored_on.identity}: "
        "its rows are not those of its record"
    )


def predict_saved(
    folder: Path,
    *,
    suite: str | None = None,
    tracks: Sequence[str] | None = None,
    splits: Sequence[str] | None = None,
    shots: Sequence[int] | None = None,
    seed: int | None = None,
    isolate: bool = False,
    limits: Limits = NO_LIMITS,
) -> list[Predictions]:
    """Let the policy saved in `folder` predict; builds the data that it needs.

    Args and errors are those of `evaluate_saved`.

    Returns:
        One a split; none if `prediction` is not among the tracks, or there is nothing to predict or to do it by.
    """
    training = read_training(folder)
    scored_on = suite_for(training, suite)
    found = choose_tracks(scored_on, tracks, splits)
    chosen = [split for split, track in found if track == PREDICTION]
    opener, _ = _make_opener(training, folder, scored_on.spaces, isolate, limits)
    if not chosen or not _can_predict(opener):
        return []
    for name in dict.fromkeys(
        each for split in chosen for each in list_behaviours(scored_on, split)
    ):
        build_data(scored_on, name)
    with torch_settings(training.threads):
        measured = [
            evaluate_predictions(
                opener,
                scored_on,
                split=split,
                shots=shots,
                seed=training.cell.seed if seed is None else seed,
                name=training.cell.method,
            ).predictions
            for split in chosen
        ]
    return [each for each in measured if each is not None]


def _can_predict(opener: PolicyOpener) -> bool:
    """Asked before data are built that only predictions need."""
    with opener() as policy:
        return policy.predicts


def _make_opener(
    training: Training, folder: Path, spaces: Spaces, isolate: bool, limits: Limits
) -> tuple[PolicyOpener, bool]:
    """What opens the saved policy anew, and whether it is to be told the tasks."""
    if not isolate:
        method = training.method()
        return lambda: nullcontext(load_trained_policy(method, folder, spaces)), method.privileged
    cell, configuration = training.cell, training.configuration
    if configuration is None:
        (facts,) = find_facts(
            training.spec, cell.preset, [cell.suite], training.overrides, confined=True
        )
        configuration = facts.configuration
        if digest_of(configuration) != cell.config_digest:
            raise DataError(
                f"method {training.spec!r}: preset {cell.preset!r} has changed since this policy was trained"
            )
    return lambda: open_isolated(
        training.spec,
        folder / POLICY,
        spaces,
        limits,
        configuration=configuration,
        code=cell.method_code,
    ), False
