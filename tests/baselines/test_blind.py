"""`blind`: the suite's blind policy, whatever the support."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from metabench import (
    DataError,
    MethodError,
    Spaces,
    TrainingRun,
    evaluate,
    load_data,
    load_method,
    load_suite,
    save_state,
)
from metabench.data.columns import Columns
from metabench.data.making.roll_out import roll_out
from metabench.data.training_data import TrainingData


def data_of(name: str, spaces: Spaces) -> TrainingData:
    """The least data that says which suite it is of."""
    columns = Columns(
        np.zeros((2, spaces.observation_dim), np.float32),
        spaces.null_actions(1),
        np.zeros(1, np.float32),
        np.array([0, 1]),
        np.zeros(1, bool),
        np.zeros(1, np.int64),
    )
    return TrainingData(columns, spaces, suite_name=name)


@pytest.mark.parametrize("name", ["tiny", "tiny-discrete"])
def test_it_returns_what_the_blind_policy_returns(name: str, tmp_path: Path) -> None:
    method, suite = load_method("blind"), load_suite(name)
    assert method.privileged
    assert not method.trains
    method.train(data_of(name, suite.spaces), TrainingRun(0)).save(tmp_path)
    policy = method.load(tmp_path, suite.spaces)
    rows = evaluate(policy, suite, "zero-shot", privileged=True).blocks[0].rows
    rolled = roll_out(suite, [rows[0].task] * 300, ["blind"] * 300, range(300)).columns.episode_returns
    for row in rows:  # starts are drawn from a few cells, or all alike; actions of the data are rounded
        assert np.abs(rolled - row.total_return).min() < 0.01


def test_support_changes_nothing(tiny_built: Path) -> None:
    policy = load_method("blind").train(load_data("tiny", "medium"), TrainingRun(0))
    found = [evaluate(policy, load_suite("tiny"), track, privileged=True) for track in ("zero-shot", "logged-shot")]
    zero, logged = ([row.total_return for row in each.blocks[0].rows] for each in found)
    assert zero == logged


def test_a_suite_that_ships_none_is_one_line() -> None:
    with pytest.raises(
        MethodError, match="blind: suite 'grid-world' ships no blind policy; expected one in its folder"
    ):
        load_method("blind").train(data_of("grid-world", load_suite("grid-world").spaces), TrainingRun(0))


def test_a_suite_in_a_folder_has_its_own(tiny_built: Path, tmp_path: Path) -> None:
    shutil.copytree(load_suite("tiny").folder, tmp_path / "tiny")
    suite = load_suite(tmp_path / "tiny")
    data = load_data(suite, "medium")
    assert data.suite_name == str(tmp_path / "tiny")
    load_method("blind").train(data, TrainingRun(0)).save(tmp_path / "saved")
    shutil.rmtree(suite.references_folder)
    with pytest.raises(MethodError, match="ships no blind policy"):
        load_method("blind").load(tmp_path / "saved", suite.spaces)


def test_another_suite_and_a_damaged_reference_are_refused(tmp_path: Path) -> None:
    method = load_method("blind")
    method.train(data_of("tiny", load_suite("tiny").spaces), TrainingRun(0)).save(tmp_path / "saved")
    with pytest.raises(DataError, match="blind policy of suite 'tiny' has other spaces"):
        method.load(tmp_path / "saved", load_suite("tiny-discrete").spaces)
    save_state({"suite": 3}, tmp_path / "saved" / "policy")
    with pytest.raises(DataError, match="expected the name of a suite, found 3"):
        method.load(tmp_path / "saved", load_suite("tiny").spaces)
    shutil.copytree(load_suite("tiny").folder, tmp_path / "tiny")
    weights = tmp_path / "tiny" / "references" / "blind.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(DataError, match=r"blind\.safetensors: not a teacher's weights"):
        load_suite(tmp_path / "tiny").blind()
