"""Boards of world models: order, verdicts on the logarithm of errors, what is missing."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from metabench.evaluation.prediction.quota import BEHAVIOURS, PREFIXES, SHOTS, STEPS_AHEAD
from metabench.leaderboard.predictions.boards import PredictedRecord, make_prediction_boards, note_predictions
from metabench.leaderboard.predictions.table import format_predictions_as_csv
from metabench.leaderboard.scores.gather import identify_contender
from metabench.leaderboard.scores.quotas import SuiteShelf, check_predictions

from ...synthetic_predictions import make_predictions
from ...synthetic_records import WIDE, cached_suite, synthetic_record


def make_record(method, seed, error, **options):
    record = synthetic_record(method, seed, suite=WIDE)
    generator = np.random.default_rng([seed, len(method)])
    predictions = None if error is None else (make_predictions(error, generator, **options),)
    return PredictedRecord(identify_contender(record), {}, seed, predictions)


def find_board(records, predicted="rewards", shots=3, steps=5):
    boards = make_prediction_boards(records, SuiteShelf([cached_suite(WIDE)]))
    (board,) = [each for each in boards if (each.predicted, each.shots, each.steps) == (predicted, shots, steps)]
    return board


def test_the_least_error_is_first_by_verdict():
    records = [
        make_record(method, seed, error)
        for method, error in (("far", 0.9), ("near", 0.2), ("nearer", 0.1))
        for seed in range(3)
    ]
    board = find_board(records)
    assert [standing.label for standing in board.standings] == ["nearer", "near", "far"]
    leader, second, third = board.standings
    assert leader.first
    assert (leader.rank, second.rank, third.rank) == ((1, 1), (2, 2), (3, 3))
    assert second.verdict == third.verdict == "worse"
    assert second.difference == pytest.approx(-np.log(2.0), abs=0.1)
    assert leader.error.mean == pytest.approx(0.1, abs=0.01)
    assert board.control == "training-mean"
    assert {(each.behaviour, each.prefix) for each in leader.conditions} == {
        (behaviour, prefix) for behaviour in BEHAVIOURS for prefix in PREFIXES
    }


def test_two_seeds_are_no_verdict():
    records = [make_record(method, seed, error) for method, error in (("a", 0.2), ("b", 0.1)) for seed in range(2)]
    board = find_board(records)
    assert [standing.verdict for standing in board.standings] == [None, None]
    assert [standing.rank for standing in board.standings] == [None, None]


def test_what_lacks_is_told_and_who_predicts_nothing_has_no_row():
    records = [
        *(make_record("whole", seed, 0.2) for seed in range(3)),
        make_record("part", 0, 0.3),
        make_record("part", 1, None),
        make_record("part", 2, 0.3, shots=(0, 3)),
        make_record("plain", 0, None),
    ]
    board = find_board(records)
    assert [standing.label for standing in board.standings] == ["whole", "part"]
    part = board.standings[1]
    assert [each.seed for each in part.seeds] == [0]
    assert part.missing == ("seed 1: not predicted", "seed 2: shots: expected 0, 1, 3, found 0, 3")


def test_who_is_shown_the_task_has_no_row():
    seen = synthetic_record("oracle", 0, suite=WIDE, privileged=True)
    blind = synthetic_record("model", 0, suite=WIDE)
    found = []
    assert list(note_predictions([seen, blind], found)) == [seen, blind]
    assert [each.contender.method for each in found] == ["model"]


def test_the_csv_has_a_line_a_method_and_board():
    boards = make_prediction_boards([make_record("a", 0, 0.2)], SuiteShelf([cached_suite(WIDE)]))
    lines = list(csv.DictReader(io.StringIO(format_predictions_as_csv(boards))))
    assert len(lines) == len(boards) == 2 * len(SHOTS) * len(STEPS_AHEAD)
    assert {line["label"] for line in lines} == {"a"}
    assert all(abs(float(line["error"]) - 0.2) < 0.05 for line in lines)


def test_predictions_that_the_protocol_has_not_are_found():
    suite, whole = cached_suite(WIDE), make_predictions(0.5, np.random.default_rng(0))
    assert check_predictions(whole, suite) == ()
    assert check_predictions(whole.model_copy(update={"tasks": (0, *whole.tasks[1:])}), suite) == (
        "tasks: expected ids of test tasks, ascending",
    )
    many = whole.model_copy(update={"trajectories": 10_000})
    assert check_predictions(many, suite)[0].startswith("trajectories: expected at most")
