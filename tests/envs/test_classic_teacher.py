"""The classic teachers reach what the cards say, `medium` is half as good, and without context nothing is solved."""

import itertools
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

from metabench import load_suite
from metabench.data.making.roll_out import roll_out
from metabench.data.trajectories import ActedEpisodes
from metabench.envs import TaskParameters
from metabench.envs.classic import cartpole, pendulum
from metabench.errors import UnknownNameError
from metabench.seeding import derive_seed
from metabench.suites import Suite

SINGLE = ("grid-world", "simple-env", "cartpole", "mountain-car", "pendulum")
META = ("cartpole-param", "pendulum-param")


def episodes(suite: Suite, split: str, behaviour: str, count: int) -> tuple[ActedEpisodes, np.ndarray]:
    """`count` episodes a task of a split, and their normalised scores, `(tasks, count)`."""
    tasks = [task.id for task in suite.split(split) for _ in range(count)]
    seeds = [derive_seed("test", suite.name, behaviour, lane) for lane in range(len(tasks))]
    rolled = roll_out(suite, tasks, [behaviour] * len(tasks), seeds)
    scores = suite.normalised(tasks, rolled.columns.episode_returns.tolist())
    return rolled, np.array(scores).reshape(-1, count)


@pytest.mark.parametrize("split", ["train", "test", "test-far"])
def test_the_cartpole_teacher_balances_in_every_task(split: str) -> None:
    rolled, _ = episodes(load_suite("cartpole-param"), split, "expert", 10)
    assert rolled.columns.episode_returns.min() >= 190
    assert rolled.success is None


@pytest.mark.parametrize("split", ["train", "test", "test-far"])
def test_the_pendulum_teacher_holds_the_rod_up_in_every_task(split: str) -> None:
    rolled, scores = episodes(load_suite("pendulum-param"), split, "expert", 10)
    last = rolled.columns.observations.reshape(-1, 201, 3)[:, -20:]
    assert last[:, :, 0].min() > 0.95
    assert scores.mean(axis=1).min() > 85
    assert scores.mean() == pytest.approx(100, abs=3)


def test_the_pendulum_teacher_is_near_the_known_optimum() -> None:
    """Of Gymnasium's pendulum: about -150 on average is as good as learned policies get."""
    rolled, _ = episodes(load_suite("pendulum"), "train", "expert", 400)
    assert rolled.columns.episode_returns.mean() > -165


def test_the_mountain_car_teacher_always_arrives() -> None:
    rolled, _ = episodes(load_suite("mountain-car"), "train", "expert", 200)
    assert rolled.columns.terminated.all()
    assert rolled.columns.episode_returns.mean() == pytest.approx(-119, abs=2)
    assert rolled.success is not None
    assert rolled.success.sum() == 200


def test_the_teachers_of_the_small_worlds_are_optimal() -> None:
    for name in ("grid-world", "simple-env"):
        suite = load_suite(name)
        rolled, _ = episodes(suite, "test", "expert", 50)
        best = suite.family.return_bounds(suite.tasks[1].parameters, suite.entry.horizon)[1]
        np.testing.assert_allclose(rolled.columns.episode_returns, best, atol=1.2e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "count"), [*((name, 1500) for name in SINGLE), *((name, 40) for name in META)])
def test_medium_is_half_as_good_as_the_expert(name: str, count: int) -> None:
    _, scores = episodes(load_suite(name), "train", "medium", count)
    assert 45 <= scores.mean() <= 55
    assert np.quantile(scores, 0.1) < 15
    assert np.quantile(scores, 0.9) > 85


def scored_believing(name: str, split: str, believe: Callable[[TaskParameters], TaskParameters]) -> np.ndarray:
    """Scores a task of a teacher that takes each task for another."""
    suite, count = load_suite(name), 20
    tasks = [task for task in suite.split(split) for _ in range(count)]
    environment, teacher = suite.environment(), suite.teacher()
    observation = environment.reset([task.parameters for task in tasks], list(range(len(tasks))))
    teacher.reset(["expert"] * len(tasks), [believe(task.parameters) for task in tasks], [0] * len(tasks))
    total, active = np.zeros(len(tasks)), np.ones(len(tasks), bool)
    for _ in range(suite.entry.horizon):
        step = environment.step(teacher.act(observation))
        observation = step.observation
        total += active * step.reward
        active &= ~step.terminated
    scores = suite.normalised([task.id for task in tasks], total.tolist())
    return np.array(scores).reshape(-1, count).mean(axis=1)


@pytest.mark.parametrize("name", META)
@pytest.mark.parametrize("split", ["train", "test"])
def test_the_controller_of_the_nominal_task_fails_in_about_half_of_the_tasks(name: str, split: str) -> None:
    nominal = load_suite(name.removesuffix("-param")).tasks[0].parameters
    scores = scored_believing(name, split, lambda task: nominal)
    assert (scores < 10).mean() == pytest.approx(0.5, abs=0.11)
    assert scores.mean() < 50
    assert scored_believing(name, split, lambda task: task).mean() > 97


@pytest.mark.parametrize("name", [*SINGLE, *META])
def test_actions_depend_on_their_own_lane_only_and_repeat(name: str) -> None:
    suite = load_suite(name)
    tasks = [suite.tasks[lane % 2].parameters for lane in range(8)]
    behaviours = ["medium", "expert"] * 4
    observations = np.random.default_rng(0).normal(0, 0.5, (30, 8, suite.spaces.observation_dim)).astype(np.float32)
    together, alone = suite.teacher(), suite.teacher()
    together.reset(behaviours, tasks, list(range(8)))
    first = [together.act(observation) for observation in observations[: suite.entry.horizon]]
    together.reset(behaviours, tasks, list(range(8)))
    again = [together.act(observation) for observation in observations[: suite.entry.horizon]]
    np.testing.assert_array_equal(first, again)
    for lane in (2, 5):
        alone.reset(behaviours[lane : lane + 1], tasks[lane : lane + 1], [lane])
        for observation, chosen in zip(observations, first, strict=False):
            np.testing.assert_array_equal(alone.act(observation[lane : lane + 1]), chosen[lane : lane + 1])
    with pytest.raises(UnknownNameError, match="unknown teacher behaviour 'expret'; did you mean 'expert'"):
        together.reset(["expret"], tasks[:1], [0])


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SINGLE, *META])
def test_no_return_is_outside_the_bounds(name: str) -> None:
    suite, count = load_suite(name), 30
    tasks = suite.split("train")[:4]
    bounds = np.array([suite.family.return_bounds(task.parameters, suite.entry.horizon) for task in tasks])
    for behaviour in ("random", "medium", "expert"):
        rolled, _ = episodes(suite, "train", behaviour, count)
        returns = rolled.columns.episode_returns.reshape(-1, count)[: len(tasks)]
        assert (returns >= bounds[:, :1] - 1e-4).all()
        assert (returns <= bounds[:, 1:] + 1e-4).all()


@pytest.mark.parametrize(("family", "hidden"), [(cartpole, "force"), (pendulum, "gain")])
def test_gains_exist_at_the_ends_of_all_ranges(family: ModuleType, hidden: str) -> None:
    ranges = {**family.RANGES, hidden: (-0.01, family.RANGES[hidden][1])}
    compute = family.compute_balancing_gains if family is cartpole else family.compute_holding_gains
    for numbers in itertools.product(*ranges.values()):
        assert np.isfinite(compute(dict(zip(ranges, numbers, strict=True)))).all()


def test_mistakes_are_not_correlated_in_time() -> None:
    """Within an episode of the SimpleEnv teacher, who would always answer 0 with 0, mistakes are drawn anew."""
    suite, lanes = load_suite("simple-env"), 2000
    teacher = suite.teacher()
    teacher.reset(["medium"] * lanes, [suite.tasks[0].parameters] * lanes, list(range(lanes)))
    actions = np.stack([teacher.act(np.zeros((lanes, 1)))[:, 0] for _ in range(suite.entry.horizon)])
    assert abs(np.corrcoef(actions[:-1].ravel(), actions[1:].ravel())[0, 1]) < 0.02
