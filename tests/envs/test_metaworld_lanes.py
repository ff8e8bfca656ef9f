"""Meta-World lanes against the stock environments: the same numbers, in any company, in any process."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest

from metabench.envs import load_family
from metabench.envs.metaworld.environments import RANGES
from metabench.envs.metaworld.families import PUCK
from metabench.envs.metaworld.lane import GoalRefusedError
from metabench.envs.metaworld.lanes import MetaWorldLanes
from metabench.envs.workers import WorkerLanes
from metabench.errors import MetabenchError

pytestmark = pytest.mark.slow


SPACES = load_family("meta-world").spaces(500)


def draw_task(lanes, name, generator):
    """A task as Meta-World draws it: again while the environment refuses."""
    while True:
        task = {"environment": name, "rand_vec": generator.uniform(*RANGES[name]).tolist()}
        try:
            lanes.reset([task], [0])
        except GoalRefusedError:
            continue
        return task


def stock_environment(task):
    from metaworld import Task
    from metaworld.env_dict import ALL_V3_ENVIRONMENTS

    name = task["environment"]
    environment = ALL_V3_ENVIRONMENTS[name]()
    content = {
        "rand_vec": np.array(task["rand_vec"]),
        "env_cls": ALL_V3_ENVIRONMENTS[name],
        "partially_observable": True,
    }
    environment.set_task(Task(name, pickle.dumps(content)))
    return environment


@pytest.mark.parametrize("name", sorted(RANGES))
def test_every_environment_gives_the_numbers_of_the_stock_step(name):
    """Scripted actions with bursts of random ones, so that objects are grasped, dropped and pushed about."""
    from metaworld.policies import ENV_POLICY_MAP

    generator = np.random.default_rng(sorted(RANGES).index(name))
    lanes = MetaWorldLanes(500)
    other, task = draw_task(lanes, name, generator), draw_task(lanes, name, generator)
    stock, policy = stock_environment(task), ENV_POLICY_MAP[name]()
    observation, _ = stock.reset()
    first = lanes.reset([other, task, task], [1, 2, 3])
    np.testing.assert_array_equal(first[1:], np.stack([observation.astype(np.float32)] * 2))
    goal = stock._target_pos.copy()
    np.testing.assert_array_equal(lanes.goals[1], goal)
    for timestep in range(120):
        shown = observation.copy()
        shown[-3:] = goal
        wild = generator.uniform(-1, 1, 4)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scripted = np.clip(policy.get_action(shown), -1, 1)
        action = (wild if timestep % 40 >= 32 else scripted).astype(np.float32)
        observation, reward, _, _, info = stock.step(action)
        step = lanes.step(np.stack([wild.astype(np.float32), action, action]))
        np.testing.assert_array_equal(step.observation[1:], np.stack([observation.astype(np.float32)] * 2))
        assert step.reward[1] == step.reward[2] == reward
        assert step.success[1] == bool(info["success"])
        assert step.reward.min() >= 0.0 and step.reward.max() <= 10.0
        assert not step.terminated.any()
    np.testing.assert_array_equal(stock._target_pos, goal)  # the teacher is shown one goal for the whole episode
    np.testing.assert_array_equal(lanes.reset([other, task, task], [1, 2, 3]), first)


@pytest.mark.parametrize("name", PUCK)
def test_a_goal_alone_leaves_the_place_of_the_puck_to_the_seed(name):
    """Lanes of one task share a model: each must be as the stock environment with its own puck."""
    low, high = (np.array(end) for end in RANGES[name])
    goal = (low + 0.9 * (high - low))[3:].tolist()  # far from any puck: the first place drawn is taken
    lanes = MetaWorldLanes(500)
    first = lanes.reset([{"environment": name, "goal": goal}] * 3, [1, 2, 1])
    pucks = first[:, 4:7].astype(float)
    assert (pucks[0] == pucks[2]).all()
    assert np.abs(pucks[0, :2] - pucks[1, :2]).max() > 1e-3
    assert (pucks[:, :2] >= low[:2] - 0.01).all() and (pucks[:, :2] <= high[:2] + 0.01).all()
    stocks = []
    for seed in (1, 2):
        generator = np.random.default_rng(seed)
        task = {"environment": name, "rand_vec": [*generator.uniform(low[:3], high[:3]).tolist(), *goal]}
        stocks.append(stock_environment(task))
        np.testing.assert_array_equal(stocks[-1].reset()[0].astype(np.float32), first[seed - 1])
    generator = np.random.default_rng(0)
    for _ in range(100):
        actions = generator.uniform(-1, 1, (3, 4)).astype(np.float32)
        actions[:, 2] = np.maximum(actions[:, 2] - 0.3, -1)  # downwards, where the puck is
        actions[2] = actions[0]
        step = lanes.step(actions)
        for lane, stock in enumerate(stocks):
            observation, reward, *_ = stock.step(actions[lane])
            np.testing.assert_array_equal(step.observation[lane], observation.astype(np.float32))
            assert step.reward[lane] == reward
        assert step.reward[2] == step.reward[0]


def test_the_goal_is_hidden():
    task = {"environment": "reach-v3", "rand_vec": [0.0, 0.65, 0.02, 0.05, 0.85, 0.2]}
    lanes = MetaWorldLanes(500)
    assert (lanes.reset([task], [0])[:, -3:] == 0.0).all()
    assert (lanes.step(np.zeros((1, 4), np.float32)).observation[:, -3:] == 0.0).all()
    np.testing.assert_array_equal(lanes.goals, [[0.05, 0.85, 0.2]])


def test_ranges_are_those_of_the_installed_meta_world():
    from metaworld.env_dict import ALL_V3_ENVIRONMENTS

    assert set(RANGES) == set(ALL_V3_ENVIRONMENTS)
    for name in ("reach-v3", "door-lock-v3", "basketball-v3", "pick-place-v3", "sweep-v3"):
        space = ALL_V3_ENVIRONMENTS[name]()._random_reset_space
        np.testing.assert_array_equal(RANGES[name], [space.low, space.high])


def test_a_goal_that_the_environment_would_draw_again_is_refused_not_waited_for():
    """Stock Meta-World asks for another `rand_vec` for ever; its nearest reach goal is 0.15 from the object."""
    task = {"environment": "push-v3", "rand_vec": [0.0, 0.7, 0.02, 0.0, 0.8, 0.02]}
    with pytest.raises(GoalRefusedError, match="too close together"):
        MetaWorldLanes(500).reset([task], [0])


TASKS = [
    {"environment": "reach-v3", "rand_vec": [0.0, 0.65, 0.02, 0.05, 0.85, 0.2]},
    {"environment": "door-lock-v3", "rand_vec": [0.0, 0.82, 0.15]},
    {"environment": "reach-v3", "rand_vec": [0.05, 0.62, 0.02, -0.05, 0.85, 0.1]},
]


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_worker_processes_give_the_numbers_of_one_process(workers):
    alone = MetaWorldLanes(500)
    shared = WorkerLanes("metabench.envs.metaworld.lanes:make_lanes", {"horizon": 500}, SPACES, workers)
    generator = np.random.default_rng(0)
    for tasks in (TASKS, TASKS[:1]):  # fewer lanes than workers as well
        seeds = list(range(len(tasks)))
        np.testing.assert_array_equal(shared.reset(tasks, seeds), alone.reset(tasks, seeds))
        for _ in range(5):
            actions = generator.uniform(-1, 1, (len(tasks), 4)).astype(np.float32)
            ours, theirs = shared.step(actions), alone.step(actions)
            np.testing.assert_array_equal(ours.observation, theirs.observation)
            np.testing.assert_array_equal(ours.reward, theirs.reward)
            np.testing.assert_array_equal(ours.success, theirs.success)
            np.testing.assert_array_equal(ours.terminated, theirs.terminated)


def test_an_error_in_a_worker_is_told_and_the_workers_go_on():
    lanes = WorkerLanes("metabench.envs.metaworld.lanes:make_lanes", {"horizon": 500}, SPACES, 2)
    bad = {"environment": "push-v3", "rand_vec": [0.0, 0.7, 0.02, 0.0, 0.8, 0.02]}
    with pytest.raises(MetabenchError, match=r"GoalRefusedError: object and goal are too close together"):
        lanes.reset([TASKS[0], bad], [0, 0])
    assert lanes.reset(TASKS, [0, 0, 0]).shape == (3, 39)


def test_a_worker_that_died_is_named_with_its_exit_status():
    lanes = WorkerLanes("metabench.envs.metaworld.lanes:make_lanes", {"horizon": 500}, SPACES, 1)
    lanes.reset(TASKS[:1], [0])
    lanes._workers[0]._process.kill()
    with pytest.raises(MetabenchError, match=r"a worker of .*make_lanes died, exit status -9"):
        for _ in range(2):
            lanes.step(np.zeros((1, 4), np.float32))


def test_workers_end_with_their_lanes():
    lanes = WorkerLanes("metabench.envs.metaworld.lanes:make_lanes", {"horizon": 500}, SPACES, 2)
    lanes.reset(TASKS, [0, 0, 0])
    processes = [worker._process for worker in lanes._workers]
    del lanes
    assert [process.poll() for process in processes] == [0, 0]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"environment": "reach-v3"}, "expected exactly 'environment' and 'rand_vec', or 'environment' and 'goal'"),
        ({"environment": "reach-v3", "goal": [0.0, 0.85]}, "goal of reach-v3 must have 3 numbers"),
        ({"environment": "reach-v3", "goal": [0.0, 0.7, 0.1]}, "goal[1] of reach-v3 must lie between 0.8 and 0.9"),
        ({"environment": "sweep-v3", "goal": [0.0, 0.7, 0.1]}, "sweep-v3 must be given by a rand_vec; pick-place-v3"),
        ({"environment": "reach-v2", "rand_vec": [0.0] * 6}, "unknown environment of Meta-World 'reach-v2'; did you"),
        ({"environment": "reach-v3", "rand_vec": [0.0] * 3}, "rand_vec of reach-v3 must have 6 numbers"),
        ({"environment": "door-lock-v3", "rand_vec": [0.0, 0.82, 7.0]}, "rand_vec[2] of door-lock-v3 must lie between"),
        ({"environment": "door-lock-v3", "rand_vec": [True, 0.82, 0.15]}, "rand_vec[0] of door-lock-v3 must lie"),
        ({"environment": "door-lock-v3", "rand_vec": [float("nan"), 0.82, 0.15]}, "rand_vec[0] of door-lock-v3"),
        ({"environment": "door-lock-v3", "rand_vec": 5}, "rand_vec of door-lock-v3 must have 3 numbers"),
        ({"environment": ["reach-v3"], "rand_vec": [0.0] * 6}, "unknown environment of Meta-World"),
    ],
)
def test_parameters_that_fix_no_task_are_refused(parameters, message):
    with pytest.raises(ValueError) as caught:
        load_family("meta-world").check_parameters(parameters)
    assert message in str(caught.value)
