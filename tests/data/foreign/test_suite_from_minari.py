"""`metabench suite from-minari`: what it writes is a suite that runs; what does not agree is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import minari
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict

from metabench import MetabenchError, load_suite
from metabench.cli import main
from metabench.data.foreign.suite_from_minari import suite_from_minari
from metabench.data.making.build import build_data
from metabench.data.making.references import measure_references
from metabench.data.storage.store import open_store
from metabench.runs.kept.record import read_record


def metadata_of(folders: Path, name: str, **changes: Any) -> dict[str, Any]:
    """The metadata of a Minari dataset, after changes."""
    path = folders / "minari" / name / "data" / "metadata.json"
    content = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps(content))
    return content


@pytest.fixture
def pendulums(record_random: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Pendulums of different gravity; the working folder is `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    names = [f"pendulums/g{g}-v0" for g in (8, 9, 10, 11)]
    for name, g in zip(names, (8.0, 9.0, 10.0, 11.0), strict=True):
        record_random(name, "Pendulum-v1", episodes=3, g=g)
    return names


def test_the_suite_says_what_the_datasets_say(pendulums: list[str]) -> None:
    folder = suite_from_minari(pendulums[:3], pendulums[3:])
    assert folder == Path("pendulums")
    suite = load_suite("./pendulums")
    assert suite.entry.family == "gymnasium"
    assert suite.spaces.horizon == 200
    assert (suite.spaces.observation_dim, suite.spaces.action_low, suite.spaces.action_high) == (3, (-2.0,), (2.0,))
    assert [task.parameters for task in suite.tasks] == [
        {"environment": "Pendulum-v1", "arguments": {"g": g}} for g in (8.0, 9.0, 10.0, 11.0)
    ]
    assert [(task.split, task.validation) for task in suite.tasks] == [
        ("train", True),
        ("train", False),
        ("train", False),
        ("test", False),
    ]
    assert suite.dataset("medium").minari == dict(enumerate(pendulums))
    assert not (suite.dataset("medium").cut or suite.dataset("medium").clip)
    for task, name in zip(suite.tasks, pendulums, strict=True):
        returns = [episode.rewards.astype(np.float32).sum(dtype=float) for episode in minari.load_dataset(name)]
        assert task.reference.random == pytest.approx(min(returns))
        assert task.reference.expert == pytest.approx(max(returns))
    assert "lowest and highest return in the dataset" in (folder / "suite.toml").read_text()
    assert "`pendulums/g11-v0`" in (folder / "README.md").read_text()


def test_its_data_lead_to_its_observations(pendulums: list[str]) -> None:
    """The environment that the suite names is the one that the data are of."""
    suite = load_suite(suite_from_minari(pendulums[:3], pendulums[3:]).resolve())
    build_data(suite, "medium")
    columns = open_store(suite, "medium").trajectories.columns
    environment = suite.environment()
    environment.reset([task.parameters for task in suite.tasks], [0] * 4)
    episodes = [int(np.flatnonzero(columns.tasks == task.id)[0]) for task in suite.tasks]
    rows = columns.offsets[episodes]
    np.testing.assert_array_equal(  # seed 0 is that of the first recorded episode
        environment.reset([task.parameters for task in suite.tasks], [0] * 4), columns.observations[rows + episodes]
    )
    for step in range(30):
        outcome = environment.step(columns.actions[rows + step])
        np.testing.assert_allclose(outcome.reward, columns.rewards[rows + step], rtol=1e-5)
        np.testing.assert_allclose(outcome.observation, columns.observations[rows + episodes + step + 1], atol=1e-5)


@pytest.mark.slow
def test_from_datasets_to_scores(pendulums: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        printed = capsys.readouterr()
        assert not caught.value.code, printed.err
        return printed.out

    made = run("suite", "from-minari", *pendulums[:3], "--test", pendulums[3], "--name", "swing", "--horizon", "12")
    assert "wrote swing: 4 tasks, horizon 12" in made
    following = [line.removeprefix("next: metabench ").split() for line in made.splitlines() if line.startswith("next")]
    assert [command[:2] for command in following] == [["data", "build"], ["run", "./swing"]]
    text = Path("swing/suite.toml").read_text()
    assert "cut = true" in text
    Path("swing/suite.toml").write_text(text.replace("episodes = 20", "episodes = 4"))
    assert "built swing-v1 medium-v1" in run(*following[0])
    shown = run("data", "show", "./swing", "medium")
    assert "12" in shown
    assert run("data", "show", "./swing", "--dataset", "medium") == run("data", "show", "./swing") == shown
    assert "4 tasks recorded in Minari datasets" in run("describe", "./swing")
    table = run(*following[1], "--track", "zero-shot,logged-shot")
    assert "cells: 2 done, 0 skipped, 0 failed" in table
    assert "outdated" not in table
    assert "2 skipped" in run(*following[1], "--track", "zero-shot,logged-shot")
    (record,) = Path("results").rglob("swing-v1/medium/bc/*/0.json.gz")
    blocks = read_record(record).result.blocks
    assert [(block.track, len(block.rows)) for block in blocks] == [("zero-shot", 4), ("logged-shot", 4)]


def test_a_dataset_of_other_spaces_is_refused(pendulums: list[str], record_random: Callable[..., None]) -> None:
    record_random("other/mountain-v0", "MountainCarContinuous-v0", episodes=1, max_episode_steps=5)
    with pytest.raises(
        MetabenchError, match=r"'other/mountain-v0': observation space: expected 3 numbers, found Box.*g8"
    ):
        suite_from_minari(pendulums[:2], ["other/mountain-v0"], name="swing")
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("limits", "horizon", "expected"),
    [
        ([50, 50, None], None, 50),
        ([None, None, None], None, 6),
        ([50, 60, 50], None, "'walks/b-v0': its horizon is 60, that of 'walks/a-v0' is 50; choose with --horizon"),
        ([50, 60, 50], 9, 9),
        ([10**6] * 3, None, "'walks/a-v0': its horizon is 1000000, the longest episode has 6 steps; choose"),
    ],
)
def test_the_horizon(
    walks: SimpleNamespace, folders: Path, tmp_path: Path, limits: list, horizon: int | None, expected: int | str
) -> None:
    walks.record_all()
    for name, limit in zip(walks.names, limits, strict=True):
        metadata_of(folders, name, **({} if limit is None else {"horizon": limit}))

    def make() -> Path:
        return suite_from_minari(walks.names[:2], walks.names[2:], out=tmp_path / "walks", horizon=horizon)

    if isinstance(expected, str):
        with pytest.raises(MetabenchError, match=expected):
            make()
        assert list(tmp_path.iterdir()) == []
    else:
        assert load_suite(make()).entry.horizon == expected


def test_datasets_without_environment_can_be_trained_on_only(
    walks: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    walks.record_all()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["suite", "from-minari", *walks.names[:2], "--test", walks.names[2]])
    reason = "task 2: no environment: it is known only from the recorded data 'walks/c-v0'"
    printed = capsys.readouterr().out
    assert f"methods can train on it and predict it, but not act in it: suite walks: {reason}" in printed
    suite = load_suite("./walks")
    assert [task.parameters for task in suite.tasks] == [{"recorded": name} for name in walks.names]
    build_data(suite, "medium")
    with pytest.raises(SystemExit) as caught:
        main(["run", "./walks", "--dataset", "medium", "--method", "bc", "--preset", "tiny"])
    assert caught.value.code == 2
    assert reason in capsys.readouterr().err
    with pytest.raises(MetabenchError, match="suite walks: its references cannot be measured: its family has no"):
        measure_references(suite)


def test_scores_of_the_datasets_are_the_references(walks: SimpleNamespace, folders: Path, tmp_path: Path) -> None:
    walks.record_all()
    metadata_of(folders, walks.names[0], ref_min_score=-3, ref_max_score=7.5)
    metadata_of(folders, walks.names[1], ref_min_score=9.0, ref_max_score=7.5)
    suite = load_suite(suite_from_minari(walks.names[:2], walks.names[2:], out=tmp_path / "strolls"))
    assert (suite.tasks[0].reference.random, suite.tasks[0].reference.expert) == (-3.0, 7.5)
    assert suite.tasks[1].reference.random < 5  # not ordered: those of the data
    text = (tmp_path / "strolls" / "suite.toml").read_text()
    assert text.count("# ref_min_score and ref_max_score of the dataset") == 1


def test_references_are_of_episodes_as_they_are_cut(walks: SimpleNamespace, folders: Path, tmp_path: Path) -> None:
    recorded = walks.record_all()
    metadata_of(folders, walks.names[0], ref_min_score=-3, ref_max_score=7.5)
    suite = load_suite(suite_from_minari(walks.names[:2], walks.names[2:], out=tmp_path / "strolls", horizon=4))
    assert suite.dataset("medium").cut
    for task, episodes in zip(suite.tasks, recorded, strict=True):
        returns = [episode["rewards"][:4].sum() for episode in episodes]
        assert task.reference.random == pytest.approx(min(returns), abs=1e-5)
        assert task.reference.expert == pytest.approx(max(returns), abs=1e-5)


def test_equal_returns_have_no_ends(walks: SimpleNamespace, tmp_path: Path) -> None:
    walks.record_all()
    minari.delete_dataset(walks.names[1])
    walks.record(walks.names[1], [walks.episode(n, rewards=np.ones(6)) for n in range(3)])
    with pytest.raises(MetabenchError, match="'walks/b-v0': all its 3 episodes have the return 6: scores have no ends"):
        suite_from_minari(walks.names[:2], walks.names[2:], out=tmp_path / "walks")
    assert list(tmp_path.iterdir()) == []


def test_entries_of_observations_can_be_hidden(walks: SimpleNamespace, tmp_path: Path) -> None:
    space = Dict({"place": Box(-9, 9, (3,)), "desired_goal": Box(-9, 9, (2,)), "achieved_goal": Box(-9, 9, (2,))})
    for name in walks.names:
        seen = {key: np.ones((7, *part.shape)) for key, part in space.spaces.items()}
        walks.record(name, [walks.episode(n, observations=seen) for n in range(3)], observation_space=space)
    shown = load_suite(suite_from_minari(walks.names[:2], walks.names[2:], out=tmp_path / "shown"))
    assert shown.entry.spaces.observation_keys == ("achieved_goal", "desired_goal", "place")
    hidden = suite_from_minari(walks.names[:2], walks.names[2:], out=tmp_path / "hidden", hide=["desired_goal"])
    assert load_suite(hidden).entry.spaces.observation_keys == ("achieved_goal", "place")
    assert load_suite(hidden).spaces.observation_dim == 5
    with pytest.raises(MetabenchError, match="'walks/a-v0': --hide: its observations have no entry 'goal'"):
        suite_from_minari(walks.names[:2], walks.names[2:], out=tmp_path / "more", hide=["goal"])


def test_actions_out_of_bounds_and_small_test_data_are_noticed(walks: SimpleNamespace, tmp_path: Path) -> None:
    for number, name in enumerate(walks.names):
        actions = np.full((6, 2), 1.5 if number == 1 else 0.5)
        walks.record(name, [walks.episode(n, actions=actions) for n in range(2)])
    suite = load_suite(suite_from_minari(walks.names[:2], walks.names[2:], out=tmp_path / "walks"))
    assert list(suite.entry.datasets) == ["recorded"]  # two trajectories are no three-shot support
    assert suite.dataset("recorded").clip
    build_data(suite, "recorded")


def spec(**changes: Any) -> str:
    return json.dumps({"id": "Pendulum-v1", "entry_point": "os:system", "kwargs": {}, **changes})


@pytest.mark.parametrize(
    ("env_spec", "note"),
    [
        (spec(), None),
        (spec(kwargs={"render_mode": None}), None),
        (spec(id="Pendulm-v1"), "no environment 'Pendulm-v1' is registered here"),
        (spec(id="os:Pendulum-v1"), "no environment 'os:Pendulum-v1' is registered here"),
        (spec(additional_wrappers=[{"name": "W", "entry_point": "a:b", "kwargs": {}}]), "'Pendulum-v1' is wrapped"),
        (spec(kwargs={"g": {"deep": [None]}}), "an argument of the dataset's environment 'Pendulum-v1' is null"),
        ("[]", "the dataset names no environment"),
        ("{", "the dataset names no environment"),
    ],
)
def test_what_a_dataset_says_of_its_environment(
    walks: SimpleNamespace, folders: Path, tmp_path: Path, env_spec: str, note: str | None
) -> None:
    walks.record_all()
    metadata_of(folders, walks.names[2], env_spec=env_spec)
    folder = suite_from_minari(walks.names[:2], walks.names[2:], out=tmp_path / "walks")
    parameters = load_suite(folder).tasks[2].parameters
    assert parameters == ({"recorded": walks.names[2]} if note else {"environment": "Pendulum-v1"})
    assert note is None or f"{note}" in (folder / "suite.toml").read_text()


def test_tasks_of_one_environment_are_seen_tasks(record_random: Callable[..., None], tmp_path: Path) -> None:
    names = [f"carts/{name}-v0" for name in ("novice", "amateur", "expert")]
    for name in names:
        record_random(name, "CartPole-v1", episodes=3)
    suite = load_suite(suite_from_minari(names[:2], names[2:], out=tmp_path / "carts"))
    assert suite.entry.seen_tasks
    assert not any(task.validation for task in suite.tasks)
    assert suite.spaces.num_actions == 2


@pytest.mark.parametrize(
    ("train", "test", "options", "expected"),
    [
        (["a/x-v0"], ["a/y-v0"], {}, "expected at least two training datasets .* and one after --test, found 1 and 1"),
        (["a/x-v0", "a/y-v0"], [], {}, "expected at least two training datasets .*, found 2 and 0"),
        (["a/x-v0", "a/y-v0"], ["a/x-v0"], {}, "'a/x-v0' is given twice"),
        (["a/x-v0", "a b/y-v0"], ["a/z-v0"], {}, "Minari dataset 'a b/y-v0': expected an id like "),
        (["a/x-v0", "a/y.1-v0"], ["a/z-v0"], {}, "Minari dataset 'a/y.1-v0': expected an id like "),
        (["../x-v0", "../y-v0"], ["../z-v0"], {}, "Minari dataset '../x-v0': expected an id like "),
        (["a/x-v0", "a/y-v0"], ["a/z"], {}, "Minari dataset 'a/z': expected an id like "),
        (["a/x-v0", "a/y-v0"], ["b/z-v0"], {}, "--name: .* found '': the ids share no namespace"),
        (["a/x-v0", "a/y-v0"], ["a/z-v0"], {"name": "Big One"}, "--name: expected a letter, .* found 'Big One'"),
        (["a/x-v0", "a/y-v0"], ["a/z-v0"], {"name": "tiny"}, "--name: 'tiny' is a suite already"),
        (["a/x-v0", "a/y-v0"], ["a/z-v0"], {"name": "one", "out": Path("other")}, "--out other: expected a folder"),
        (["a/x-v0", "a/y-v0"], ["a/z-v0"], {"out": Path("taken")}, "taken exists; choose another"),
        (["a/x-v0", "a/y-v0"], ["a/z-v0"], {}, "Minari dataset 'a/x-v0' is not in .*; add --download to fetch it"),
    ],
)
def test_what_cannot_be_made_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, train: list, test: list, options: dict, expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("taken").mkdir()
    with pytest.raises(MetabenchError, match=expected) as caught:
        suite_from_minari(train, test, **options)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [tmp_path / "taken"]
