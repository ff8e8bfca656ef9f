"""The classic suites: drawn as their files say, references as measured, no test task among the training tasks."""

import numpy as np
import pytest

from metabench import load_suite
from metabench.data.making.references import measure_references
from metabench.suites import Suite

SINGLE = ("grid-world", "simple-env", "cartpole", "mountain-car", "pendulum")

CARTPOLE = ("gravity", "cart_mass", "pole_mass", "half_length", "force")


def drawn(seed: int, count: int, ranges: list[tuple[float, float]]) -> list[list[float]]:
    generator = np.random.RandomState(seed)
    return [[round(generator.uniform(low, high), 4) for low, high in ranges] for _ in range(count)]


def cartpole_tasks() -> list[dict[str, float]]:
    near = drawn(1234, 50, [(7, 13), (0.5, 2), (0.05, 0.5), (0.3, 1), (5, 15)])
    far = drawn(1235, 5, [(13, 16), (0.3, 0.5), (0.5, 0.8), (1, 1.5), (15, 20)])
    tasks = [dict(zip(CARTPOLE, numbers, strict=True)) for numbers in near + far]
    return [{**task, "force": (-1) ** i * task["force"]} for i, task in enumerate(tasks)]  # signs as in version 1


def pendulum_tasks() -> list[dict[str, float]]:
    near = drawn(1234, 50, [(6, 14), (0.5, 2), (0.7, 1.5), (0.3, 0.6)])
    far = drawn(1235, 5, [(14, 17), (2, 2.5), (1.5, 1.8), (0.25, 0.3)])
    return [
        {"gravity": g, "mass": m, "length": ell, "gain": (-1) ** i * round(strength * g * m * ell / 4, 4)}
        for i, (g, m, ell, strength) in enumerate(near + far)
    ]


@pytest.fixture(params=["cartpole-param", "pendulum-param"])
def meta(request: pytest.FixtureRequest) -> Suite:
    return load_suite(request.param)


def test_tasks_are_the_documented_draws(meta: Suite) -> None:
    expected = cartpole_tasks() if meta.name == "cartpole-param" else pendulum_tasks()
    first = [*meta.split("train"), *meta.split("test")[:5], *meta.split("test-far")[:5]]
    assert [task.parameters for task in first] == expected


def test_counts_and_validation_tasks(meta: Suite) -> None:
    assert [len(meta.split(split)) for split in ("train", "test", "test-far")] == [45, 30, 10]
    validation = [task for task in meta.split("train") if task.validation]
    assert len(validation) == 5
    hidden = "force" if meta.name == "cartpole-param" else "gain"
    for tasks in (validation, *(meta.split(split) for split in meta.splits)):
        assert {np.sign(task.parameters[hidden]) for task in tasks} == {-1, 1}
    further = {"histories", "expert-actions"} if meta.name == "cartpole-param" else set()
    assert set(meta.entry.datasets) == {"random", "medium", "expert", "mixed"} | further
    assert "test-far" in meta.dataset("medium").splits


def test_far_tasks_lie_outside_the_range_of_training(meta: Suite) -> None:
    for name in meta.tasks[0].parameters:
        if name == "gain":  # it follows from the others; the strength is what is outside
            continue
        near = [abs(task.parameters[name]) for task in meta.split("train")]
        assert all(not min(near) <= abs(task.parameters[name]) <= max(near) for task in meta.split("test-far"))


def test_no_test_task_is_a_training_task(meta: Suite) -> None:
    training = [list(task.parameters.values()) for task in meta.split("train")]
    for split in ("test", "test-far"):
        assert all(list(task.parameters.values()) not in training for task in meta.split(split))


@pytest.mark.parametrize("name", SINGLE)
def test_single_tasks_are_reproductions(name: str) -> None:
    suite = load_suite(name)
    assert suite.entry.seen_tasks
    assert not suite.entry.internal
    assert suite.entry.title.endswith("(single-task reproduction)")
    assert [task.split for task in suite.tasks] == ["train", "test"]
    assert suite.tasks[0].parameters == suite.tasks[1].parameters
    assert suite.entry.horizon == {"grid-world": 27, "simple-env": 20}.get(name, 200)


@pytest.mark.parametrize("name", SINGLE)
def test_references_are_what_measuring_gives(name: str) -> None:
    suite = load_suite(name)
    for task, measured in measure_references(suite).items():
        assert suite.tasks[task].reference.model_dump(exclude_none=True) == pytest.approx(
            measured["reference"], rel=1e-3
        )


def test_references_of_the_meta_suites_agree_with_fewer_episodes(meta: Suite) -> None:
    for task, measured in measure_references(meta, episodes=25).items():
        reference = meta.tasks[task].reference
        span = reference.expert - reference.random
        assert measured["reference"]["expert"] == pytest.approx(reference.expert, abs=0.15 * span)
        assert measured["reference"]["random"] == pytest.approx(reference.random, abs=0.35 * span)
