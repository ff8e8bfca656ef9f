"""`teacher`: the suite's expert in the revealed tasks."""

from pathlib import Path

import numpy as np
import pytest

from metabench import (
    DataError,
    MethodError,
    Step,
    TrainingRun,
    evaluate,
    load_data,
    load_method,
    load_suite,
    save_state,
)
from metabench.data.columns import Columns
from metabench.data.training_data import TrainingData


def data_of(name: str) -> TrainingData:
    """The least data that says which suite it is of."""
    spaces = load_suite(name).spaces
    columns = Columns(
        np.zeros((2, spaces.observation_dim), np.float32),
        spaces.null_actions(1),
        np.zeros(1, np.float32),
        np.array([0, 1]),
        np.zeros(1, bool),
        np.zeros(1, np.int64),
    )
    return TrainingData(columns, spaces, suite_name=name)


@pytest.mark.parametrize("split", ["test", "test-far"])
def test_it_scores_what_the_expert_scores(split: str, tmp_path: Path) -> None:
    method, suite = load_method("teacher"), load_suite("tiny")
    method.train(data_of("tiny"), TrainingRun(0)).save(tmp_path)
    policy = method.load(tmp_path, suite.spaces)
    scores = []
    for seed in range(30):
        rows = evaluate(policy, suite, "zero-shot", split=split, seed=seed, privileged=True).blocks[0].rows
        scores += suite.normalised([row.task for row in rows], [row.total_return for row in rows])
    assert np.mean(scores) == pytest.approx(100, abs=5 * np.std(scores) / np.sqrt(len(scores)) + 0.1)


def test_it_walks_straight_to_a_discrete_goal() -> None:
    suite = load_suite("tiny-discrete")
    policy = load_method("teacher").train(data_of("tiny-discrete"), TrainingRun(0))
    for split, goal in (("test", 6), ("test-far", 8)):
        for row in evaluate(policy, suite, "zero-shot", split=split, privileged=True).blocks[0].rows:
            assert goal - 1 <= row.length <= goal + 1
            assert row.total_return == pytest.approx(1 - 0.1 * row.length)


def test_loaded_data_say_their_suite(tiny_built: Path) -> None:
    data = load_data("tiny", "medium")
    assert [part.suite_name for part in (data, data.fitting, data.validation, data.to("cpu"))] == ["tiny"] * 4


def test_it_is_privileged_and_needs_to_be_told() -> None:
    method = load_method("teacher")
    policy = method.train(data_of("tiny"), TrainingRun(0))
    policy.reset([0], [1])
    step = Step(
        np.zeros((1, 2), np.float32),
        np.zeros((1, 2), np.float32),
        np.zeros(1, np.float32),
        np.zeros(1, np.int64),
        np.ones(1, bool),
        np.ones(1, bool),
    )
    assert method.privileged
    with pytest.raises(MethodError, match="expected reveal"):
        policy.act(step)


def test_another_suite_is_refused(tmp_path: Path) -> None:
    method = load_method("teacher")
    method.train(data_of("tiny"), TrainingRun(0)).save(tmp_path)
    with pytest.raises(DataError, match="teacher of suite 'tiny' has other spaces"):
        method.load(tmp_path, load_suite("tiny-discrete").spaces)
    save_state({"suite": 3}, tmp_path / "policy")
    with pytest.raises(DataError, match="expected the name of a suite, found 3"):
        method.load(tmp_path, load_suite("tiny").spaces)
