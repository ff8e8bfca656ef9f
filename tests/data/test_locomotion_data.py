"""Data of MuJoCo suites, in a small copy with random teachers: equal bytes however it is made."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

import numpy as np
import pytest

from metabench.data.load import load_data
from metabench.data.making import source
from metabench.data.making.build import build_data, verify_dataset
from metabench.data.making.plan import plan_trajectories
from metabench.data.storage import minari_files
from metabench.data.storage.store import open_store
from metabench.seeding import derive_seed
from metabench.suites import load_suite

HORIZON, TRAJECTORIES = 25, 10


def files_below(folder: Path) -> dict[str, str]:
    """Path to SHA-256 of every file but the empty lock files."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cheetah-vel", "hopper-param"])
def test_threads_lanes_and_chunks_leave_no_trace(name, small_copy, tmp_path, monkeypatch):
    suite = small_copy(name)
    made = []
    for threads, lanes, chunk in ((1, 4096, 500), (1, 4096, 500), (3, 4096, 500), (2, 7, 500), (1, 5, 13), (2, 64, 1)):
        place = tmp_path / f"{len(made)}"
        monkeypatch.setenv("OMP_NUM_THREADS", str(threads))
        monkeypatch.setenv("METABENCH_HOME", str(place / "home"))
        monkeypatch.setenv("MINARI_DATASETS_PATH", str(place / "minari"))
        monkeypatch.setattr("metabench.envs.batched.BatchedEnvironment.lanes_at_once", lanes)
        monkeypatch.setattr(source, "CHUNK", chunk)
        monkeypatch.setattr(minari_files, "CHUNK", chunk)
        build_data(suite, "mixed")
        made.append(files_below(place))
    assert len(made[0]) > 10
    assert all(files == made[0] for files in made)
    verify_dataset(suite, "mixed")


def test_stored_actions_lead_to_the_stored_observations_and_rewards(small_copy):
    suite = small_copy("cheetah-vel")
    build_data(suite, "medium")
    columns, plan = open_store(suite, "medium").trajectories.columns, plan_trajectories(suite, "medium")
    assert columns.actions.dtype == columns.rewards.dtype == np.float32
    for episode in (0, 17, len(plan) - 1):
        environment = suite.environment()
        seed = derive_seed(plan.seeds[episode], "reset")
        observation = environment.reset([suite.tasks[plan.tasks[episode]].parameters], [seed])
        for step in range(HORIZON):
            row = episode * HORIZON + step
            np.testing.assert_array_equal(observation[0], columns.observations[row + episode])
            result = environment.step(columns.actions[row : row + 1])
            assert np.float32(result.reward[0]) == columns.rewards[row]
            observation = result.observation
        np.testing.assert_array_equal(observation[0], columns.observations[row + episode + 1])


def test_a_suite_of_seen_tasks_validates_on_held_out_trajectories(small_copy):
    suite = small_copy("cheetah-dir")
    data = load_data(suite, "mixed")
    assert (data.num_tasks, data.validation_tasks) == (2, ())
    assert (data.fitting.num_episodes, data.validation.num_episodes) == (2 * TRAJECTORIES - 2, 2)
    assert data.validation.num_tasks == data.fitting.num_tasks == 2
    last = data.columns.rewards.reshape(2, TRAJECTORIES, HORIZON)[:, -1]
    np.testing.assert_array_equal(data.validation.columns.rewards.reshape(2, HORIZON), last)


@pytest.mark.parametrize(
    "name",
    ["cheetah-vel", "cheetah-dir", "ant-dir", "ant-dir-arc", "hopper-param", "walker-param"],
)
def test_medium_covers_all_splits_and_all_qualities_are_there(name):
    suite = load_suite(name)
    recipes = tomllib.loads((suite.folder / "suite.toml").read_text(encoding="utf-8"))["datasets"]
    assert list(recipes)[:5] == ["random", "medium", "expert", "mixed", "replay"]
    assert set(list(recipes)[5:]) <= {"histories", "expert-actions"}
    assert all(suite.dataset(dataset).trajectories == 100 for dataset in recipes)
    assert set(suite.dataset("medium").splits) == set(suite.splits)
