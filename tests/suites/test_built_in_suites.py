"""The suites that metabench ships: their splits, numbers and references."""

import numpy as np
import pytest

from metabench import load_suite
from metabench.data.making.references import measure_references
from metabench.data.making.roll_out import roll_out
from metabench.errors import UnknownNameError
from metabench.seeding import derive_seed
from metabench.suites import list_suites

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
    assert [len(goals(split)) for split in ("train", "test", "test-far")] == [45, 5, 8]
    assert set(load_suite(POINT_ROBOT).entry.datasets) == {"random", "medium", "expert", "mixed", "replay"}
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
