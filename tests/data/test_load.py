"""Loading what is built: splits, task indices, identities, and quickly."""

from __future__ import annotations

import dataclasses
import json
import time

import numpy as np
import pytest

from metabench.data.columns import Columns
from metabench.data.load import load_columns, load_data, read_dataset_identity
from metabench.data.making.build import build_data
from metabench.data.making.source import open_source
from metabench.data.storage.manifest import make_manifest
from metabench.data.storage.places import store_folder
from metabench.data.storage.store import open_store, write_store
from metabench.data.trajectories import Trajectories, hash_trajectories, join_trajectories
from metabench.errors import DataError, UnknownNameError
from metabench.suites import load_suite


def test_load_data_gives_training_tasks_only_by_index(tiny_built):
    suite = load_suite("tiny")
    for dataset in suite.entry.datasets:
        data = load_data(suite, dataset)
        assert (data.num_tasks, data.num_episodes, data.num_transitions) == (2, 20, 400)
        assert data.validation_tasks == (1,)
        assert (data.spaces, data.suite_name) == (suite.spaces, "tiny")
        whole = open_store(suite, dataset).trajectories.columns
        np.testing.assert_array_equal(data.columns.rewards, whole.rewards[:400])
        np.testing.assert_array_equal(data.columns.observations, whole.observations[:420])


def test_load_columns_gives_one_split_with_suite_task_ids(tiny_built):
    suite = load_suite("tiny")
    whole = open_store(suite, "medium").trajectories.columns
    for split, tasks, episodes in (("train", [0, 1], 0), ("test", [2], 20), ("test-far", [3], 30)):
        columns = load_columns(suite, "medium", split)
        assert np.unique(columns.tasks).tolist() == tasks
        assert columns.offsets[0] == 0
        np.testing.assert_array_equal(columns.observations[:21], whole.observations[episodes * 21 : episodes * 21 + 21])
    with pytest.raises(DataError, match=r"'expert'.*'test-far'.*train, test"):
        load_columns(suite, "expert", "test-far")
    with pytest.raises(UnknownNameError, match="did you mean 'test'"):
        load_columns(suite, "medium", "tests")


def test_interleaved_splits_are_sorted_out(tmp_path):
    text = (load_suite("tiny").folder / "suite.toml").read_text()
    head, *tasks = text.split("[[task]]")
    order = [2, 0, 3, 1]  # test, train, test-far, validation
    renamed = [tasks[old].replace(f"id = {old}", f"id = {new}").rstrip() + "\n\n" for new, old in enumerate(order)]
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "suite.toml").write_text("[[task]]".join([head, *renamed]))
    suite = load_suite(tmp_path / "tiny")
    data = load_data(suite, "medium")
    assert data.validation_tasks == (1,)
    whole = open_store(suite, "medium").trajectories.columns.rewards.reshape(40, 20)
    np.testing.assert_array_equal(data.columns.rewards.reshape(20, 20), np.concatenate([whole[10:20], whole[30:]]))
    np.testing.assert_array_equal(load_columns(suite, "medium", "test-far").rewards, whole[20:30].ravel())


def test_unknown_names_and_missing_data_are_named():
    with pytest.raises(UnknownNameError, match="did you mean 'medium'"):
        load_data("tiny", "medum")
    with pytest.raises(UnknownNameError, match="unknown suite 'tinny'"):
        load_data("tinny", "medium")
    with pytest.raises(DataError, match="metabench data build tiny --dataset medium"):
        load_data("tiny", "medium", build=False)
    with pytest.raises(DataError, match="not built"):
        read_dataset_identity(load_suite("tiny"), "medium")


def test_another_digest_than_published_is_no_error():
    suite = load_suite("tiny")
    other = suite.entry.datasets["medium"].model_copy(update={"digest": "sha256:" + "0" * 64})
    entry = suite.entry.model_copy(update={"datasets": {**suite.entry.datasets, "medium": other}})
    identity = build_data(dataclasses.replace(suite, entry=entry), "medium")
    assert identity.expected == "sha256:" + "0" * 64 != identity.digest
    assert not identity.as_published


def test_published_digests_are_what_is_built(tiny_built):
    suite = load_suite("tiny")
    for dataset in suite.entry.datasets:
        identity = read_dataset_identity(suite, dataset)
        assert identity.expected is not None
        assert identity.as_published, f"{dataset}: built {identity.digest}"


def list_published(*names):
    """Suite and dataset of all that name a digest; the privileged ones of two take half a minute together."""
    suites = [load_suite(name) for name in names]
    pairs = [(suite.name, name) for suite in suites for name, recipe in suite.entry.datasets.items() if recipe.digest]
    slowest = {(suite, "expert-actions") for suite in ("point-robot", "point-robot-sparse")}
    return [pytest.param(*pair, marks=pytest.mark.walk) if pair in slowest else pair for pair in pairs]


def test_the_headline_dataset_of_point_robot_has_a_published_digest():
    assert load_suite("point-robot").dataset("medium").digest


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "dataset"),
    list_published(
        *("point-robot", "point-robot-sparse", "darkroom"),
        *("grid-world", "simple-env", "cartpole", "mountain-car", "pendulum"),
    ),
)
def test_a_published_digest_is_that_of_what_the_recipe_makes(name, dataset):
    """Of the suites whose data is made in a moment; data that is made otherwise must get another digest and version."""
    suite = load_suite(name)
    if (labelled := suite.dataset(dataset).labels_of) is not None:
        build_data(suite, labelled)
    parts = open_source(suite, dataset).parts
    assert hash_trajectories(join_trajectories(list(parts))) == suite.dataset(dataset).digest


def test_a_large_dataset_opens_at_once(folders, monkeypatch):
    """900,000 steps, to the first batch: a loose bound, the store is not read as a whole."""
    suite = load_suite("tiny")
    generator = np.random.default_rng(0)
    steps, episodes = 900_000, 45_000
    columns = Columns(
        observations=generator.standard_normal((steps + episodes, 2)).astype(np.float32),
        actions=generator.uniform(-0.1, 0.1, (steps, 2)).astype(np.float32),
        rewards=generator.standard_normal(steps).astype(np.float32),
        offsets=np.arange(episodes + 1) * 20,
        terminated=np.zeros(episodes, bool),
        tasks=np.arange(episodes) * 4 // episodes,
    )
    made = Trajectories(columns, np.repeat(["medium"], episodes), np.arange(episodes), None)
    folder = store_folder(suite, "medium")
    folder.mkdir(parents=True)
    write_store(folder, made, make_manifest(suite, "medium", hash_trajectories(made)), suite.spaces)
    begin = time.perf_counter()
    windows = load_data(suite, "medium", build=False).sample_windows(generator, 128, 20)
    assert time.perf_counter() - begin < 1.0
    assert windows.observations.shape == (128, 20, 2)
    assert json.loads((folder / "header.json").read_text())["transitions"] == steps
