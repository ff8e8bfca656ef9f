"""The suite `pointmaze` on small local Minari datasets of the form and ids of D4RL's."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict

from metabench import MethodError, load_method, load_suite
from metabench.cli import main
from metabench.data.making.build import build_data
from metabench.data.storage.store import open_store
from metabench.runs.kept.record import read_record

SPACE = Dict(
    {
        "achieved_goal": Box(-np.inf, np.inf, (2,), np.float64),
        "desired_goal": Box(-np.inf, np.inf, (2,), np.float64),
        "observation": Box(-np.inf, np.inf, (4,), np.float64),
    }
)
LENGTHS = (20, 30, 340)


@pytest.fixture
def walked(record: Callable[..., None]) -> dict[int, list[dict[str, Any]]]:
    """Episodes that end, truncated, in success, as D4RL's do; the last is longer than the horizon."""
    generator, episodes = np.random.default_rng(0), {}
    for task, name in load_suite("pointmaze").dataset("d4rl").minari.items():
        episodes[task] = []
        for steps in LENGTHS:
            state = generator.normal(size=(steps + 1, 4))
            last = np.arange(steps) == steps - 1
            goal = np.tile(generator.normal(size=2), (steps + 1, 1))
            episodes[task].append(
                {
                    "observations": {"observation": state, "desired_goal": goal, "achieved_goal": state[:, :2]},
                    "actions": generator.uniform(-1, 1, (steps, 2)).astype(np.float32),
                    "rewards": last.astype(float),
                    "terminations": np.zeros(steps, bool),
                    "truncations": last,
                    "infos": {"success": np.concatenate([[False], last])},
                }
            )
        record(name, episodes[task], observation_space=SPACE, action_space=Box(-1.0, 1.0, (2,)))
    return episodes


def test_the_goal_comes_first_and_long_episodes_are_cut(walked: dict[int, list]) -> None:
    suite = load_suite("pointmaze")
    build_data(suite, "d4rl")
    trajectories = open_store(suite, "d4rl").trajectories
    columns, first = trajectories.columns, walked[0][0]["observations"]
    np.testing.assert_array_equal(np.diff(columns.offsets), [20, 30, 300] * 4)
    expected = np.hstack([first["desired_goal"], first["observation"]]).astype(np.float32)
    np.testing.assert_array_equal(columns.observations[:21], expected)
    assert columns.episode_returns.tolist() == [1.0, 1.0, 0.0] * 4
    assert not columns.terminated.any()
    assert trajectories.success is not None
    assert trajectories.success.sum() == 8


@pytest.mark.slow
def test_a_method_runs_on_it(
    walked: dict[int, list], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("gymnasium_robotics", reason="needs gymnasium-robotics: the extra `robotics`")
    monkeypatch.chdir(tmp_path)
    options = ["--dataset", "d4rl", "--method", "bc", "--preset", "tiny", "--track", "zero-shot"]
    with pytest.raises(SystemExit) as caught:
        main(["run", "pointmaze", *options])
    printed = capsys.readouterr()
    assert not caught.value.code, printed.err
    assert "cells: 1 done" in printed.out
    (record,) = Path("results").rglob("pointmaze-v2/d4rl/bc/*/0.json.gz")
    (block,) = read_record(record).result.blocks
    assert len(block.rows) == 20


def hidden(folder: Path) -> Path:
    """The copy that hides the goal, made as the card says."""
    text = (load_suite("pointmaze").folder / "suite.toml").read_text()
    head, rest = text.split("[datasets.medium]")
    recorded = rest[rest.index("[datasets.d4rl]") :].replace("datasets.d4rl", "datasets.medium")
    text = (head + recorded).replace('name = "pointmaze"', 'name = "hidden"')
    text = text.replace('"desired_goal", ', "").replace("observation_dim = 6", "observation_dim = 4")
    (folder / "hidden").mkdir()
    (folder / "hidden" / "suite.toml").write_text(text)
    return folder / "hidden"


def test_the_card_says_how_to_hide_the_goal(walked: dict[int, list], tmp_path: Path) -> None:
    suite = load_suite(hidden(tmp_path))
    build_data(suite, "medium")
    columns = open_store(suite, "medium").trajectories.columns
    np.testing.assert_array_equal(columns.observations[:21], walked[0][0]["observations"]["observation"].astype("f4"))


def test_where_the_goal_is_hidden_there_is_no_teacher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = hidden(tmp_path)
    with pytest.raises(SystemExit):
        main(["data", "references", str(folder)])
    assert "suite hidden: its references cannot be measured: its family has no teacher" in capsys.readouterr().err
    monkeypatch.setattr("metabench.suites.registry.suite_folder", {"hidden": folder}.__getitem__)
    data = type("Data", (), {"suite_name": "hidden"})()
    with pytest.raises(MethodError, match="teacher: suite 'hidden' has no teacher"):
        load_method("teacher").train(data, None)  # type: ignore[arg-type]
