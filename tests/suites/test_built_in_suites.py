"""The suites that metabench ships: their splits, numbers and references."""

import re

import numpy as np
import pytest

from metabench import load_suite
from metabench.data.making.references import measure_references
from metabench.data.making.roll_out import roll_out
from metabench.errors import UnknownNameError
from metabench.seeding import derive_seed
from metabench.suites import list_suites
from metabench.suites.archive import read_archived
from metabench.suites.gymnasium_ids import name_gymnasium_id
from metabench.suites.task_distribution import draw_task

POINT_ROBOT = "point-robot"


def goals(split: str) -> np.ndarray:
    return np.array([task.parameters["goal"] for task in load_suite(POINT_ROBOT).split(split)])


@pytest.mark.parametrize("name", list_suites())
def test_every_suite_validates_and_has_a_card(name: str) -> None:
    suite = load_suite(name)
    assert suite.name == name
    assert {"train", "test"} <= set(suite.splits)
    card = (suite.folder / "README.md").read_text(encoding="utf-8")
    assert card.startswith(f"# {name}")
    assert {"random", "medium", "expert"} <= set(suite.entry.datasets)
    for dataset in suite.entry.datasets:
        assert f"`{dataset}`" in card, f"the card of {name} does not describe {dataset}"
    told = re.findall(r'gym\.make\("metabench:(.*?)"', card)
    assert set(told) <= {name_gymnasium_id(name, suite.entry.version)}
    for split in suite.splits:
        counts = re.findall(rf"^\| `{split}` \| (\d+)(?= \||, \d+ of| \(|: \d+ goals)", card, flags=re.MULTILINE)
        ids = [str(suite.split(split)[0].id)]  # cards of a task or two list ids
        assert {*counts} <= {str(len(suite.split(split))), *(ids if len(suite.split(split)) == 1 else [])}


@pytest.mark.parametrize("name", list_suites())
def test_splits_are_disjoint(name: str) -> None:
    suite = load_suite(name)
    parameters = {split: {repr(task.parameters) for task in suite.split(split)} for split in suite.splits}
    for split, mine in parameters.items():
        assert len(mine) == len(suite.split(split)), f"a task of {split} is there twice"
        for other, theirs in parameters.items():
            assert split == other or (mine == theirs if suite.entry.seen_tasks else not mine & theirs)


@pytest.mark.parametrize("name", list_suites())
def test_at_least_a_tenth_of_the_training_tasks_validate(name: str) -> None:
    suite = load_suite(name)
    training = suite.split("train")
    count = sum(task.validation for task in training)
    if suite.entry.seen_tasks:
        assert count == 0  # all directions are in use: trajectories are held out instead
        return
    assert 1 <= count < len(training)
    assert count >= len(training) // 10


def test_the_suites_of_seen_tasks_say_so() -> None:
    single = ["cartpole", "grid-world", "mountain-car", "pendulum", "simple-env"]
    seen = [name for name in list_suites() if load_suite(name).entry.seen_tasks]
    assert seen == sorted(["cheetah-dir", *single])


def test_point_robot_counts_and_regions() -> None:
    assert [len(goals(split)) for split in ("train", "test", "test-far")] == [45, 30, 10]
    plain = {"random", "medium", "expert", "mixed", "replay"}
    assert set(load_suite(POINT_ROBOT).entry.datasets) == {*plain, "histories", "expert-actions"}
    assert np.abs(goals("train")).max() < 1
    assert np.abs(goals("test")).max() < 1
    assert (np.abs(goals("test-far")).max(axis=1) > 1).all()
    np.testing.assert_allclose(np.linalg.norm(goals("test-far"), axis=1), 1.5, atol=1e-3)


@pytest.mark.parametrize("name", ["tiny", "tiny-discrete"])
def test_references_are_what_measuring_gives(name: str) -> None:
    suite = load_suite(name)
    stated = {task.id: {"reference": task.reference.model_dump(exclude_none=True)} for task in suite.tasks}
    assert measure_references(suite, behaviours=list(stated[0]["reference"])) == stated


def test_references_agree_with_fresh_episodes_within_standard_error() -> None:
    suite, episodes, published = load_suite(POINT_ROBOT), 100, 500
    tasks = np.repeat([task.id for task in suite.tasks], episodes).tolist()
    for behaviour in ("random", "expert"):
        seeds = [derive_seed("fresh", behaviour, i) for i in range(len(tasks))]
        columns = roll_out(suite, tasks, [behaviour] * len(tasks), seeds).columns
        returns = columns.rewards.reshape(len(suite.tasks), episodes, suite.entry.horizon).sum(axis=2, dtype=float)
        references = np.array([getattr(task.reference, behaviour) for task in suite.tasks])
        error = returns.std(axis=1, ddof=1) * np.sqrt(1 / episodes + 1 / published)
        z = (returns.mean(axis=1) - references) / error
        assert np.abs(z).max() < 4.5
        assert np.mean(z**2) < 2


def test_normalised_scores_put_the_references_at_0_and_100() -> None:
    suite = load_suite(POINT_ROBOT)
    ids = [task.id for task in suite.tasks]
    np.testing.assert_allclose(suite.normalised(ids, [task.reference.random for task in suite.tasks]), 0)
    np.testing.assert_allclose(suite.normalised(ids, [task.reference.expert for task in suite.tasks]), 100)


def test_unknown_names_give_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown suite 'point-robto'; did you mean 'point-robot'\?"):
        load_suite("point-robto")
    with pytest.raises(UnknownNameError, match=r"unknown dataset of suite tiny 'meduim'; did you mean 'medium'\?"):
        load_suite("tiny").dataset("meduim")
    with pytest.raises(UnknownNameError, match=r"unknown split of suite tiny 'tets'; did you mean 'test'\?"):
        load_suite("tiny").split("tets")


DRAWN = re.compile(r"default_rng\((\[2, \d\])\).*?rounded to (\d) decimals", re.DOTALL)
"""In the head of a suite.toml: how the tasks were drawn that version 2 has more than version 1."""


@pytest.mark.parametrize("name", [name for name in list_suites() if not load_suite(name).entry.internal])
def test_the_tasks_that_version_2_added_are_the_documented_draws(name: str) -> None:
    suite = load_suite(name)
    if suite.entry.version < 2:
        return
    text = (suite.folder / "suite.toml").read_text(encoding="utf-8").partition("format = 1")[0]
    if "default_rng" not in text:
        assert suite.entry.family == "meta-world" or suite.entry.seen_tasks or name == "pointmaze"
        return
    if "healthy" in suite.entry.family:  # tests/envs/test_locomotion_tasks.py
        return
    before = read_archived(suite.folder, 1)
    for number, split in enumerate(("test", "test-far")):
        kept = before.split(split, allow_empty=True)
        tasks = suite.split(split, allow_empty=True)
        assert len(tasks) == ({"test": 30, "test-far": 10}[split] if kept else 0)
        generator = np.random.default_rng([2, number])
        for turn, task in enumerate(tasks[len(kept) :]):
            drawn = draw_task(suite.entry.task_distribution[split], turn, generator)
            for key, value in drawn.items():
                found, expected = np.array(task.parameters[key]), np.array(value)
                if "the sign is" in text and key in ("force", "gain"):
                    assert (found < 0) == task.id % 2
                    found, expected = abs(found), abs(expected)
                np.testing.assert_allclose(found, expected, atol=0.5001 * 10 ** -int(DRAWN.search(text)[2]))
        for old, new in zip(kept, tasks, strict=False):
            assert {key: new.parameters[key] for key in old.parameters} == old.parameters


@pytest.mark.parametrize("name", [name for name in list_suites() if not load_suite(name).entry.internal])
def test_quotas_are_the_protocols(name: str) -> None:
    suite = load_suite(name)
    quota, short = suite.entry.evaluation, suite.entry.horizon <= 50
    assert quota.few_shot == ((1, 3, 5, 20) if short else (1, 3, 5))
    few_tasks = len(suite.split("test")) < 5 and not short
    assert (quota.episodes, quota.supports) == ((20, 4) if few_tasks else (5, 5) if short else (2, 2))


@pytest.mark.parametrize("suite", list_suites())
@pytest.mark.parametrize("huge", [10**400, -(10**400)])
def test_a_parameter_that_no_simulator_can_hold_is_refused(suite, huge):
    """A suite.toml may hold integers that no float holds: they end in a line, not in a traceback."""
    loaded = load_suite(suite)
    for key, value in loaded.tasks[0].parameters.items():
        if isinstance(value, list | tuple):
            first = [huge, *value[0][1:]] if isinstance(value[0], list | tuple) else huge
            parameters = {**loaded.tasks[0].parameters, key: [first, *value[1:]]}
        elif isinstance(value, int | float):
            parameters = {**loaded.tasks[0].parameters, key: huge}
        else:
            continue
        with pytest.raises(ValueError, match=r"\A[^\n]+\Z"):
            loaded.family.check_parameters(parameters)
