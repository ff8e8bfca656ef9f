"""Datasets of a suite that come from Minari ids: what is stored is what was recorded, and what is odd is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import minari
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete

from metabench import DataError, load_data, load_suite
from metabench.data.build import build_dataset, delete_dataset, verify_dataset
from metabench.data.catalogue import describe_dataset, list_datasets
from metabench.data.manifest import recipe_digest
from metabench.data.store import open_store
from metabench.suites import Suite

NAMES = ("walks/a-v0", "walks/b-v0", "walks/c-v0")
SEEING, ACTING = Box(-np.inf, np.inf, (3,), np.float64), Box(-1.0, 1.0, (2,), np.float64)
PLAIN = "observation_dim = 3\naction_low = [-1.0, -1.0]\naction_high = [1.0, 1.0]"
KEYED = Dict({"goal": Box(-1, 1, (2,)), "place": Box(-1, 1, (3, 1)), "spare": Box(-1, 1, (1,), np.float64)})


def write_suite(folder: Path, spaces: str = PLAIN, recipe: str = "trajectories = 9", horizon: int = 6) -> Suite:
    """Two training tasks and a test task, recorded in `NAMES`."""
    ids = "\n".join(f'{task} = "{name}"' for task, name in enumerate(NAMES))
    text = f"""
format = 1
name = "walks"
version = 1
title = "Walks"
family = "gymnasium"
horizon = {horizon}
distribution = "by hand"
[spaces]
{spaces}
[evaluation]
episodes = 2
supports = 2
[datasets.medium]
{recipe}
[datasets.medium.minari]
{ids}
"""
    for task, (split, validation) in enumerate([("train", "true"), ("train", "false"), ("test", "false")]):
        text += f"""
[[task]]
id = {task}
split = "{split}"
validation = {validation}
parameters = {{ recorded = "{NAMES[task]}" }}
reference = {{ random = 0.0, expert = 10.0 }}
"""
    (folder / "walks").mkdir()
    (folder / "walks" / "suite.toml").write_text(text)
    return load_suite(folder / "walks")


def episode(seed: int, steps: int = 6, ended: str = "truncations", **changes: Any) -> dict[str, Any]:
    generator = np.random.default_rng(seed)
    last = np.arange(steps) == steps - 1
    return {
        "observations": generator.normal(size=(steps + 1, 3)),
        "actions": generator.uniform(-1, 1, (steps, 2)),
        "rewards": generator.normal(size=steps),
        "terminations": last & (ended == "terminations"),
        "truncations": last & (ended == "truncations"),
        **changes,
    }


@pytest.fixture
def recorded(record: Callable[..., None]) -> list[list[dict[str, Any]]]:
    """`NAMES` of the plain spaces: 4 episodes each, of 3, 4, 5 and 6 steps; those of even number are terminated."""
    episodes = [
        [episode(10 * task + n, steps=n + 3, ended=("terminations", "truncations")[n % 2]) for n in range(4)]
        for task in range(3)
    ]
    for name, content in zip(NAMES, episodes, strict=True):
        record(name, content, observation_space=SEEING, action_space=ACTING)
    return episodes


def built(suite: Suite) -> Any:
    build_dataset(suite, "medium")
    return open_store(suite, "medium").trajectories


def test_what_is_stored_is_what_was_recorded(recorded: list, tmp_path: Path) -> None:
    suite = write_suite(tmp_path)
    trajectories = built(suite)
    columns, flat = trajectories.columns, [each for task in recorded for each in task]
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


def test_all_that_can_be_done_with_a_dataset_can_be_done_with_a_recorded_one(recorded: list, tmp_path: Path) -> None:
    suite = write_suite(tmp_path)
    (before,) = list_datasets(suite)
    identity = build_dataset(suite, "medium")
    (after,) = list_datasets(suite)
    assert (before.state, before.trajectories, after.state, after.trajectories) == ("missing", 27, "built", 12)
    assert verify_dataset(suite, "medium") == identity == build_dataset(suite, "medium", force=True)
    described = describe_dataset(suite, "medium")
    assert described.behaviours == {"recorded": 12}
    returns = [sum(each["rewards"]) for each in recorded[2]]
    assert described.splits["test"].mean_return == pytest.approx(np.mean(returns), abs=1e-5)
    copied = minari.load_dataset("metabench/walks/medium-v1")[5]
    np.testing.assert_array_equal(copied.rewards, recorded[1][1]["rewards"].astype(np.float32))
    assert load_data(suite, "medium").num_tasks == 2
    delete_dataset(suite, "medium")
    assert minari.load_dataset(NAMES[0]).total_episodes == 4
    assert list_datasets(suite)[0].state == "missing"


@pytest.mark.parametrize("keys", [("goal", "place"), ("place", "goal"), ("place",), ("spare", "place", "goal")])
def test_dictionaries_are_flattened_in_the_suites_order(record: Callable, tmp_path: Path, keys: tuple) -> None:
    generator = np.random.default_rng(0)
    seen = {key: generator.uniform(-1, 1, (7, *space.shape)) for key, space in KEYED.spaces.items()}
    for name in NAMES:
        record(name, [episode(0, observations=seen)], observation_space=KEYED, action_space=ACTING)
    width = sum(int(np.prod(KEYED[key].shape)) for key in keys)
    spaces = PLAIN.replace("observation_dim = 3", f"observation_dim = {width}\nobservation_keys = {json.dumps(keys)}")
    columns = built(write_suite(tmp_path, spaces)).columns
    expected = np.hstack([seen[key].reshape(7, -1) for key in keys]).astype(np.float32)
    np.testing.assert_array_equal(columns.observations, np.tile(expected, (3, 1)))


def test_discrete_actions_stay_integers(record: Callable, tmp_path: Path) -> None:
    actions = np.array([0, 2, 1, 1, 0, 2])
    for name in NAMES:
        record(name, [episode(0, actions=actions)], observation_space=SEEING, action_space=Discrete(3))
    columns = built(write_suite(tmp_path, "observation_dim = 3\nnum_actions = 3")).columns
    assert columns.actions.dtype == np.int64
    np.testing.assert_array_equal(columns.actions, np.tile(actions, 3))


@pytest.mark.parametrize("before_first_step", [False, True])
def test_success_is_that_after_each_step(record: Callable, tmp_path: Path, before_first_step: bool) -> None:
    success = np.array([False, False, True, False, True, True])
    stored = np.concatenate([[True], success]) if before_first_step else success
    for name in NAMES:
        record(name, [episode(0, infos={"success": stored})], observation_space=SEEING, action_space=ACTING)
    np.testing.assert_array_equal(built(write_suite(tmp_path)).success, np.tile(success, 3))


def test_the_first_that_pass_the_filter_are_taken(record: Callable, tmp_path: Path) -> None:
    rewards = [[1.0] * 6, [5.0], [2.0] * 2, [3.0] * 3, [1.5] * 6, [9.0] * 6]
    successes = [True, True, True, False, True, True]
    episodes = [
        episode(n, len(each), rewards=np.array(each), infos={"success": np.array([won] * len(each))})
        for n, (each, won) in enumerate(zip(rewards, successes, strict=True))
    ]
    for name in NAMES:
        record(name, episodes, observation_space=SEEING, action_space=ACTING)

    def taken(recipe: str) -> list[int]:
        folder = tmp_path / recipe.replace("\n", " ")
        folder.mkdir()
        suite = write_suite(folder, recipe=recipe)
        build_dataset(suite, "medium", force=True)
        trajectories = open_store(suite, "medium").trajectories
        return trajectories.seeds[trajectories.columns.tasks == 0].tolist()

    assert taken("trajectories = 2") == [0, 1]
    assert taken("trajectories = 9\nfilter = { min_return = 6.0 }") == [0, 3, 4, 5]
    assert taken("trajectories = 9\nfilter = { min_return = 6.0, max_return = 10.0 }") == [0, 3, 4]
    assert taken("trajectories = 2\nfilter = { min_steps = 2, success = true }") == [0, 2]
    assert taken("trajectories = 9\nfilter = { success = false }") == [3]


def test_long_episodes_are_cut_where_the_suite_says_so(recorded: list, tmp_path: Path) -> None:
    suite = write_suite(tmp_path, recipe="trajectories = 9\ncut = true", horizon=4)
    columns = built(suite).columns
    np.testing.assert_array_equal(np.diff(columns.offsets), [3, 4, 4, 4] * 3)
    np.testing.assert_array_equal(
        columns.terminated, [True, False, False, False] * 3
    )  # number 2 was cut before its end
    expected = np.concatenate([each["observations"][:5] for each in recorded[0]]).astype(np.float32)
    np.testing.assert_array_equal(columns.observations[: len(expected)], expected)


def test_an_episode_that_was_broken_off_is_not_terminated(record: Callable, tmp_path: Path) -> None:
    for name in NAMES:
        record(name, [episode(0, ended="never")], observation_space=SEEING, action_space=ACTING)
    assert not built(write_suite(tmp_path)).columns.terminated.any()


def test_actions_out_of_bounds_are_clipped_where_the_suite_says_so(record: Callable, tmp_path: Path) -> None:
    actions = np.linspace(-1.5, 1.5, 12).reshape(6, 2)
    for name in NAMES:
        record(name, [episode(0, actions=actions)], observation_space=SEEING, action_space=ACTING)
    columns = built(write_suite(tmp_path, recipe="trajectories = 9\nclip = true")).columns
    np.testing.assert_array_equal(columns.actions, np.tile(actions.clip(-1, 1).astype(np.float32), (3, 1)))


def spoiled(key: str, value: Any) -> dict[str, Any]:
    values = np.array(episode(0)[key], float)
    values[2] = value
    return {key: values}


@pytest.mark.parametrize(
    ("changes", "spaces", "expected"),
    [
        ({}, {"observation_space": Box(-1, 1, (4,))}, "observation space: expected 3 numbers, found Box"),
        ({}, {"observation_space": Box(0, 9, (3,), np.int64)}, "observation space: expected a box of floating-point"),
        ({}, {"observation_space": KEYED}, "observation_keys: expected some of goal, place, spare, found none"),
        (
            {},
            {"action_space": Discrete(2)},
            r"action space: expected 2 coordinates from \[-1.0, -1.0\].* found Discrete",
        ),
        ({}, {"action_space": Box(-2, 2, (2,))}, r"action space: expected 2 coordinates .* found Box\(-2.0, 2.0"),
        ({}, {"action_space": Box(-np.inf, np.inf, (2,))}, "action space: expected finite bounds"),
        (episode(0, steps=7), {}, "episode 0 has 7 steps, more than the horizon of 6; set cut = true"),
        (spoiled("rewards", np.nan), {}, "episode 0: rewards: not finite at step 2"),
        (spoiled("observations", np.inf), {}, "episode 0: observations: not finite at step 2"),
        (spoiled("actions", np.nan), {}, "episode 0: actions: not finite at step 2"),
        (spoiled("actions", 1.25), {}, "episode 0: an action is out of bounds by 0.25; set clip = true"),
        ({"observations": np.zeros((6, 3))}, {}, r"episode 0: observations: expected shape \(7, 3\), found \(6, 3\)"),
        ({"actions": np.zeros((5, 2))}, {}, r"episode 0: actions: expected shape \(6, 2\), found \(5, 2\)"),
        ({"rewards": np.zeros((6, 1))}, {}, r"episode 0: rewards: expected one number a step, found shape \(6, 1\)"),
        ({"terminations": np.arange(6) == 2}, {}, "episode 0: terminations, truncations: the episode goes on after"),
        ({"terminations": np.zeros(6, int)}, {}, "episode 0: terminations: expected 6 truth values, found int64"),
        ({"infos": {"success": np.zeros(3, bool)}}, {}, "episode 0: infos/success: expected 6 truth values"),
    ],
)
def test_what_does_not_fit_is_refused_with_one_line(
    recorded: list, record: Callable, tmp_path: Path, folders: Path, changes: dict, spaces: dict, expected: str
) -> None:
    minari.delete_dataset(NAMES[2])
    record(NAMES[2], [episode(0, **changes)], **{"observation_space": SEEING, "action_space": ACTING, **spaces})
    refused(write_suite(tmp_path), rf"Minari dataset 'walks/c-v0': {expected}", folders)


def refused(suite: Suite, expected: str, folders: Path) -> None:
    with pytest.raises(DataError, match=expected) as caught:
        build_dataset(suite, "medium")
    assert "\n" not in str(caught.value)
    for place in (folders / "home" / "stores" / "walks-v1", folders / "minari" / "metabench" / "walks"):
        assert [path for path in place.iterdir() if not path.name.endswith(".lock")] == []


def test_a_filter_that_leaves_nothing_is_refused(recorded: list, tmp_path: Path, folders: Path) -> None:
    suite = write_suite(tmp_path, recipe="trajectories = 9\nfilter = { min_return = 1e6 }")
    refused(suite, "Minari dataset 'walks/a-v0': none of its 4 episodes passes the filter", folders)


def test_a_filter_for_success_needs_success(recorded: list, tmp_path: Path, folders: Path) -> None:
    suite = write_suite(tmp_path, recipe="trajectories = 9\nfilter = { success = true }")
    refused(suite, "Minari dataset 'walks/a-v0': episode 0 has no infos/success", folders)


def damage_file(data: Path) -> None:
    (data / "main_data.hdf5").write_bytes((data / "main_data.hdf5").read_bytes()[:3000])


def remove_key(data: Path) -> None:
    with h5py.File(data / "main_data.hdf5", "a") as file:
        del file["episode_1/rewards"]


def change_metadata(**changes: Any) -> Callable[[Path], None]:
    def change(data: Path) -> None:
        content = json.loads((data / "metadata.json").read_text())
        content = {key: value for key, value in {**content, **changes}.items() if value is not None}
        (data / "metadata.json").write_text(json.dumps(content))

    return change


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (damage_file, "cannot be read from .*truncated"),
        (remove_key, "cannot be read from .*rewards"),
        (lambda data: (data / "main_data.hdf5").unlink(), "cannot be read from .*No data found"),
        (lambda data: (data / "metadata.json").write_text("{"), "cannot be read from .*Expecting property name"),
        (change_metadata(observation_space=None), "metadata.json: observation_space: expected a space, found None"),
        (change_metadata(action_space=3), "metadata.json: action_space: expected a space, found 3"),
        (change_metadata(total_episodes=9), "cannot be read from .*episode_4"),
        (change_metadata(total_episodes=0), "metadata.json: total_episodes: expected 1 or more, found 0"),
        (change_metadata(minari_version="9.9"), "metadata.json: minari_version: '9.9' is not among"),
        (change_metadata(data_format="tape"), "cannot be read from .*"),
    ],
)
def test_damage_is_named(
    recorded: list, tmp_path: Path, folders: Path, damage: Callable[[Path], Any], expected: str
) -> None:
    damage(folders / "minari" / NAMES[1] / "data")
    refused(write_suite(tmp_path), rf"Minari dataset 'walks/b-v0'.*{expected}", folders)


def test_no_environment_is_made_from_a_datasets_description(
    recorded: list, tmp_path: Path, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "booby_trap.py").write_text("from pathlib import Path\nPath('sprung').touch()\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    spec = {"id": "Trap-v0", "entry_point": "booby_trap:Trap", "kwargs": {}, "additional_wrappers": []}
    data = folders / "minari" / NAMES[0] / "data"
    change_metadata(env_spec=json.dumps(spec), observation_space=None)(data)
    refused(write_suite(tmp_path), "observation_space: expected a space", folders)
    assert not Path("sprung").exists()
    with pytest.raises(AttributeError, match="Trap"):
        minari.load_dataset(NAMES[0])
    assert Path("sprung").exists(), "the trap does not work"


def test_only_download_uses_the_network(
    record: Callable, tmp_path: Path, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def download(name: str) -> None:
        asked.append(name)
        if name == NAMES[2]:
            raise ConnectionError("the line is dead")
        record(name, [episode(0)], observation_space=SEEING, action_space=ACTING)

    monkeypatch.setattr(minari, "download_dataset", download)
    suite = write_suite(tmp_path)
    where = folders / "minari"
    remedy = f"run `metabench data build {suite.folder} --dataset medium --download`"
    refused(suite, f"Minari dataset 'walks/a-v0' is not in {where}; {remedy}", folders)
    assert asked == []
    with pytest.raises(DataError, match="Minari dataset 'walks/c-v0' cannot be downloaded: the line is dead"):
        build_dataset(suite, "medium", download=True)
    assert asked == list(NAMES)
    record(NAMES[2], [episode(0)], observation_space=SEEING, action_space=ACTING)
    build_dataset(suite, "medium", download=True)
    assert asked == list(NAMES)


def test_another_mapping_filter_or_space_is_another_recipe(recorded: list, tmp_path: Path) -> None:
    recipes = ["trajectories = 9", "trajectories = 9\ncut = true", "trajectories = 9\nfilter = { min_steps = 4 }"]
    digests = []
    for number, recipe in enumerate(recipes):
        (tmp_path / str(number)).mkdir()
        digests.append(recipe_digest(write_suite(tmp_path / str(number), recipe=recipe), "medium"))
    assert len(set(digests)) == len(recipes)


@pytest.mark.parametrize(
    ("name", "suite_digest", "medium"),
    [
        (
            "cheetah-vel",
            "sha256:50c7637ce8544589eb8df2d346798465ee89cefa18fbf477cd659a8b430ba710",
            "sha256:58929d31c4a49669c7fb4c98c070d23c5e87b7a159643aaa8e78be122fc8a34d",
        ),
        (
            "point-robot",
            "sha256:8752094f45b2130ed043bea686b0cc977c473edb236c4584523cf388a843937f",
            "sha256:fbf2156edd1255712220db5fb4b4cdf18668a6af574bb6e01bbbea55c458be13",
        ),
    ],
)
def test_digests_of_suites_that_are_rolled_out_stay_what_they_were(name: str, suite_digest: str, medium: str) -> None:
    """Published records and built data name them."""
    assert load_suite(name).digest == suite_digest
    assert recipe_digest(load_suite(name), "medium") == medium
