"""The shipped Meta-World suites: no leak between splits, and the goals that Meta-World itself draws."""

from __future__ import annotations

import pickle

import pytest

from metabench.suites import load_suite

ONE_ENVIRONMENT = ("reach", "sweep", "door-lock", "push", "pick-place")
SUITES = (*ONE_ENVIRONMENT, "ml10", "ml45")


def numbers(parameters):
    """A goal, or all of a `rand_vec`."""
    return tuple(parameters["goal"] if "goal" in parameters else parameters["rand_vec"])


def goals(suite, split):
    return {(task.parameters["environment"], numbers(task.parameters)) for task in suite.split(split)}


@pytest.mark.parametrize("name", SUITES)
def test_no_test_goal_is_a_training_goal(name):
    suite = load_suite(name)
    train, test = goals(suite, "train"), goals(suite, "test")
    assert not train & test
    assert len(train) + len(test) == len(suite.tasks)  # nor is any goal there twice


@pytest.mark.parametrize(
    ("name", "environments", "train_goals", "test_goals"),
    [
        *((name, 1, 15, 20) for name in ONE_ENVIRONMENT),
        ("ml10", 10, 10, 5),
        ("ml45", 45, 10, 5),
    ],
)
def test_splits_have_the_sizes_of_the_field(name, environments, train_goals, test_goals):
    suite = load_suite(name)
    train = [task.parameters["environment"] for task in suite.split("train")]
    test = [task.parameters["environment"] for task in suite.split("test")]
    assert {train.count(each) for each in train} == {train_goals}
    assert {test.count(each) for each in test} == {test_goals}
    assert len(set(train)) == environments
    if environments > 1:
        assert len(set(test)) == 5
        assert not set(train) & set(test)
    assert suite.entry.evaluation.episodes == suite.entry.evaluation.supports == 2
    assert suite.entry.horizon == 500 and suite.entry.headline == "success"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["reach", "door-lock"])
def test_the_goals_are_those_of_meta_world_and_its_splits_are_not_mixed_up(name):
    import metaworld

    benchmark = metaworld.ML1(f"{name}-v3", seed=42)
    suite = load_suite(name)
    for split, official, others in (
        ("train", benchmark.train_tasks, benchmark.test_tasks),
        ("test", benchmark.test_tasks, benchmark.train_tasks),
    ):
        ours = [numbers(task.parameters) for task in suite.split(split)]
        assert ours == [drawn(task, len(ours[0])) for task in official[: len(ours)]]
        assert not set(ours) & {drawn(task, len(ours[0])) for task in others}


def drawn(task, length):
    """The last numbers of an official task's `rand_vec`: the goal, if it is not all of them."""
    return tuple(pickle.loads(task.data)["rand_vec"].tolist()[-length:])
