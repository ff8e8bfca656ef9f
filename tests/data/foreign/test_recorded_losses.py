"""What a suite of recorded data leaves out is said: cut episodes, clipped actions, success that only some tell."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box
from gymnasium.wrappers import RecordEpisodeStatistics, RescaleAction

from metabench import build_data, load_suite
from metabench.cli import main
from metabench.data.foreign.suite_from_minari import suite_from_minari
from metabench.data.storage.minari_files import METADATA_FILE
from metabench.data.storage.store import open_store
from metabench.suites import Suite
from metabench.system.home import minari_root

CUT = "12 of 12 episodes are longer than the horizon of 5: 36 of 96 transitions are cut off"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    printed = capsys.readouterr()
    assert not ended.value.code, printed.err
    return printed.out, " ".join(printed.err.split())


def test_a_cut_is_said_by_all_that_make_or_show_it(
    walks: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for task, name in enumerate(walks.names):
        walks.record(name, [walks.episode(10 * task + n, 8) for n in range(4)])
        path = minari_root() / name / METADATA_FILE
        path.write_text(json.dumps({**json.loads(path.read_text()), "horizon": 5}))
    monkeypatch.chdir(tmp_path)
    _, told = run(capsys, "suite", "from-minari", *walks.names[:2], "--test", walks.names[2])
    cut = "4 of 4 episodes are longer than the horizon of 5: 12 of 32 transitions are cut off"
    assert [f"warning Minari dataset '{name}': {cut}" in told for name in walks.names] == [True] * 3
    assert f"cut = true  # {CUT}" in Path("walks/suite.toml").read_text()
    _, told = run(capsys, "data", "build", "./walks")
    assert told == f"warning medium of walks-v1: {CUT}"
    out, _ = run(capsys, "data", "show", "./walks", "medium")
    assert CUT in " ".join(out.split())
    out, _ = run(capsys, "data", "show", "./walks", "medium", "--json")
    assert json.loads(out)["notes"] == [CUT]


def test_clipped_actions_are_counted(walks: SimpleNamespace, tmp_path: Path) -> None:
    actions = np.zeros((6, 2))
    actions[1:3, 0] = 1.25, -1.5
    loose = [walks.episode(n, actions=actions if n == 1 else np.zeros((6, 2))) for n in range(4)]
    for name in walks.names:
        # Minari itself refuses to write such actions, but not to read them.
        walks.record(name, loose, action_space=Box(-9.0, 9.0, (2,), np.float64))
        path = minari_root() / name / METADATA_FILE
        path.write_text(path.read_text().replace("9.0", "1.0"))
    note = "2 of 24 transitions have an action out of bounds, by up to 0.5: it is clipped"
    with pytest.warns(UserWarning, match=f"Minari dataset 'walks/b-v0': {note}"):
        folder = suite_from_minari(walks.names[:2], walks.names[2:], name="clips", out=tmp_path / "clips")
    note = note.replace("2 of 24", "6 of 72")
    assert f"clip = true  # {note}" in (folder / "suite.toml").read_text()
    with pytest.warns(UserWarning, match=note):
        build_data(load_suite(folder), "medium")


@pytest.mark.parametrize("key", ["success", "is_success", "goal_achieved"])
def test_success_is_found_by_its_names(walks: SimpleNamespace, tmp_path: Path, key: str) -> None:
    won = np.arange(6) % 2 == 0
    for name in walks.names:
        walks.record(name, [walks.episode(n, infos={key: won.astype(np.float32)}) for n in range(4)])
    suite = walks.suite(tmp_path)
    build_data(suite, "medium")
    np.testing.assert_array_equal(open_store(suite, "medium").trajectories.success, np.tile(won, 12))


def test_an_episode_without_success_is_counted(walks: SimpleNamespace, tmp_path: Path) -> None:
    won = {"is_success": np.ones(6, bool)}
    for task, name in enumerate(walks.names):
        walks.record(name, [walks.episode(n, infos={} if (task, n) == (1, 2) else won) for n in range(4)])
    suite: Suite = walks.suite(tmp_path)
    with pytest.warns(UserWarning, match="success is left out: 1 of 12 episodes do not tell it"):
        build_data(suite, "medium")
    assert open_store(suite, "medium").trajectories.success is None
    with pytest.warns(UserWarning, match="'walks/b-v0': 1 of 4 episodes do not tell success: it is left out"):
        suite_from_minari(walks.names[:2], walks.names[2:], name="again", out=tmp_path / "again")


class Counted(gymnasium.Env):
    """Tells success as gymnasium_robotics does."""

    observation_space = Box(-np.inf, np.inf, (3,), np.float64)
    action_space = Box(-1.0, 1.0, (2,), np.float64)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(3), {}

    def step(self, action):
        return np.zeros(3), 0.0, False, False, {"is_success": np.float32(action[0] > 0)}


def test_an_environments_success_is_found_as_well(walks: SimpleNamespace, tmp_path: Path) -> None:
    gymnasium.register("tests/Counted-v0", Counted)
    try:
        suite = walks.suite(tmp_path)
        environment = suite.environment()
        environment.reset([{"environment": "tests/Counted-v0"}] * 2, [0, 1])
        assert environment.step(np.array([[0.5, 0.0], [-0.5, 0.0]], np.float32)).success.tolist() == [True, False]
    finally:
        del gymnasium.registry["tests/Counted-v0"]


def record_wrapped(record: Callable[..., None], name: str, wrap: Callable[[gymnasium.Env], gymnasium.Env]) -> None:
    """Four short episodes of Pendulum; the dataset says of its environment what Minari would."""
    env = wrap(gymnasium.make("Pendulum-v1"))
    generator = np.random.default_rng(0)
    episodes = [
        {
            "observations": generator.normal(size=(7, 3)),
            "actions": generator.uniform(-1, 1, (6, 1)),
            "rewards": generator.normal(size=6),
            "terminations": np.zeros(6, bool),
            "truncations": np.arange(6) == 5,
        }
        for _ in range(4)
    ]
    record(name, episodes, env=env)


def monitor(env: gymnasium.Env) -> gymnasium.Env:
    """What Stable-Baselines3 wraps around every environment."""
    kind = type("Monitor", (gymnasium.Wrapper,), {"__module__": "stable_baselines3.common.monitor"})
    return kind(env)


@pytest.mark.parametrize(("wrap", "name"), [(RecordEpisodeStatistics, "RecordEpisodeStatistics"), (monitor, "Monitor")])
def test_wrappers_that_only_look_on_are_left_out(
    record: Callable[..., None], tmp_path: Path, wrap: Callable, name: str
) -> None:
    names = [f"swing/{letter}-v0" for letter in "abc"]
    for each in names:
        record_wrapped(record, each, wrap)
    with pytest.warns(UserWarning, match=f"'swing/a-v0': its environment's wrapper {name} only looks on"):
        folder = suite_from_minari(names[:2], names[2:], name="swing", out=tmp_path / "swing")
    suite = load_suite(folder)
    assert [task.parameters for task in suite.tasks] == [{"environment": "Pendulum-v1"}] * 3
    suite.check_available()


def scale(env: gymnasium.Env) -> gymnasium.Env:
    return RescaleAction(env, -1.0, 1.0)


def counterfeit(env: gymnasium.Env) -> gymnasium.Env:
    """Called as one that looks on, and from elsewhere."""
    content = {"__module__": "mine.wrappers", "reward": lambda _, reward: reward / 2}
    return type("Monitor", (gymnasium.RewardWrapper,), content)(env)


@pytest.mark.parametrize(("wrap", "name"), [(scale, "RescaleAction"), (counterfeit, "Monitor")])
def test_wrappers_that_change_something_are_refused_by_name(
    record: Callable[..., None], tmp_path: Path, wrap: Callable, name: str
) -> None:
    names = [f"swing/{letter}-v0" for letter in "abc"]
    for each in names:
        record_wrapped(record, each, wrap)
    folder = suite_from_minari(names[:2], names[2:], name="swing", out=tmp_path / "swing")
    assert {tuple(task.parameters) for task in load_suite(folder).tasks} == {("recorded",)}
    assert f"'Pendulum-v1' is wrapped in {name}, which may change" in (folder / "suite.toml").read_text()
