"""Minari datasets are read with suspicion: what does not fit is refused with one line, and nothing is left behind."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import minari
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete

from metabench import DataError
from metabench.data.making.build import build_data
from metabench.suites import Suite


def refused(suite: Suite, expected: str, folders: Path) -> None:
    with pytest.raises(DataError, match=expected) as caught:
        build_data(suite, "medium")
    assert "\n" not in str(caught.value)
    for place in (folders / "home" / "stores" / "walks-v1", folders / "minari" / "metabench" / "walks"):
        assert [path for path in place.iterdir() if not path.name.endswith(".lock")] == []


def with_third(value: Any, steps: int = 6, width: int = 2) -> np.ndarray:
    """Zeros but for one row."""
    values = np.zeros((steps, width) if width else steps)
    values[2] = value
    return values


@pytest.mark.parametrize(
    ("changes", "spaces", "expected"),
    [
        ({}, {"observation_space": Box(-1, 1, (4,))}, "observation space: expected 3 numbers, found Box"),
        ({}, {"observation_space": Box(0, 9, (3,), np.int64)}, "observation space: expected a box of floating-point"),
        ({}, {"observation_space": Dict({"a": Box(-1, 1)})}, "observation_keys: expected some of a, found none"),
        (
            {},
            {"action_space": Discrete(2)},
            r"action space: expected 2 coordinates from \[-1.0, -1.0\].* found Discrete",
        ),
        ({}, {"action_space": Box(-2, 2, (2,))}, r"action space: expected 2 coordinates .* found Box\(-2.0, 2.0"),
        ({}, {"action_space": Box(-np.inf, np.inf, (2,))}, "action space: expected finite bounds"),
        ({"steps": 7}, {}, "episode 0 has 7 steps, more than the horizon of 6; set cut = true"),
        ({"rewards": with_third(np.nan, width=0)}, {}, "episode 0: rewards: not finite at step 2"),
        ({"observations": with_third(np.inf, 7, 3)}, {}, "episode 0: observations: not finite at step 2"),
        ({"observations": with_third(1e300, 7, 3)}, {}, "episode 0: observations: not finite at step 2"),
        ({"actions": with_third(np.nan)}, {}, "episode 0: actions: not finite at step 2"),
        ({"actions": with_third(1.25)}, {}, "episode 0: an action is out of bounds by 0.25; set clip = true"),
        ({"observations": np.zeros((6, 3))}, {}, r"episode 0: observations: expected shape \(7, 3\), found \(6, 3\)"),
        ({"actions": np.zeros((5, 2))}, {}, r"episode 0: actions: expected shape \(6, 2\), found \(5, 2\)"),
        ({"rewards": np.zeros((6, 1))}, {}, r"episode 0: rewards: expected one number a step, found shape \(6, 1\)"),
        ({"terminations": np.arange(6) == 2}, {}, "episode 0: terminations, truncations: the episode goes on after"),
        ({"terminations": np.zeros(6, int)}, {}, "episode 0: terminations: expected 6 truth values, found int64"),
        ({"infos": {"success": np.zeros(3, bool)}}, {}, "episode 0: infos/success: expected 6 truth values"),
    ],
)
def test_what_does_not_fit_is_refused_with_one_line(
    walks: SimpleNamespace, tmp_path: Path, folders: Path, changes: dict, spaces: dict, expected: str
) -> None:
    for name in walks.names[:2]:
        walks.record(name, [walks.episode(0)])
    walks.record(walks.names[2], [walks.episode(0, **changes)], **spaces)
    refused(walks.suite(tmp_path), rf"Minari dataset 'walks/c-v0': {expected}", folders)


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        (np.array([0, 1, 2, 3, 0, 0]), "actions: expected 0 to 2, found 0 to 3"),
        (np.array([0, 1, -1, 0, 0, 0]), "actions: expected 0 to 2, found -1 to 1"),
        (np.zeros(6), "actions: expected 6 integers, found float64"),
    ],
)
def test_discrete_actions_are_checked(
    walks: SimpleNamespace, tmp_path: Path, folders: Path, actions: np.ndarray, expected: str
) -> None:
    for name in walks.names:
        walks.record(name, [walks.episode(0, actions=actions)], action_space=Discrete(3))
    suite = walks.suite(tmp_path, "observation_dim = 3\nnum_actions = 3")
    refused(suite, f"Minari dataset 'walks/a-v0': episode 0: {expected}", folders)


def test_a_filter_that_leaves_nothing_is_refused(walks: SimpleNamespace, tmp_path: Path, folders: Path) -> None:
    walks.record_all()
    suite = walks.suite(tmp_path, recipe="trajectories = 9\nfilter = { min_return = 1e6 }")
    refused(suite, "Minari dataset 'walks/a-v0': none of its 4 episodes passes the filter", folders)


def test_a_filter_for_success_needs_success(walks: SimpleNamespace, tmp_path: Path, folders: Path) -> None:
    walks.record_all()
    suite = walks.suite(tmp_path, recipe="trajectories = 9\nfilter = { success = true }")
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
    walks: SimpleNamespace, tmp_path: Path, folders: Path, damage: Callable[[Path], Any], expected: str
) -> None:
    walks.record_all()
    damage(folders / "minari" / walks.names[1] / "data")
    refused(walks.suite(tmp_path), rf"Minari dataset 'walks/b-v0'.*{expected}", folders)


def test_no_environment_is_made_from_a_datasets_description(
    walks: SimpleNamespace, tmp_path: Path, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walks.record_all()
    (tmp_path / "booby_trap.py").write_text("from pathlib import Path\nPath('sprung').touch()\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    spec = {"id": "Trap-v0", "entry_point": "booby_trap:Trap", "kwargs": {}, "additional_wrappers": []}
    data = folders / "minari" / walks.names[0] / "data"
    change_metadata(env_spec=json.dumps(spec), observation_space=None)(data)
    refused(walks.suite(tmp_path), "observation_space: expected a space", folders)
    assert not Path("sprung").exists()
    with pytest.raises(AttributeError, match="Trap"):
        minari.load_dataset(walks.names[0])
    assert Path("sprung").exists(), "the trap does not work"


def test_only_download_uses_the_network(
    walks: SimpleNamespace, tmp_path: Path, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def download(name: str) -> None:
        asked.append(name)
        if name == walks.names[2]:
            raise ConnectionError("the line is dead")
        walks.record(name, [walks.episode(0)])

    monkeypatch.setattr(minari, "download_dataset", download)
    suite = walks.suite(tmp_path)
    where = folders / "minari"
    remedy = f"run `metabench data build {suite.folder} --dataset medium --download`"
    refused(suite, f"Minari dataset 'walks/a-v0' is not in {where}; {remedy}", folders)
    assert asked == []
    with pytest.raises(DataError, match="Minari dataset 'walks/c-v0' cannot be downloaded: the line is dead"):
        build_data(suite, "medium", download=True)
    assert asked == list(walks.names)
    walks.record(walks.names[2], [walks.episode(0)])
    build_data(suite, "medium", download=True)
    assert asked == list(walks.names)
