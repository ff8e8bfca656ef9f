"""Datasets of a suite that come from Minari ids: what is stored is what was recorded."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import minari
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete

from metabench import load_data
from metabench.data.cards.catalogue import describe_dataset, list_datasets
from metabench.data.making.build import build_data, delete_dataset, verify_dataset
from metabench.data.storage.recipe import compute_recipe_digest
from metabench.data.storage.store import open_store
from metabench.suites import Suite, load_named_suite

KEYED = Dict({"goal": Box(-1, 1, (2,)), "place": Box(-1, 1, (3, 1)), "spare": Box(-1, 1, (1,), np.float64)})


def built(suite: Suite) -> Any:
    build_data(suite, "medium", force=True)
    return open_store(suite, "medium").trajectories


def test_what_is_stored_is_what_was_recorded(walks: SimpleNamespace, tmp_path: Path) -> None:
    flat = [each for task in walks.record_all() for each in task]
    trajectories = built(walks.suite(tmp_path))
    columns = trajectories.columns
    np.testing.assert_array_equal(columns.tasks, np.repeat([0, 1, 2], 4))
    np.testing.assert_array_equal(trajectories.seeds, [0, 1, 2, 3] * 3)
    assert set(trajectories.behaviours.tolist()) == {"recorded"}
    np.testing.assert_array_equal(np.diff(columns.offsets), [3, 4, 5, 6] * 3)
    np.testing.assert_array_equal(columns.terminated, [True, False] * 6)
    for key in ("observations", "actions", "rewards"):
        stored = getattr(columns, key)
        assert stored.dtype == np.float32
        np.testing.assert_array_equal(stored, np.concatenate([each[key] for each in flat]).astype(np.float32))
    assert trajectories.success is None


def test_a_recorded_dataset_is_a_dataset_like_any_other(walks: SimpleNamespace, tmp_path: Path) -> None:
    recorded, suite = walks.record_all(), walks.suite(tmp_path)
    (before,) = list_datasets(suite)
    identity = build_data(suite, "medium")
    (after,) = list_datasets(suite)
    assert (before.state, before.trajectories, after.state, after.trajectories) == ("missing", 27, "built", 12)
    assert verify_dataset(suite, "medium") == identity == build_data(suite, "medium", force=True)
    described = describe_dataset(suite, "medium")
    assert described.behaviours == {"recorded": 12}
    returns = [sum(each["rewards"]) for each in recorded[2]]
    assert described.splits["test"].mean_return == pytest.approx(np.mean(returns), abs=1e-5)
    copied = minari.load_dataset("metabench/walks/medium-v1")[5]
    np.testing.assert_array_equal(copied.rewards, recorded[1][1]["rewards"].astype(np.float32))
    assert load_data(suite, "medium").num_tasks == 2
    delete_dataset(suite, "medium")
    assert list_datasets(suite)[0].state == "missing"
    assert minari.load_dataset(walks.names[0]).total_episodes == 4


@pytest.mark.parametrize("keys", [("goal", "place"), ("place", "goal"), ("place",), ("spare", "place", "goal")])
def test_dictionaries_are_flattened_in_the_suites_order(walks: SimpleNamespace, tmp_path: Path, keys: tuple) -> None:
    generator = np.random.default_rng(0)
    seen = {key: generator.uniform(-1, 1, (7, *space.shape)) for key, space in KEYED.spaces.items()}
    for name in walks.names:
        walks.record(name, [walks.episode(0, observations=seen)], observation_space=KEYED)
    width = sum(int(np.prod(KEYED[key].shape)) for key in keys)
    declared = f"observation_dim = {width}\nobservation_keys = {json.dumps(keys)}"
    columns = built(walks.suite(tmp_path, walks.spaces.replace("observation_dim = 3", declared))).columns
    expected = np.hstack([seen[key].reshape(7, -1) for key in keys]).astype(np.float32)
    np.testing.assert_array_equal(columns.observations, np.tile(expected, (3, 1)))


def test_discrete_actions_stay_integers(walks: SimpleNamespace, tmp_path: Path) -> None:
    actions = np.array([0, 2, 1, 1, 0, 2])
    for name in walks.names:
        walks.record(name, [walks.episode(0, actions=actions)], action_space=Discrete(3))
    columns = built(walks.suite(tmp_path, "observation_dim = 3\nnum_actions = 3")).columns
    assert columns.actions.dtype == np.int64
    np.testing.assert_array_equal(columns.actions, np.tile(actions, 3))


@pytest.mark.parametrize("before_first_step", [False, True])
def test_success_is_that_after_each_step(walks: SimpleNamespace, tmp_path: Path, before_first_step: bool) -> None:
    success = np.array([False, False, True, False, True, True])
    stored = np.concatenate([[True], success]) if before_first_step else success
    for name in walks.names:
        walks.record(name, [walks.episode(0, infos={"success": stored})])
    np.testing.assert_array_equal(built(walks.suite(tmp_path)).success, np.tile(success, 3))


def test_success_that_only_some_recorded_is_left_out(walks: SimpleNamespace, tmp_path: Path) -> None:
    walks.record_all()
    minari.delete_dataset(walks.names[0])
    walks.record(walks.names[0], [walks.episode(0, infos={"success": np.ones(6, bool)})])
    assert built(walks.suite(tmp_path)).success is None


def test_the_first_that_pass_the_filter_are_taken(walks: SimpleNamespace, tmp_path: Path) -> None:
    rewards = [[1.0] * 6, [5.0], [2.0] * 2, [3.0] * 3, [1.5] * 6, [9.0] * 6]
    successes = [True, True, True, False, True, True]
    episodes = [
        walks.episode(n, len(each), rewards=np.array(each), infos={"success": np.array([won] * len(each))})
        for n, (each, won) in enumerate(zip(rewards, successes, strict=True))
    ]
    for name in walks.names:
        walks.record(name, episodes)

    def taken(recipe: str) -> list[int]:
        folder = tmp_path / recipe.replace("\n", " ")
        folder.mkdir()
        trajectories = built(walks.suite(folder, recipe=recipe))
        shutil.rmtree(folder)  # another suite of that name may have its data now
        return trajectories.seeds[trajectories.columns.tasks == 0].tolist()

    assert taken("trajectories = 2") == [0, 1]
    assert taken("trajectories = 9\nfilter = { min_return = 6.0 }") == [0, 3, 4, 5]
    assert taken("trajectories = 9\nfilter = { min_return = 6.0, max_return = 10.0 }") == [0, 3, 4]
    assert taken("trajectories = 2\nfilter = { min_steps = 2, success = true }") == [0, 2]
    assert taken("trajectories = 9\nfilter = { success = false }") == [3]


def test_long_episodes_are_cut_where_the_suite_says_so(walks: SimpleNamespace, tmp_path: Path) -> None:
    recorded = walks.record_all()
    columns = built(walks.suite(tmp_path, recipe="trajectories = 9\ncut = true", horizon=4)).columns
    np.testing.assert_array_equal(np.diff(columns.offsets), [3, 4, 4, 4] * 3)
    np.testing.assert_array_equal(
        columns.terminated, [True, False, False, False] * 3
    )  # number 2 was cut before its end
    expected = np.concatenate([each["observations"][:5] for each in recorded[0]]).astype(np.float32)
    np.testing.assert_array_equal(columns.observations[: len(expected)], expected)


def test_the_filter_judges_what_is_left_of_a_cut_episode(walks: SimpleNamespace, tmp_path: Path) -> None:
    for name in walks.names:
        walks.record(name, [walks.episode(n, rewards=np.array([n, 0, 0, 0, 0, 100.0])) for n in range(3)])
    recipe = "trajectories = 9\ncut = true\nfilter = { max_return = 50.0, min_return = 1.0 }"
    assert built(walks.suite(tmp_path, recipe=recipe, horizon=5)).seeds.tolist() == [1, 2] * 3


def test_an_episode_that_was_broken_off_is_not_terminated(walks: SimpleNamespace, tmp_path: Path) -> None:
    for name in walks.names:
        walks.record(name, [walks.episode(0, ended="never")])
    assert not built(walks.suite(tmp_path)).columns.terminated.any()


def test_actions_out_of_bounds_are_clipped_where_the_suite_says_so(walks: SimpleNamespace, tmp_path: Path) -> None:
    actions = np.linspace(-1.5, 1.5, 12).reshape(6, 2)
    for name in walks.names:
        walks.record(name, [walks.episode(0, actions=actions)])
    columns = built(walks.suite(tmp_path, recipe="trajectories = 9\nclip = true")).columns
    np.testing.assert_array_equal(columns.actions, np.tile(actions.clip(-1, 1).astype(np.float32), (3, 1)))


def test_another_mapping_filter_or_space_is_another_recipe(walks: SimpleNamespace, tmp_path: Path) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"recipe": "trajectories = 9\ncut = true"},
        {"recipe": "trajectories = 9\nfilter = { min_steps = 4 }"},
        {"spaces": walks.spaces.replace("-1.0, -1.0", "-1.0, -2.0")},
    ]
    digests = set()
    for number, change in enumerate(changes):
        (tmp_path / str(number)).mkdir()
        digests.add(compute_recipe_digest(walks.suite(tmp_path / str(number), **change), "medium"))
    assert len(digests) == len(changes)


@pytest.mark.parametrize(
    ("name", "version", "suite_digest", "medium"),
    [
        (
            "cheetah-vel",
            1,
            "sha256:50c7637ce8544589eb8df2d346798465ee89cefa18fbf477cd659a8b430ba710",
            "sha256:58929d31c4a49669c7fb4c98c070d23c5e87b7a159643aaa8e78be122fc8a34d",
        ),
        (
            "point-robot",
            1,
            "sha256:8752094f45b2130ed043bea686b0cc977c473edb236c4584523cf388a843937f",
            "sha256:fbf2156edd1255712220db5fb4b4cdf18668a6af574bb6e01bbbea55c458be13",
        ),
        (
            "point-robot",
            2,
            "sha256:08bbb5407302c9657e2d4a539806c3594ba4f9f11b99895859880b946d47ef84",
            "sha256:80d39f306d5848d1d1c172319aafe50d5f171a959a47e002738e7f28f444af69",
        ),
    ],
)
def test_digests_of_suites_that_are_rolled_out_stay_what_they_were(
    name: str, version: int, suite_digest: str, medium: str
) -> None:
    """Published records and built data name them: of archived versions, too."""
    suite = load_named_suite(name, version)
    assert suite.digest == suite_digest
    assert compute_recipe_digest(suite, "medium") == medium
