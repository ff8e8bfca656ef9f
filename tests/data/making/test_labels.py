"""Labels: the expert's own actions in every state of other trajectories, free of noise, beside unchanged columns."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from metabench.data.load import load_columns, load_data
from metabench.data.making.build import build_data, verify_dataset
from metabench.data.making.label import label_trajectories
from metabench.data.storage.places import minari_folder, store_folder
from metabench.data.storage.recipe import compute_recipe_digest
from metabench.data.storage.store import open_store
from metabench.envs.corridor import CorridorFamily, CorridorTeacher
from metabench.errors import DataError
from metabench.suites import Suite, load_suite


def labels_of(folder: Path, name: str, dataset: str) -> Suite:
    """A copy of a tiny suite that labels another dataset."""
    shutil.copytree(load_suite(name).folder, folder / name)
    path = folder / name / "suite.toml"
    path.write_text(path.read_text().replace('labels_of = "medium"', f'labels_of = "{dataset}"'))
    return load_suite(folder / name)


@pytest.mark.parametrize("name", ["tiny", "tiny-discrete"])
def test_all_other_columns_are_those_of_medium(name):
    suite = load_suite(name)
    build_data(suite, "expert-actions")
    labelled, medium = (open_store(suite, each).trajectories for each in ("expert-actions", "medium"))
    arrays = labelled.arrays()
    labels = arrays.pop("expert_actions")
    assert arrays.keys() == medium.arrays().keys()
    for key, values in medium.arrays().items():
        np.testing.assert_array_equal(arrays[key], values)
    assert (labels.shape, labels.dtype) == (arrays["actions"].shape, arrays["actions"].dtype)
    assert verify_dataset(suite, "expert-actions").as_published
    assert verify_dataset(suite, "medium").as_published


def test_the_labels_of_the_expert_are_its_own_actions(tmp_path):
    """Corridor's expert makes no mistake and draws no noise."""
    suite = labels_of(tmp_path, "tiny-discrete", "expert")
    build_data(suite, "expert-actions")
    columns = open_store(suite, "expert-actions").trajectories.columns
    np.testing.assert_array_equal(columns.expert_actions, columns.actions)


def test_labels_are_free_of_noise_and_rounded_as_actions_are(tiny_built):
    suite = load_suite("tiny")
    columns = open_store(suite, "expert-actions").trajectories.columns
    goals = np.array([suite.tasks[task].parameters["goal"] for task in columns.tasks])
    before = columns.observations.reshape(-1, 21, 2)[:, :-1]
    expected = np.clip(goals[:, None] - before.astype(np.float64), -0.1, 0.1).round(4)
    np.testing.assert_allclose(columns.expert_actions, expected.reshape(-1, 2), rtol=0, atol=1e-7)


@pytest.mark.slow
def test_a_network_has_no_noise_where_its_deviation_is_left_out(small_copy, monkeypatch):
    from safetensors.numpy import load_file, save_file

    suite = small_copy("cheetah-vel")
    teacher, task = suite.teacher(), suite.tasks[0].parameters
    observations = np.random.default_rng(0).standard_normal((4, suite.spaces.observation_dim))
    teacher.reset(["expert"] * 4, [task] * 4, range(4))
    quiet = teacher.act_without_noise(observations)
    noisy = teacher.act(observations)
    path = suite.teachers_folder / "expert.safetensors"
    save_file({**load_file(path), "noise": np.zeros(suite.spaces.action_dim, np.float32)}, path)
    still = suite.teacher()
    still.reset(["expert"] * 4, [task] * 4, range(4))
    np.testing.assert_array_equal(still.act(observations), quiet)
    assert np.abs(noisy - quiet).max() > 0.1


def test_a_teacher_sees_each_episode_in_order(tmp_path, monkeypatch):
    """It may remember within an episode; episodes of other lengths run beside it."""
    seen: list[np.ndarray] = []

    class Counts(CorridorTeacher):
        def reset(self, behaviours, parameters, seeds):
            assert set(behaviours) == {"expert"}
            super().reset(behaviours, parameters, seeds)

        def act_without_noise(self, observation):
            seen.append(np.array(observation))
            return np.full(len(observation), len(seen) % 3)

    suite = load_suite("tiny-discrete")
    build_data(suite, "medium")
    medium = open_store(suite, "medium").trajectories
    monkeypatch.setattr(CorridorFamily, "teacher", lambda self, folder, horizon: Counts(self.spaces(horizon)))
    (labelled,) = label_trajectories(suite, medium)
    assert len({len(medium.columns.episode(e)) for e in range(40)}) > 3
    for e in range(40):
        episode, start = medium.columns.episode(e), medium.columns.offsets[e]
        for timestep in range(len(episode)):
            np.testing.assert_array_equal(seen[timestep][e], episode.observations[timestep])
            assert labelled.columns.expert_actions[start + timestep] == (timestep + 1) % 3


@pytest.mark.parametrize(
    ("name", "device"),
    [("tiny", None), ("tiny-discrete", None), pytest.param("tiny", "cpu", marks=pytest.mark.slow)],
)
def test_windows_and_transitions_have_labels_in_the_shape_of_actions(name, device):
    data = load_data(name, "expert-actions")
    labels = data.spaces.action_features(data.columns.expert_actions)
    np.testing.assert_array_equal(data.expert_action_features, labels)
    placed, generator = (data if device is None else data.to(device)), np.random.default_rng(0)
    some = generator.integers(data.num_transitions, size=(3, 4))
    tasks = np.array([0, 1, 1])
    for batch in (
        placed.transitions(some),
        placed.sample_windows(generator, 5, 30),
        placed.sample_windows(generator, 5, 6, full=False),
        placed.sample_task_transitions(generator, tasks, 7),
    ):
        found = placed.gather_expert_actions(batch)
        assert (type(found), found.shape, found.dtype) == (
            type(batch.actions),
            batch.actions.shape,
            batch.actions.dtype,
        )
        found, mask, timesteps, episodes = map(np.asarray, (found, batch.mask, batch.timesteps, batch.episodes))
        for at in np.ndindex(mask.shape):
            episode = episodes[at[: episodes.ndim]]
            expected = labels[data.columns.offsets[episode] + timesteps[at]] if mask[at] else 0.0
            np.testing.assert_array_equal(found[at], np.broadcast_to(expected, found[at].shape))
    np.testing.assert_array_equal(np.asarray(placed.gather_expert_actions(placed.transitions(some))), labels[some])


def test_minari_users_find_them_in_infos(tiny_built):
    import minari

    stored = minari.load_dataset("metabench/tiny/expert-actions-v1")
    columns = open_store(load_suite("tiny"), "expert-actions").trajectories.columns
    for e, episode in enumerate(stored.iterate_episodes()):
        expected = columns.expert_actions[columns.offsets[e] : columns.offsets[e + 1]]
        np.testing.assert_array_equal(episode.infos["expert_actions"], expected)
    assert "infos/expert_actions" in stored.storage.metadata["description"]
    assert "expert" not in {each["behaviour"] for each in stored.storage.get_episode_metadata(range(40))}


def test_who_must_not_have_them_gets_medium(tiny_built):
    suite = load_suite("tiny")
    assert load_columns(suite, "expert-actions", "test").expert_actions is None
    without, medium = load_data(suite, "expert-actions", expert_labels=False), load_data(suite, "medium")
    for key, values in vars(medium.columns).items():
        other = getattr(without.columns, key)
        assert (values is None) == (other is None)
        if values is not None:
            np.testing.assert_array_equal(other, values)
    with pytest.raises(
        DataError, match=r"^dataset expert-actions of tiny: no expert labels here; .*uses_expert_labels"
    ):
        without.gather_expert_actions(without.transitions(np.arange(3)))
    with pytest.raises(DataError, match=r"^dataset medium of tiny has no expert labels: expected expert-actions$"):
        medium.gather_expert_actions(medium.transitions(np.arange(3)))


def test_medium_is_built_for_its_labels_and_not_built_again(folders):
    suite = load_suite("tiny")
    build_data(suite, "expert-actions")
    built = (store_folder(suite, "medium") / "header.json").stat().st_mtime_ns
    build_data(suite, "expert-actions", force=True)
    assert (store_folder(suite, "medium") / "header.json").stat().st_mtime_ns == built
    # Its Minari files alone are enough for a store.
    for dataset in ("medium", "expert-actions"):
        shutil.rmtree(store_folder(suite, dataset))
    shutil.rmtree(minari_folder(suite, "medium"))
    build_data(suite, "expert-actions")
    assert not store_folder(suite, "medium").exists()
    assert load_data(suite, "expert-actions").columns.expert_actions is not None


def test_another_medium_is_another_recipe_of_its_labels_alone(tmp_path):
    suite = load_suite("tiny")
    other = tmp_path / "tiny"
    shutil.copytree(suite.folder, other)
    path = other / "suite.toml"
    path.write_text(re.sub(r"(?s)(\[datasets.medium\].*?)seed = 2", r"\1seed = 7", path.read_text()))
    changed = load_suite(other)
    for dataset in suite.entry.datasets:
        same = compute_recipe_digest(changed, dataset) == compute_recipe_digest(suite, dataset)
        assert same == (dataset not in ("medium", "expert-actions")), dataset
