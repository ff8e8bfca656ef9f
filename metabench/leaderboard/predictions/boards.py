"""Boards of the track `prediction`: errors of world models, best first, with verdicts over seeds and tasks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from metabench.evaluation.prediction.errors import (
    PREDICTED,
    Predicted,
    compute_condition_errors,
    compute_error,
    compute_share_inside,
    compute_task_errors,
    score_error,
)
from metabench.evaluation.prediction.sums import Predictions
from metabench.evaluation.statistics import welch_interval
from metabench.evaluation.verdicts import (
    Contrast,
    MethodSummary,
    contrast_methods,
    summarise_method,
)
from metabench.leaderboard.scores.estimates import (
    estimate_mean,
    round_contrast,
    round_interval,
    round_score,
)
from metabench.leaderboard.scores.gather import hash_contender, identify_contender
from metabench.leaderboard.scores.models import Contender
from metabench.leaderboard.scores.placing import average_units, place_methods
from metabench.leaderboard.scores.quotas import SuiteShelf, check_predictions
from metabench.leaderboard.scores.tables import (
    ConditionError,
    PredictionBoard,
    PredictionStanding,
    SeedError,
)
from metabench.methods.configuring import label_method
from metabench.runs.kept.record import Record

CONTROLS: Mapping[Predicted, Literal["persistence", "training-mean"]] = {
    "observations": "persistence",
    "rewards": "training-mean",
}

_BOARD_FIELDS = (
    "suite",
    "suite_version",
    "suite_digest",
    "dataset",
    "dataset_version",
    "dataset_digest",
    "protocol",
    "preset",
)


@dataclass(frozen=True)
class PredictedRecord:
    """What boards need of a record.

    Attributes:
        contender: the row that it belongs to.
        overrides: where its configuration differs from the preset.
        seed: of training.
        predictions: one a split; None where the track was not run.
    """

    contender: Contender
    overrides: Mapping[str, Any]
    seed: int
    predictions: tuple[Predictions, ...] | None


def note_predictions(records: Iterable[Record], found: list[PredictedRecord]) -> Iterator[Record]:
    """Pass records on, and put what they predicted into `found`: each is read once.

    Privileged methods have no row: who is shown the task, or saw the simulator, has nothing to find out.
    """
    for record in records:
        result = record.result
        if not record.develops and not result.privileged:
            found.append(
                PredictedRecord(
                    identify_contender(record),
                    result.overrides,
                    result.cell.seed,
                    result.predictions,
                )
            )
        yield record


def make_prediction_boards(
    records: Iterable[PredictedRecord], shelf: SuiteShelf
) -> list[PredictionBoard]:
    """A board for each setting, split, shot count, number of steps ahead, and of observations and rewards.

    Only what is as the protocol asks counts; what is wrong with a seed is told in `PredictionStanding.missing`.
    """
    settings: dict[tuple[str | int, ...], dict[str, list[PredictedRecord]]] = {}
    for record in records:
        key = tuple(getattr(record.contender, name) for name in _BOARD_FIELDS)
        own = settings.setdefault(key, {}).setdefault(hash_contender(record.contender), [])
        own.append(record)
    boards: list[PredictionBoard] = []
    for key in sorted(settings, key=str):
        # A contender of which no seed predicts anything has no row.
        predicting = {
            name: sorted(own, key=lambda record: record.seed)
            for name, own in settings[key].items()
            if any(record.predictions for record in own)
        }
        shared = dict(zip(_BOARD_FIELDS, key, strict=True))
        splits = {
            each.split
            for own in predicting.values()
            for record in own
            for each in record.predictions or ()
        }
        for split in sorted(splits):
            boards += _make_boards(shared, split, predicting, shelf)
    return boards


@dataclass(frozen=True)
class _Row:
    """A contender on one split: its complete seeds."""

    name: str
    record: PredictedRecord
    seeds: Mapping[int, Predictions]
    missing: tuple[str, ...]


def _make_boards(
    shared: Mapping[str, Any],
    split: str,
    predicting: Mapping[str, Sequence[PredictedRecord]],
    shelf: SuiteShelf,
) -> Iterator[PredictionBoard]:
    quotas = shelf.find_quotas(shared["suite"], shared["suite_version"])
    suite = None if isinstance(quotas, str) else quotas.suite
    rows = []
    for name, own in predicting.items():
        seeds, missing = {}, []
        for record in own:
            there = [each for each in record.predictions or () if each.split == split]
            if not there:
                missing.append(f"seed {record.seed}: not predicted")
                continue
            comparable = suite is not None and suite.digest == shared["suite_digest"]
            problems = check_predictions(there[0], suite) if comparable and suite else ()
            if problems:
                missing.append(f"seed {record.seed}: {'; '.join(problems)}")
            else:
                seeds[record.seed] = there[0]
        rows.append(_Row(name, own[-1], seeds, tuple(missing)))
    complete = [each for row in rows for each in row.seeds.values()]
    if not complete:
        return
    first = complete[0]
    units = [None if suite is None else suite.unit(task) for task in first.tasks]
    for predicted in PREDICTED:
        for shots in first.shots:
            for steps in first.steps:
                standings = _make_standings(rows, predicted, shots, steps, units)
                yield PredictionBoard.model_validate(
                    {
                        **shared,
                        "split": split,
                        "shots": shots,
                        "steps": steps,
                        "predicted": predicted,
                        "cells": first.cells and predicted == "observations",
                        "control": CONTROLS[predicted],
                        "tasks": first.tasks,
                        "standings": tuple(standings),
                    }
                )


def _make_standings(
    rows: Sequence[_Row],
    predicted: Predicted,
    shots: int,
    steps: int,
    units: Sequence[str | None],
) -> Iterator[PredictionStanding]:
    asked = (predicted, shots, steps)
    errors = {
        row.name: {
            seed: error
            for seed, each in row.seeds.items()
            if shots in each.shots
            and steps in each.steps
            and (error := compute_error(each, *asked)) is not None
        }
        for row in rows
    }
    ordered = sorted(
        rows,
        key=lambda row: (
            float(np.mean(list(errors[row.name].values()))) if errors[row.name] else np.inf,
            row.name,
        ),
    )
    placed = [row for row in ordered if errors[row.name]]
    found = place_methods(
        [_summarise(row, list(errors[row.name]), asked, units) for row in placed], _contrast
    )
    scores = {
        row.name: [score_error(error) for error in errors[row.name].values()] for row in placed
    }
    for place, row in enumerate(ordered):
        own = errors[row.name]
        placing = found[place] if own else None
        leader = scores[placed[0].name] if placed else []
        contrast = placing.to_leader if placing else None
        welch = welch_interval(scores[row.name], leader) if own and place else None
        yield PredictionStanding(
            place=place + 1 if own else None,
            rank=placing.rank if placing else None,
            first=placing.first if placing else False,
            difference=round_score(float(np.mean(scores[row.name]) - np.mean(leader)))
            if own and place
            else None,
            interval=round_contrast(contrast),
            seed_interval=welch and round_interval(welch),
            verdict=None if contrast is None else contrast.verdict,
            entry=row.name,
            label=label_method(row.record.contender.method, row.record.overrides),
            method=row.record.contender.method,
            method_version=row.record.contender.method_version,
            error=estimate_mean(list(own.values())),
            seeds=tuple(
                SeedError(
                    seed=seed,
                    error=round_score(error),
                    task_errors=tuple(
                        None if each is None else round_score(each)
                        for each in compute_task_errors(row.seeds[seed], *asked)
                    ),
                )
                for seed, error in own.items()
            ),
            conditions=tuple(_list_conditions([row.seeds[seed] for seed in own], *asked)),
            inside_50=_average_share([row.seeds[seed] for seed in own], asked, 50),
            inside_90=_average_share([row.seeds[seed] for seed in own], asked, 90),
            missing=row.missing,
        )


def _summarise(
    row: _Row,
    seeds: Sequence[int],
    asked: tuple[Predicted, int, int],
    units: Sequence[str | None],
) -> MethodSummary | None:
    """Of minus the logarithms of its errors, by seed and unit; tasks without an error of the control stay out."""
    errors = [compute_task_errors(row.seeds[seed], *asked) for seed in seeds]
    told = [place for place, error in enumerate(errors[0]) if error is not None]
    matrix = np.array(
        [[score_error(each[place] or 0.0) for place in told] for each in errors]
    ).reshape(len(seeds), len(told))
    if len(units) != len(errors[0]) or not told:
        return None
    return summarise_method(average_units(matrix, [units[place] for place in told]))


def _contrast(first: MethodSummary | None, second: MethodSummary | None) -> Contrast | None:
    if first is None or second is None or len(first.task_means) != len(second.task_means):
        return None
    return contrast_methods(first, second)


def _list_conditions(
    seeds: Sequence[Predictions], predicted: Predicted, shots: int, steps: int
) -> Iterator[ConditionError]:
    every = [compute_condition_errors(each, predicted, shots, steps) for each in seeds]
    for condition in every[0] if every else ():
        told = [each[condition] for each in every]
        mean = estimate_mean(told)
        yield ConditionError(
            behaviour=condition[0], prefix=condition[1], error=None if mean is None else mean.mean
        )


def _average_share(
    seeds: Sequence[Predictions], asked: tuple[Predicted, int, int], central: Literal[50, 90]
) -> float | None:
    mean = estimate_mean([compute_share_inside(each, *asked, central) for each in seeds])
    return None if mean is None else mean.mean
