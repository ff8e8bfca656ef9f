"""Histories: their order from the plan to Minari and to training data, and how much of the expert is in each stage."""

from __future__ import annotations

import itertools
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from metabench.data.load import load_columns, load_data
from metabench.data.making.build import build_data, verify_dataset
from metabench.data.making.plan import plan_trajectories
from metabench.data.making.source import open_source
from metabench.data.storage.places import store_folder
from metabench.data.storage.store import open_store
from metabench.data.trajectories import join_trajectories
from metabench.errors import DataError
from metabench.suites import Suite, load_suite

STAGES, EPISODES = 5, 2
"""Of the tiny suites."""


def long_histories(folder: Path, name: str, trajectories: int) -> Suite:
    """A copy of a tiny suite whose histories are longer and have labels of their own."""
    shutil.copytree(load_suite(name).folder, folder / name)
    path = folder / name / "suite.toml"
    text = re.sub(r"(?s)trajectories = 10\nstages", f"trajectories = {trajectories}\nstages", path.read_text())
    path.write_text(text.replace('labels_of = "medium"', 'labels_of = "histories"'))
    return load_suite(folder / name)


def test_the_order_is_kept_in_minari_in_the_store_and_in_training_data(tiny_copied):
    import minari

    suite = load_suite("tiny")
    stored = minari.load_dataset("metabench/tiny/histories-v1")
    metadata = list(stored.storage.get_episode_metadata(range(stored.total_episodes)))
    expected = list(itertools.product((0, 1, 2), range(STAGES), range(EPISODES)))
    assert [(each["task"], each["stage"], each["order"]) for each in metadata] == expected
    assert {each["behaviour"] for each in metadata} == {"random-to-expert"}
    assert "5 stages of expert mixed with random actions" in stored.storage.metadata["description"]
    plan = plan_trajectories(suite, "histories")
    assert [each["seed"] for each in metadata] == list(plan.seeds)
    one_task = np.repeat(np.arange(STAGES), EPISODES)
    data = load_data(suite, "histories", build=False)
    np.testing.assert_array_equal(data.stages, np.tile(one_task, 2))
    np.testing.assert_array_equal(data.validation.stages, one_task)
    np.testing.assert_array_equal(data.part([0]).to("cpu").stages, one_task)
    np.testing.assert_array_equal(load_columns(suite, "histories", "test").stages, one_task)
    # A store made anew from the Minari files has the same order.
    before = open_store(suite, "histories").header
    shutil.rmtree(store_folder(suite, "histories"))
    build_data(suite, "histories")
    assert open_store(suite, "histories").header.columns == before.columns
    assert verify_dataset(suite, "histories").as_published


def test_checkpoints_act_in_their_order(tmp_path):
    shutil.copytree(load_suite("tiny").folder, tmp_path / "tiny")
    path = tmp_path / "tiny" / "suite.toml"
    path.write_text(path.read_text().replace("stages = 5", 'stages = ["stage-2", "stage-1"]'))
    suite = load_suite(tmp_path / "tiny")
    data = load_data(suite, "histories")
    np.testing.assert_array_equal(data.stages, np.tile(np.repeat([0, 1], 5), 2))
    behaviours = open_store(suite, "histories").trajectories.behaviours
    assert behaviours.tolist() == (["stage-2"] * 5 + ["stage-1"] * 5) * 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "near", "by_chance"),
    # The expert of `tiny` is noisy: 0.003, and rounded; of its moves of -0.1 to 0.1 few random ones are as near.
    [("tiny", 0.016, 0.02), ("tiny-discrete", 0.0, 1 / 3)],
)
def test_the_share_of_expert_actions_rises_as_stated(tmp_path, name, near, by_chance):
    suite = long_histories(tmp_path, name, trajectories=150)
    build_data(suite, "expert-actions")
    columns = open_store(suite, "expert-actions").trajectories.columns
    away = np.abs(np.asarray(columns.actions, float) - columns.expert_actions).reshape(len(columns.rewards), -1)
    alike = away.max(axis=1) <= near
    stages = np.repeat(columns.stages, np.diff(columns.offsets))
    shares = np.array([alike[stages == stage].mean() for stage in range(STAGES)])
    stated = np.arange(STAGES) / (STAGES - 1)
    counts = np.bincount(stages)
    error = 5 * np.sqrt(0.25 / counts) * (stated < 1) + 1e-3
    assert counts.min() > 300
    error += (near > 0) * 0.02 * (1 - stated)
    assert (np.abs(shares - (stated + (1 - stated) * by_chance)) < error).all(), shares
    assert shares[-1] == pytest.approx(1.0, abs=1e-3)
    assert (np.diff([columns.episode_returns[columns.stages == stage].mean() for stage in range(STAGES)]) > 0).all()


def test_each_trajectory_draws_from_its_own_seed(tmp_path):
    """More trajectories a stage leave the first of each task as it was; no two stray at the same steps."""
    suites = load_suite("tiny-discrete"), long_histories(tmp_path, "tiny-discrete", trajectories=20)
    columns, again = (join_trajectories(list(open_source(each, "histories").parts)).columns for each in suites)
    for task in (0, 1, 2):
        first, same = (int(np.flatnonzero(each.tasks == task)[0]) for each in (columns, again))
        np.testing.assert_array_equal(columns.episode(first).actions, again.episode(same).actions)
    starts = [columns.episode(episode).actions[:4].tolist() for episode in range(len(columns.tasks))]
    assert len({tuple(each) for each in starts}) > len(starts) // 2


def test_data_without_an_order_says_so(tiny_built):
    data = load_data("tiny", "medium")
    for part in (data, data.validation, data.to("cpu")):
        with pytest.raises(DataError, match=r"^dataset medium of tiny has no order of learning: expected histories$"):
            _ = part.stages
