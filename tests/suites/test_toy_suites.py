"""The small suites: tasks drawn as their files say, quotas and headrooms, laws that give new tasks."""

import itertools
import math

import numpy as np
import pytest

from metabench import load_suite
from metabench.leaderboard.submission.fresh_tasks import FRESH_A_TASK, make_fresh_suite
from metabench.suites.headroom import measure_headroom
from metabench.suites.task_distribution import draw_task

TOYS = ("darkroom", "darkroom-permuted", "key-to-door", "point-robot-wind", "point-robot-sparse")


def list_parameters(name: str, *splits: str) -> list[dict]:
    return [task.parameters for split in splits for task in load_suite(name).split(split)]


def test_tasks_of_the_grids_are_the_documented_draws() -> None:
    order = np.random.RandomState(0).permutation(81).tolist()
    assert list_parameters("darkroom", "train", "test") == [{"goal": [*divmod(cell, 9)]} for cell in order]
    orders = list(itertools.permutations(range(5)))
    drawn = np.random.RandomState(4).permutation(120).tolist()
    assert list_parameters("darkroom-permuted", "train", "test") == [{"moves": [*orders[i]]} for i in drawn]
    cells = [[*divmod(number, 9)] for number in range(81)]
    pairs = [key + door for key in cells for door in cells if door != key]
    drawn = np.random.RandomState(0).permutation(6480)[:230].tolist()
    assert list_parameters("key-to-door", "train", "test") == [{"key_and_door": pairs[i]} for i in drawn]


def test_tasks_of_the_points_are_the_documented_draws() -> None:
    generator = np.random.RandomState(1337)
    x, y = generator.uniform(-0.05, 0.05, 50), generator.uniform(-0.05, 0.05, 50)
    winds = [task["wind"] for task in list_parameters("point-robot-wind", "train", "test")]
    assert winds[:50] == np.stack([x, y], axis=1).tolist()
    more = np.random.RandomState(1338).uniform(-0.05, 0.05, (20, 2))
    np.testing.assert_allclose(winds[50:], more, atol=5.001e-7)
    generator = np.random.RandomState(1339)
    far = [generator.uniform(0.05, 0.075, 2) * generator.choice([-1.0, 1.0], 2) for _ in range(10)]
    found = [task["wind"] for task in list_parameters("point-robot-wind", "test-far")]
    np.testing.assert_allclose(found, far, atol=5.001e-7)
    angles = np.linspace(0, math.pi, 100)
    np.random.RandomState(1337).shuffle(angles)
    found = [task["angle"] for task in list_parameters("point-robot-sparse", "train", "test")]
    assert found[:100] == angles.tolist()
    np.testing.assert_allclose(found[100:], np.random.RandomState(1338).uniform(0, math.pi, 10), atol=5.001e-7)


IN_CONTEXT = {"histories", "expert-actions"}


@pytest.mark.parametrize(
    ("name", "counts", "validation"),
    [
        ("darkroom", {"train": 65, "test": 16}, 7),
        ("darkroom-permuted", {"train": 108, "test": 12}, 11),
        ("key-to-door", {"train": 200, "test": 30}, 20),
        ("point-robot-wind", {"train": 40, "test": 30, "test-far": 10}, 4),
        ("point-robot-sparse", {"train": 80, "test": 30}, 8),
    ],
)
def test_counts(name: str, counts: dict[str, int], validation: int) -> None:
    suite = load_suite(name)
    assert {split: len(suite.split(split)) for split in suite.splits} == counts
    assert sum(task.validation for task in suite.split("train")) == validation
    assert set(suite.entry.datasets) == {"random", "medium", "expert", "mixed", "replay", *IN_CONTEXT}
    assert all(recipe.digest for recipe in suite.entry.datasets.values())


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("darkroom", 97, 103),  # below what random actions score in these tasks: walks pass few of their goals
        ("darkroom-permuted", 80, 90),
        ("key-to-door", 60, 72),
        ("point-robot-wind", 0, 2),  # a spring to the goal needs no forecast
        ("point-robot-sparse", 90, 97),
    ],
)
def test_what_finding_out_the_task_is_worth(name: str, low: float, high: float) -> None:
    references = [task.reference.model_dump() for task in load_suite(name).split("test")]
    headroom = measure_headroom(references)
    assert headroom is not None
    assert low <= headroom <= high


def test_far_winds_are_stronger_on_both_axes() -> None:
    near = np.abs([task["wind"] for task in list_parameters("point-robot-wind", "train", "test")])
    far = np.abs([task["wind"] for task in list_parameters("point-robot-wind", "test-far")])
    assert near.max() < 0.05 <= far.min()


def test_fresh_keys_and_doors_are_new_pairs_of_cells() -> None:
    suite = load_suite("key-to-door")
    generator = np.random.default_rng(5)
    drawn = [draw_task(suite.entry.task_distribution["test"], turn, generator)["key_and_door"] for turn in range(300)]
    known = {tuple(task.parameters["key_and_door"]) for task in suite.tasks}
    assert np.mean([tuple(places) in known for places in drawn]) < 0.1
    for places in drawn:
        suite.family.check_parameters({"key_and_door": places})


@pytest.mark.slow
def test_fresh_tasks_of_key_to_door_can_be_scored() -> None:
    suite = load_suite("key-to-door")
    fresh = make_fresh_suite(suite, 3, ["test"])
    assert len(fresh.fresh["test"]) == FRESH_A_TASK * len(suite.split("test"))
    for task in fresh.suite.tasks:
        suite.family.check_parameters(task.parameters)
        assert task.reference.expert > task.reference.random
