"""What planning policies read of each lane: the support, the lane's own episode, and which of them together."""

import dataclasses

import numpy as np
import pytest
import torch
from metabench_baselines.common.planning.config import PlannerConfig
from metabench_baselines.common.planning.rows import Transitions, batch_transitions, take_groups
from metabench_baselines.fitted_models.model import GaussianProcessReader, KernelReader, RidgeReader
from metabench_baselines.fitted_models.policy import FittedModelPolicy

from metabench import Episode, Spaces, Step

PLANE = Spaces(observation_dim=2, horizon=20, action_low=(-1.0, -1.0), action_high=(1.0, 1.0))


class CountingReader(RidgeReader):
    """Notes how many rows each context has that it reads together with others, and how many lanes are asked about."""

    def __init__(self):
        self.read_together, self.asked = [], []

    def read(self, context):
        self.read_together.append(context.valid.sum(1).tolist())
        return CountedModel(super().read(context), self.asked)


@dataclasses.dataclass(frozen=True)
class CountedModel:
    model: object
    asked: list

    def __call__(self, observations, actions):
        self.asked.append(len(observations))
        return self.model(observations, actions)


def walk_at_random(length, seed):
    generator = np.random.default_rng(seed)
    draws = (generator.normal(size=size).astype(np.float32) for size in ((length + 1, 2), (length, 2), length))
    observations, actions, rewards = draws
    return Episode(observations, actions.clip(-1, 1), rewards, terminated=False, truncated=True)


def act_script(policy, observations, active):
    """`(T, lanes, 2)` actions on `(T, lanes, 2)` observations."""
    acted, lanes = [], observations.shape[1]
    for time, (seen, going) in enumerate(zip(observations, active, strict=True)):
        before = acted[-1] if acted else np.zeros((lanes, 2), np.float32)
        step = Step(seen, before, seen[:, 0], np.full(lanes, time), going, np.ones(lanes, bool))
        acted.append(policy.act(step))
    return np.stack(acted)


CONFIG = PlannerConfig(samples=8, horizon=4)


def test_lanes_that_have_ended_are_not_planned_for():
    for support in ({}, {lane: [walk_at_random(15, lane)] for lane in range(3)}):
        reader = CountingReader()
        policy = FittedModelPolicy(reader, CONFIG, PLANE)
        policy.reset([0, 1, 2], [0, 1, 2])
        if support:
            policy.adapt(support)
        active = np.ones((20, 3), bool)
        active[6:, 1], active[10:, 2] = False, False
        observations = np.random.default_rng(0).normal(size=(20, 3, 2)).astype(np.float32)
        act_script(policy, observations, active)
        plans = reader.asked[:: CONFIG.horizon]
        assert plans == ([3] if support else []) + [3, 2, 1, 1]


def test_lanes_with_contexts_of_like_size_are_in_one_batch():
    reader = CountingReader()
    policy = FittedModelPolicy(reader, CONFIG, PLANE)
    policy.reset([0, 1, 2, 3], [0] * 4)
    policy.adapt({group: [walk_at_random(length, group)] for group, length in enumerate((6, 90, 7, 100))})
    assert sorted(reader.read_together) == [[6, 7], [90, 100]]


def test_an_episode_is_read_anew_when_it_has_grown_by_an_eighth():
    reader = CountingReader()
    spaces = dataclasses.replace(PLANE, horizon=60)
    policy = FittedModelPolicy(reader, CONFIG, spaces)
    policy.reset([0, 1], [0, 1])
    observations = np.random.default_rng(0).normal(size=(60, 2, 2)).astype(np.float32)
    act_script(policy, observations, np.ones((60, 2), bool))
    assert [rows for rows, _ in reader.read_together] == [4, 8, 12, 16, 20, 24, 28, 32, 36, 44, 52]


def test_beside_support_the_episode_so_far_is_read_anew_when_it_has_doubled():
    spaces = dataclasses.replace(PLANE, horizon=60)
    for reads, wanted in ((True, [[15, 90], [19, 94], [23, 98], [31, 100], [47, 100]]), (False, [[15, 90]])):
        reader = CountingReader()
        config = CONFIG.model_copy(update={"largest_context": 100, "reads_own_episode": reads})
        policy = FittedModelPolicy(reader, config, spaces)
        policy.reset([0, 1], [0, 1])
        policy.adapt({0: [walk_at_random(15, 0)], 1: [walk_at_random(90, 1)]})
        observations = np.random.default_rng(0).normal(size=(60, 2, 2)).astype(np.float32)
        act_script(policy, observations, np.ones((60, 2), bool))
        read = [rows for together in reader.read_together for rows in together]
        assert read == [rows for pair in wanted for rows in pair]


def test_a_long_support_leaves_half_of_what_is_read_to_the_episode_so_far():
    reader = CountingReader()
    policy = FittedModelPolicy(reader, CONFIG.model_copy(update={"largest_context": 10}), PLANE)
    policy.reset([0], [0])
    policy.adapt({0: [walk_at_random(90, 0)]})
    act_script(policy, np.zeros((20, 1, 2), np.float32), np.ones((20, 1), bool))
    assert [rows for (rows,) in reader.read_together] == [10] * 4


@pytest.mark.parametrize("reads", [True, False])
def test_what_an_episode_shows_corrects_its_support(reads):
    """Support says that nothing pays; one lane earns by going right, the other by going left."""
    support = dataclasses.replace(walk_at_random(12, 0), rewards=np.zeros(12, np.float32))
    config = PlannerConfig(samples=64, horizon=4, reads_own_episode=reads)
    policy = FittedModelPolicy(RidgeReader(), config, PLANE)
    policy.reset([0, 0], [3, 3])
    policy.adapt({0: [support]})
    place, action = np.zeros((2, 2), np.float32), np.zeros((2, 2), np.float32)
    acted = []
    for time in range(20):
        earned = np.array([1.0, -1.0], np.float32) * place[:, 0]
        action = policy.act(Step(place, action, earned, np.full(2, time), *np.ones((2, 2), bool)))
        acted.append(action[:, 0])
        place = (place + 0.1 * action + 0.05 * np.sin(time)).astype(np.float32)
    right, left = np.mean(acted[8:], axis=0)
    if reads:
        assert right > 0.3 > -0.3 > left
    else:
        assert right == left


@pytest.mark.parametrize("reader", [RidgeReader, GaussianProcessReader, KernelReader])
def test_some_groups_of_a_model_say_what_they_said_among_all(reader):
    rows = [Transitions.from_episodes([walk_at_random(length, length)], PLANE) for length in (9, 12, 14)]
    asked = batch_transitions(rows)
    model, some = reader().read(asked), torch.tensor([0, 2])
    found = take_groups(model, some)(asked.observations[some], asked.actions[some])
    for name, whole in vars(model(asked.observations, asked.actions)).items():
        torch.testing.assert_close(getattr(found, name), whole[some], atol=1e-5, rtol=1e-4)


def test_a_lane_of_the_kernel_model_acts_alone_as_among_others():
    """After few rows its regressions are far from well-conditioned: in single precision actions differ by 1e-3."""
    observations = np.cumsum(np.random.default_rng(0).normal(size=(20, 6, 2)), 0).astype(np.float32) * 0.1

    def act(lanes):
        policy = FittedModelPolicy(KernelReader(), CONFIG, PLANE)
        policy.reset(lanes, lanes)
        return act_script(policy, observations[:, lanes], np.ones((20, len(lanes)), bool))

    together = act([0, 1, 2, 3, 4, 5])
    for lane in range(6):
        np.testing.assert_allclose(act([lane])[:, 0], together[:, lane], atol=1e-5)
