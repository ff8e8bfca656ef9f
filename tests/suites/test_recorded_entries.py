"""suite.toml of recorded data and declared spaces: what is valid, what is refused, and suites in folders."""

import shutil
from pathlib import Path

import pytest

from metabench import DataError, load_suite
from metabench.suites import datasets_folder
from metabench.suites.catalogue import describe_suite

HEAD = """
format = 1
name = "cups"
version = 1
title = "Cups"
family = "{family}"
horizon = 6
distribution = "by hand"
{spaces}
[evaluation]
episodes = 2
supports = 2
[datasets.medium]
trajectories = 9
{recipe}
"""
SPACES = "[spaces]\nobservation_dim = 3\nnum_actions = 2\n"
MINARI = 'minari = { 0 = "a/cup-v0", 1 = "b-v1", 2 = "C/d_e/f-g-v12" }'
TASKS = "".join(
    f"""
[[task]]
id = {number}
split = "{split}"
validation = {validation}
parameters = {{ environment = "Cup-v{number}" }}
reference = {{ random = 0.0, expert = 1.0 }}
"""
    for number, (split, validation) in enumerate([("train", "true"), ("train", "false"), ("test", "false")])
)


def write(folder: Path, family: str = "gymnasium", spaces: str = SPACES, recipe: str = MINARI) -> Path:
    (folder / "cups").mkdir()
    text = HEAD.format(family=family, spaces=spaces, recipe=recipe) + TASKS
    (folder / "cups" / "suite.toml").write_text(text)
    return folder / "cups"


def test_a_task_is_mapped_to_a_minari_dataset(tmp_path: Path) -> None:
    suite = load_suite(write(tmp_path))
    recipe = suite.dataset("medium")
    assert recipe.minari == {0: "a/cup-v0", 1: "b-v1", 2: "C/d_e/f-g-v12"}
    assert recipe.behaviours == {"recorded": 1.0}
    assert (suite.spaces.observation_dim, suite.spaces.num_actions, suite.spaces.horizon) == (3, 2, 6)
    assert describe_suite(suite)["datasets"]["medium"]["behaviours"] == {"recorded": 1.0}


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        (MINARI.replace("a/cup-v0", "a/cup.v0"), "datasets.medium.minari.0: String should match pattern.*'a/cup.v0'"),
        (MINARI.replace("a/cup-v0", "a cup-v0"), "datasets.medium.minari.0: String should match pattern.*'a cup-v0'"),
        (MINARI.replace("a/cup-v0", "../cup-v0"), "datasets.medium.minari.0: String should match pattern"),
        (MINARI.replace("a/cup-v0", "/cup-v0"), "datasets.medium.minari.0: String should match pattern"),
        (MINARI.replace("a/cup-v0", "a/cup"), "datasets.medium.minari.0: String should match pattern"),
        (MINARI.replace('1 = "b-v1", ', ""), "datasets.medium.minari must name each task's dataset: task 1 is missing"),
        (MINARI.replace("2 =", "3 ="), "datasets.medium.minari must .*: task 2 is missing"),
        (MINARI.replace(" }", ', 3 = "d-v0" }'), "datasets.medium.minari must .*: task 3 is no task of train, test"),
        (MINARI + "\nbehaviours = { random = 1.0 }", "datasets.medium: expected either behaviours .* found both"),
        ("behaviours = { random = 1.0 }\ncut = true", "datasets.medium: cut is for recorded trajectories"),
        ("behaviours = { random = 1.0 }\nfilter = { min_steps = 1 }", "datasets.medium: filter is for recorded"),
        ("behaviours = { recorded = 1.0 }", "datasets.medium.behaviours: unknown behaviour 'recorded'"),
        ("behaviours = { expert = 1.0 }", "datasets.medium.behaviours: unknown behaviour 'expert'"),
        ("", "datasets.medium.behaviours: this key is missing"),
        (MINARI + "\nfilter = { best = 3 }", "datasets.medium.filter.best: .*no such key"),
        (MINARI + "\nfilter = { min_return = nan }", "datasets.medium.filter.min_return: .*finite"),
    ],
)
def test_a_broken_mapping_is_one_line(tmp_path: Path, recipe: str, expected: str) -> None:
    folder = write(tmp_path, recipe=recipe)
    with pytest.raises(DataError, match=expected) as caught:
        load_suite(folder)
    assert str(caught.value).startswith(f"{folder / 'suite.toml'}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("family", "spaces", "expected"),
    [
        ("gymnasium", "", "spaces: family 'gymnasium' needs this table"),
        ("corridor", SPACES, "spaces: family 'corridor' has its own spaces"),
        ("gymnasium", "[spaces]\nobservation_dim = 3\n", "spaces: give either action bounds .* or num_actions"),
        ("gymnasium", SPACES + "action_low = [0.0]\naction_high = [1.0]\n", "spaces: give either action bounds"),
        ("gymnasium", "[spaces]\nobservation_dim = 3\naction_low = [0.0]\naction_high = [0.0]\n", "spaces: action_low"),
        ("gymnasium", SPACES + 'observation_keys = ["a", "a"]\n', "spaces: observation_keys must not name"),
        ("gymnasium", SPACES.replace("3", "0"), "spaces.observation_dim: .*at least 1"),
        ("gymnasium", SPACES + "shape = 3\n", "spaces.shape: .*no such key"),
    ],
)
def test_broken_spaces_are_one_line(tmp_path: Path, family: str, spaces: str, expected: str) -> None:
    with pytest.raises(DataError, match=expected) as caught:
        load_suite(write(tmp_path, family, spaces))
    assert "\n" not in str(caught.value)


def test_spaces_are_part_of_the_suites_digest(tmp_path: Path) -> None:
    suites = []
    for number, spaces in enumerate([SPACES, SPACES, SPACES.replace("num_actions = 2", "num_actions = 4")]):
        (tmp_path / str(number)).mkdir()
        suites.append(load_suite(write(tmp_path / str(number), spaces=spaces)))
    assert suites[0].digest == suites[1].digest != suites[2].digest


def test_a_string_with_a_slash_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert load_suite("./cups").folder == load_suite(str(folder)).folder == folder
    monkeypatch.chdir(folder)
    assert load_suite("./").folder == folder
    with pytest.raises(DataError, match=r"cups/none/suite\.toml: cannot be read"):
        load_suite("./none")


def test_a_suite_says_what_it_is_called_on_the_command_line(tmp_path: Path) -> None:
    shutil.copytree(datasets_folder() / "tiny", tmp_path / "tiny")
    assert load_suite("tiny").argument == "tiny"
    assert load_suite(write(tmp_path)).argument == str(tmp_path / "cups")
    assert load_suite(tmp_path / "tiny").argument == str(tmp_path / "tiny")
