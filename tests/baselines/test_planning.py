"""Planning: better sequences win, whatever the model; the policy needs nothing but a model."""

import dataclasses

import numpy as np
import pytest
import torch
from metabench_baselines.common.planning.config import PlannerConfig
from metabench_baselines.common.planning.planner import Planner
from metabench_baselines.common.planning.rows import (
    Answers,
    AskedInParts,
    Rows,
    Transitions,
    batch_transitions,
)
from metabench_baselines.fitted_models.model import GaussianProcessReader, KernelReader, RidgeReader
from metabench_baselines.fitted_models.policy import FittedModelPolicy

from metabench import Episode, Spaces, Step, evaluate, load_method, load_suite

PLANE = Spaces(observation_dim=2, horizon=20, action_low=(-1.0, -1.0), action_high=(1.0, 1.0))
LINE = Spaces(observation_dim=1, horizon=20, num_actions=3)


def predicted(state, reward, ends=None):
    zeros = torch.zeros_like(reward)
    return Answers(state, torch.zeros_like(state), reward, zeros, zeros if ends is None else ends)


def walk(observations, actions):
    """A point that moves by a tenth of the action and wants to be at (1, 0)."""
    state = observations + 0.1 * actions
    return predicted(state, -(state - torch.tensor([1.0, 0.0])).square().sum(2))


def generators(count):
    return [torch.Generator().manual_seed(seed) for seed in range(count)]


def test_it_walks_to_the_goal():
    planner = Planner(PlannerConfig(samples=64, iterations=3), PLANE)
    plan = planner.plan(walk, torch.zeros(1, 4, 2), None, generators(4))
    assert plan.shape == (1, 4, 16, 2)
    assert plan[..., :4, 0].mean() > 0.6
    assert plan[..., :4, 1].mean().abs() < 0.3


def test_later_plans_improve_on_earlier_ones():
    planner = Planner(PlannerConfig(replan=1), PLANE)
    noise, at, plan = generators(8), torch.zeros(1, 8, 2), None
    for _ in range(20):
        plan = planner.plan(walk, at, plan, noise)
        at = at + 0.1 * plan[:, :, 0]
    assert (at[..., 0] - 1.0).abs().mean() < 0.15
    assert at[..., 1].abs().mean() < 0.15


def test_discrete_actions_are_what_the_largest_score_says():
    def moves(observations, actions):
        state = observations + 0.1 * (actions[..., 1:2] - actions[..., 2:3])
        return predicted(state, -(state[..., 0] - 1.0).abs())

    planner = Planner(PlannerConfig(samples=64), LINE)
    plan = planner.plan(moves, torch.zeros(1, 6, 1), None, generators(6))
    assert (plan[:, :, 0].argmax(-1) == 1).float().mean() > 0.8


def test_what_ends_the_episode_is_avoided():
    """Rewards grow to the right, but beyond 0.3 nothing more is earned."""

    def cliff(observations, actions):
        state = observations + 0.1 * actions
        return predicted(state, 1.0 + state[..., 0], (state[..., 0] > 0.3).float())

    planner = Planner(PlannerConfig(samples=128, iterations=4), PLANE)
    plan = planner.plan(cliff, torch.zeros(1, 8, 2), None, generators(8))
    furthest = (0.1 * plan[..., 0]).cumsum(-1).amax(-1)
    assert furthest.median() < 0.4
    assert planner.plan(walk, torch.zeros(1, 8, 2), None, generators(8))[..., 0].sum(-1).median() * 0.1 > 0.7


def test_doubtful_rewards_are_worth_less():
    def gamble(observations, actions):
        reward = actions[..., 0]
        return dataclasses.replace(
            predicted(observations, reward), reward_deviations=2.0 * actions[..., 0].clamp(min=0)
        )

    for penalty, wanted in ((0.0, 1.0), (2.0, -1.0)):
        planner = Planner(PlannerConfig(samples=64, penalty=penalty), PLANE)
        plan = planner.plan(gamble, torch.zeros(1, 4, 2), None, generators(4))
        # with the penalty, any positive action loses, so that what is left is at most 0
        assert plan[..., 0].mean() > 0.3 if wanted > 0 else plan[..., 0].mean() < 0.1


def test_lanes_and_groups_plan_alone():
    planner = Planner(PlannerConfig(), PLANE)
    at = torch.randn(2, 3, 2, generator=torch.Generator().manual_seed(1))
    together = planner.plan(walk, at, None, generators(6))
    alone = planner.plan(walk, at[1:, 2:], None, [generators(6)[5]])
    torch.testing.assert_close(together[1, 2], alone[0, 0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("reader", [RidgeReader, GaussianProcessReader, KernelReader])
def test_fitted_models_learn_linear_dynamics(reader):
    generator = np.random.default_rng(0)
    state, action = generator.normal(size=(60, 2)), generator.uniform(-1, 1, size=(60, 2))
    after = state + 0.1 * action + 0.02 * state[:, ::-1]
    reward = state[:, 0] - action[:, 1]
    rows = Transitions(*(x.astype(np.float32) for x in (state, action, after, reward)), np.zeros(60, bool))
    model = reader().read(batch_transitions([rows.select(np.arange(40)), rows.select(np.arange(30))]))
    asked = batch_transitions([rows.select(np.arange(40, 60))] * 2)
    found = model(asked.observations, asked.actions)
    for group in range(2):
        wrong = (found.next_observations[group] - asked.next_observations[group]).square().mean()
        still = (asked.observations[group] - asked.next_observations[group]).square().mean()
        assert wrong < 0.05 * still
        assert (found.rewards[group] - asked.rewards[group]).square().mean() < 0.05 * reward.var()


@pytest.mark.parametrize("reader", [RidgeReader, GaussianProcessReader, KernelReader])
def test_padding_rows_change_nothing_in_fitted_models(reader):
    generator = np.random.default_rng(0)
    rows = Transitions(
        *(generator.normal(size=size).astype(np.float32) for size in ((20, 2), (20, 2), (20, 2), 20)),
        np.zeros(20, bool),
    )
    alone = reader().read(batch_transitions([rows.select(np.arange(12))]))
    padded = reader().read(batch_transitions([rows.select(np.arange(12)), rows]))
    asked = batch_transitions([rows])
    first = alone(asked.observations, asked.actions).next_observations
    second = padded(*(x.expand(2, -1, -1) for x in (asked.observations, asked.actions))).next_observations[:1]
    torch.testing.assert_close(first, second, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("reader", [RidgeReader, GaussianProcessReader, KernelReader])
@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_equal_rows_are_a_context(reader, count):
    rows = Transitions(
        *(np.ones(size, np.float32) for size in ((count, 2), (count, 2), (count, 2), count)), np.zeros(count, bool)
    )
    found = reader().read(batch_transitions([rows]))(torch.randn(1, 5, 2), torch.randn(1, 5, 2))
    assert found.next_observations.isfinite().all()
    assert found.rewards.isfinite().all()


def test_a_policy_with_support_acts_better_than_one_without(tiny_built):
    config = PlannerConfig(samples=32, horizon=8)
    scores = {}
    for track in ("zero-shot", "logged-shot"):
        found = evaluate(FittedModelPolicy(GaussianProcessReader(), config, load_suite("tiny").spaces), "tiny", track)
        scores[track] = np.mean([row.total_return for row in found.blocks[0].rows])
    assert scores["logged-shot"] > scores["zero-shot"]


@pytest.mark.slow
def test_the_variant_learns_a_policy_from_the_support_and_is_read_back(tiny_built, tmp_path):
    spaces = load_suite("tiny").spaces
    scores = {}
    for steps in (512, 12_288):
        method = load_method("gp-model/imagination", overrides={"imagined_steps": steps})
        policy = FittedModelPolicy(GaussianProcessReader(), method.config, spaces)
        policy.save(tmp_path)
        found = evaluate(method.load(tmp_path, spaces), "tiny", "logged-shot")
        scores[steps] = np.mean([row.total_return for row in found.blocks[0].rows])
    assert scores[12_288] > scores[512]


def test_adapting_takes_no_step_anywhere(monkeypatch):
    """A policy has spaces and a model; to adapt it reads its support and nothing else."""
    policy = FittedModelPolicy(RidgeReader(), PlannerConfig(samples=4, horizon=2), PLANE)
    generator = np.random.default_rng(0)
    support = Episode(
        generator.normal(size=(9, 2)).astype(np.float32),
        generator.uniform(-1, 1, size=(8, 2)).astype(np.float32),
        np.arange(8, dtype=np.float32),
        False,
        True,
    )
    monkeypatch.setattr("builtins.open", lambda *given, **named: pytest.fail(f"opened {given}"))
    policy.reset([0, 1], [1, 2])
    policy.adapt({0: [support], 1: [support]})
    nothing = np.zeros(2, np.float32)
    step = Step(np.zeros((2, 2), "f"), np.zeros((2, 2), "f"), nothing, np.zeros(2, int), nothing == 0, nothing == 0)
    assert policy.act(step).shape == (2, 2)


@pytest.mark.parametrize("queries", [1, 4, 9, 100])
def test_a_model_that_is_asked_in_parts_says_what_it_says_at_once(queries):
    torch.manual_seed(0)
    none = torch.zeros(5, 12, dtype=torch.bool)
    states, actions = torch.randn(5, 12, 2), torch.randn(5, 12, 1)
    model = RidgeReader().read(Rows(states, actions, states + actions, states[..., 0], none, ~none))
    asked, moved = torch.randn(5, 7, 2), torch.randn(5, 7, 1)
    whole, parts = model(asked, moved), AskedInParts(model, queries)(asked, moved)
    for name, value in vars(whole).items():
        torch.testing.assert_close(getattr(parts, name), value, atol=1e-5, rtol=1e-5)
