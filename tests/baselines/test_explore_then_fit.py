"""A reward that a task's own steps supply: the fit against least squares, goals, exploring, and who plans by them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from metabench_baselines.common.world_models.contract import Seen
from metabench_baselines.common.world_models.policy import list_steps
from metabench_baselines.explore_then_fit.config import ExploreThenFitConfig, GoalConfig
from metabench_baselines.explore_then_fit.model import FittedRewardModel, GoalModel
from metabench_baselines.explore_then_fit.policy import TaskRewardPolicy

from metabench import Episode, Step

from .test_world_models import PLANE, SMALL, make_data, train

pytestmark = pytest.mark.slow

NOBODY = torch.zeros(1, dtype=torch.int64)


@pytest.fixture(scope="module")
def ensemble():
    """Of tasks in which all actions do the same."""
    return train(ExploreThenFitConfig(**SMALL), make_data([1.0] * 8))


def wander(goal, length=15, seed=0):
    """An episode that earns less the further it is from the goal."""
    generator = np.random.default_rng(seed)
    actions = generator.uniform(-1, 1, size=(length, 2)).astype(np.float32)
    states = np.concatenate([generator.normal(size=(1, 2)), np.zeros((length, 2))]).astype(np.float32)
    for step in range(length):
        states[step + 1] = states[step] + 0.4 * actions[step]
    rewards = -np.square(states[1:] - goal).sum(1) - 0.1 * np.square(actions).sum(1)
    return Episode(states, actions, rewards.astype(np.float32), False, True)


def test_the_fit_is_that_of_least_squares(ensemble):
    """Ridge regression in a plain form; and the same from the support at once as step by step."""
    model, episode = FittedRewardModel(ensemble, "rewards", noise=0.3), wander((1.0, -0.5))
    at_once = model.read_support(model.begin(1), NOBODY, [episode])
    by_steps = model.begin(1)
    for seen in list_steps([episode], PLANE):
        by_steps = model.take_in(by_steps, seen)
    for first, second in zip(vars(at_once).values(), vars(by_steps).values(), strict=True):
        torch.testing.assert_close(first, second)
    scales = model.scales
    places = scales.scale(torch.as_tensor(episode.observations[1:])).numpy()
    both = np.concatenate([places, episode.actions], 1)
    features = np.concatenate([np.ones((len(both), 1)), both, both**2], 1)
    unit, middle = (scales.get_buffer(name).item() for name in ("reward", "reward_mean"))
    scaled = (episode.rewards - middle) / unit
    gram = features.T @ features / 0.3**2 + np.eye(features.shape[1])
    weights = np.linalg.solve(gram, features.T @ scaled / 0.3**2)
    actions, reached = torch.as_tensor(episode.actions)[None], torch.as_tensor(episode.observations[None, 1:])
    rewards, deviations = model.pay(model.find_pay(at_once), actions, reached)
    least, most = (scales.get_buffer(name)[-1].item() for name in ("least", "most"))
    expected = (features @ weights * unit + middle).clip(least, most)
    np.testing.assert_allclose(rewards[0], expected, rtol=1e-3, atol=1e-3)
    variances = np.einsum("nf,fg,ng->n", features, np.linalg.inv(gram), features)
    np.testing.assert_allclose(deviations[0], np.sqrt(variances) * unit, rtol=1e-3)


def test_the_goal_is_where_most_was_earned_and_later_steps_may_replace_it(ensemble):
    model = GoalModel(ensemble, "states")
    memory = model.begin(2)
    place, known = model.find_pay(memory)
    assert known.tolist() == [0.0, 0.0]
    episode = wander((1.0, -0.5))
    memory = model.read_support(memory, torch.tensor([1]), [episode])
    best = model.scales.scale(torch.as_tensor(episode.observations[1 + episode.rewards.argmax()]))
    place, known = model.find_pay(memory)
    torch.testing.assert_close(place[1], best)
    assert known.tolist() == [0.0, 1.0]
    better = torch.tensor([[0.3, 0.2], [0.1, 0.4]])
    one = Seen(better, torch.zeros(2, 2), torch.tensor([5.0, 5.0]), better, torch.tensor([True, True]))
    place, _ = model.find_pay(model.take_in(memory, one))
    torch.testing.assert_close(place, model.scales.scale(better))
    away = Seen(better, torch.zeros(2, 2), torch.tensor([9.0, 9.0]), better, torch.tensor([False, False]))
    assert torch.equal(model.take_in(memory, away).place, memory.place)


@pytest.mark.parametrize("config", [ExploreThenFitConfig(**SMALL), GoalConfig(**SMALL)])
def test_support_decides_where_it_goes(ensemble, config):
    """Two groups, whose goals are on opposite sides: the ensemble is one."""
    policy = TaskRewardPolicy(ensemble, config, PLANE)
    policy.reset([0, 1], [5, 5])
    supports = {group: [wander((goal, 0.0), seed=seed) for seed in range(5)] for group, goal in enumerate((1.5, -1.5))}
    policy.adapt(supports)
    place, action = np.zeros((2, 2), np.float32), np.zeros((2, 2), np.float32)
    reward = np.zeros(2, np.float32)
    for time in range(20):
        action = policy.act(Step(place, action, reward, np.full(2, time), *np.ones((2, 2), bool)))
        place = (place + 0.1 * action).astype(np.float32)
        reward = -np.square(place - np.float32([[1.5, 0.0], [-1.5, 0.0]])).sum(1) - 0.1 * np.square(action).sum(1)
    assert place[0, 0] > 0.5
    assert place[1, 0] < -0.5


def test_in_support_episodes_it_seeks_what_it_is_unsure_of(ensemble):
    """Scored episodes stay where most is earned, in the middle; support episodes leave what is known."""
    known = wander((0.0, 0.0), length=18, seed=3)
    moves = {}
    for scored in (True, False):
        policy = TaskRewardPolicy(ensemble, ExploreThenFitConfig(**SMALL), PLANE)
        policy.reset([0], [5])
        policy.adapt({0: [known]})
        place, action = np.zeros((1, 2), np.float32), np.zeros((1, 2), np.float32)
        for time in range(20):
            flags = (np.ones(1, bool), np.full(1, scored))
            action = policy.act(Step(place, action, -np.square(place).sum(1), np.full(1, time), *flags))
            place = (place + 0.1 * action).astype(np.float32)
        moves[scored] = float(np.linalg.norm(place))
    assert moves[False] > 3 * moves[True]
