"""What actor and critic of twm-plus learn from: advantages, likelihoods, the anchor, balanced batches, the horizon."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from metabench_baselines.twm_plus.actor_critic import ActorCritic
from metabench_baselines.twm_plus.training.batches import BalancedSampler, BatchSource
from metabench_baselines.twm_plus.training.gradient_steps import make_logged_trajectories
from metabench_baselines.twm_plus.training.imagined_rollouts import (
    choose_starts,
    read_context,
)
from metabench_baselines.twm_plus.training.losses import PolicyTrajectories, actor_loss, generalised_advantages

from metabench import load_data

from .twm_setting import CONTINUOUS, DISCRETE, setting, tiny


@pytest.fixture(scope="module")
def data():
    return load_data("tiny", "medium").fitting


def test_advantages_with_lambda_one_are_returns_minus_values():
    rewards, values = torch.randn(7, 3), torch.randn(8, 3)
    advantages = generalised_advantages(rewards, torch.ones(7, 3), values, 1.0)
    returns = rewards.flip(0).cumsum(0).flip(0) + values[-1]
    assert torch.allclose(advantages, returns - values[:-1], atol=1e-5)
    discounts = torch.rand(7, 3)
    one_step = generalised_advantages(rewards, discounts, values, 0.0)
    assert torch.allclose(one_step, rewards + discounts * values[1:] - values[:-1])
    mixed = generalised_advantages(rewards, discounts, values, 0.9)
    assert torch.allclose(mixed[-2], one_step[-2] + 0.9 * discounts[-2] * one_step[-1], atol=1e-6)


@torch.no_grad()
def test_likelihoods_are_those_of_the_distributions():
    features = 0.3 * torch.randn(50, 4 * 8 + 16)
    policy = ActorCritic(tiny(continuous_actions="squashed"), CONTINUOUS)
    action, raw = policy.act(features, policy.draw_noise((50,)))
    mean, log_deviation = policy.actor(features).chunk(2, -1)
    normal = torch.distributions.Normal(mean, log_deviation.clamp(-5, 2).exp())
    squashed = torch.distributions.TransformedDistribution(normal, torch.distributions.TanhTransform())
    likelihood, entropy = policy.likelihood(features, raw)
    assert torch.allclose(likelihood, squashed.log_prob(action.clamp(-1 + 1e-6, 1 - 1e-6)).sum(-1), atol=1e-3)
    assert torch.allclose(entropy, normal.entropy().mean(-1), atol=1e-5)
    assert torch.equal(policy.act(features, None)[0], mean.tanh())
    inside = action.abs() < 0.98
    assert torch.allclose(policy.to_raw_actions(action)[inside], raw[inside], atol=1e-4)
    clipped = ActorCritic(tiny(continuous_actions="clipped"), CONTINUOUS)
    clipped.load_state_dict(policy.state_dict())
    assert torch.allclose(clipped.likelihood(features, raw)[0], normal.log_prob(raw).sum(-1), atol=1e-4)
    assert torch.equal(clipped.act(5 * features, None)[0], clipped.act(5 * features, None)[1].clamp(-1, 1))
    policy = ActorCritic(tiny(), DISCRETE)
    categorical = torch.distributions.Categorical(logits=policy.actor(features))
    action, raw = policy.act(features, policy.draw_noise((50,)))
    likelihood, entropy = policy.likelihood(features, raw)
    assert torch.allclose(likelihood, categorical.log_prob(action.argmax(-1)), atol=1e-5)
    assert torch.allclose(entropy, categorical.entropy() / np.log(4), atol=1e-5)
    drawn = policy.act(features[:1].expand(20_000, -1), policy.draw_noise((20_000,)))[0].mean(0)
    assert torch.allclose(drawn, categorical.probs[0], atol=0.015)


@torch.no_grad()
def test_the_anchor_is_the_divergence_from_a_policy_of_latents_alone():
    features = torch.randn(50, 4 * 8 + 16)
    for spaces in (CONTINUOUS, DISCRETE):
        policy = ActorCritic(tiny(), spaces)
        towards, output = policy.behaviour(features[:, :32]), policy.actor(features)
        if spaces.discrete:
            pair = [torch.distributions.Categorical(logits=x) for x in (output, towards)]
            expected = torch.distributions.kl_divergence(*pair)
        else:
            halves = [x.chunk(2, -1) for x in (output, towards)]
            pair = [torch.distributions.Normal(mean, log.clamp(-5, 2).exp()) for mean, log in halves]
            expected = torch.distributions.kl_divergence(*pair).sum(-1)
        assert torch.allclose(policy.divergence(features), expected, atol=1e-4)
        raw = policy.act(features, policy.draw_noise((50,)))[1]
        logs = pair[1].log_prob(raw.argmax(-1)) if spaces.discrete else pair[1].log_prob(raw).sum(-1)
        assert torch.allclose(policy.behaviour_likelihood(features[:, :32], raw), logs, atol=1e-4)
    assert ActorCritic(tiny(anchor="logged-actions"), DISCRETE).behaviour is None


def test_the_entropy_bonus_acts_below_its_threshold_only():
    features = torch.randn(3, 4, 4 * 8 + 16)
    cases = [(DISCRETE, "actor_entropy_threshold", 1.0, 0.0), (CONTINUOUS, "actor_entropy_target", 5.0, -5.0)]
    for spaces, name, acting, idle in cases:
        for threshold in (acting, idle):
            config = tiny(**{name: threshold}, anchor_weight=0.0)
            policy = ActorCritic(config, spaces)
            steps = PolicyTrajectories(features, torch.zeros(2, 4, spaces.action_dim), *[torch.ones(2, 4)] * 4)
            loss, parts = actor_loss(config, policy, steps, torch.zeros(2, 4))
            missing = threshold - parts["actor_entropy"].item()
            assert (missing > 0) == (threshold == acting)
            assert loss.item() == pytest.approx(0.01 * max(0.0, missing), abs=1e-6)


def test_balanced_sampling_prefers_what_was_used_less():
    sampler = BalancedSampler(5, temperature=20.0)
    assert np.allclose(sampler.probabilities(), 0.2), "uniform where all were used equally"
    sampler.uses[:] = [40, 0, 20, 0, 0]
    weights = np.exp(-sampler.uses / 20.0)
    assert np.allclose(sampler.probabilities(), weights / weights.sum())
    assert np.allclose(BalancedSampler(5, rule="uniform").probabilities(), 0.2)
    nearly = BalancedSampler(5, rule="nearly-uniform")
    nearly.uses[:] = sampler.uses
    assert np.allclose(nearly.probabilities(), (1 - sampler.uses / 60) / 4)
    sampler.grow(8)
    assert sampler.probabilities()[-1] == sampler.probabilities().max()
    generator = np.random.default_rng(0)
    drawn = sampler.draw(generator, 3, 2, 6)
    assert len(set(drawn)) == 3
    assert set(drawn) <= {2, 3, 4, 5}
    assert np.array_equal(np.sort(sampler.draw(generator, 4, 0, 2)), [0, 0, 1, 1]), "repeated where they are too few"
    counts = np.zeros(8)
    for _ in range(4000):
        fresh = BalancedSampler(8)
        fresh.uses[:] = [40, 0, 20, 0, 0, 60, 0, 0]
        counts[fresh.draw(generator, 1)] += 1
    expected = np.exp(-np.array([40, 0, 20, 0, 0, 60, 0, 0]) / 20.0)
    assert np.abs(counts / 4000 - expected / expected.sum()).max() < 0.03


def test_batches_hold_windows_of_one_task_with_other_episodes_as_support(data):
    config = tiny(tasks_per_update=3, windows_per_task=2, segments=2, support_dropout=0.5)
    source = BatchSource(config, data, "cpu")
    columns = data.columns
    owner = {}
    for e in range(data.num_episodes):
        first = columns.offsets[e] + e
        for row in columns.observations[first : first + data.lengths[e] + 1]:
            owner[row.tobytes()] = (int(columns.tasks[e]), e)
    hidden = []
    for update in range(40):
        batch = source.draw(np.random.default_rng(update))
        windows = [owner[o[-1].numpy().tobytes()] for o in batch.windows.observations]
        segments = [owner[o[-1].numpy().tobytes()] for o in batch.support.segments.observations]
        for group in range(3):
            mine, support = windows[2 * group : 2 * group + 2], segments[2 * group : 2 * group + 2]
            assert len({task for task, _ in mine + support}) == 1
            assert not {e for _, e in mine} & {e for _, e in support}
        assert batch.support.segments.ended[:, -1].all()
        hidden.append(batch.support.hidden.numpy())
    share = np.concatenate(hidden)
    assert 0.35 < share.all(axis=1).mean() < 0.65
    assert not (share[:, 0] & ~share[:, 1]).any()


def test_the_critic_begins_in_units_of_the_datas_returns(data):
    """Against an explicit loop: discounted returns; episodes that the horizon cut go on with their last rewards."""
    config = tiny(discount=0.9)
    policy = ActorCritic(config, data.spaces)
    policy.measure(data, reward_scale=2.0)
    columns, returns = data.columns, []
    for e in range(data.num_episodes):
        rewards = columns.rewards[columns.offsets[e] : columns.offsets[e + 1]] / 2.0
        after = 0.0 if columns.terminated[e] else float(np.mean(rewards[-5:])) / (1 - 0.9)
        for reward in rewards[::-1]:
            after = float(reward) + 0.9 * after
            returns.append(after)
    assert policy.get_buffer("value_mean").item() == pytest.approx(np.mean(returns), rel=1e-4)
    assert policy.get_buffer("value_scale").item() == pytest.approx(np.std(returns), rel=1e-4)
    for layer in policy.critic:
        for parameter in layer.parameters():
            parameter.data.zero_()
    assert policy.values(torch.randn(3, 4 * 8 + 16)).tolist() == pytest.approx([np.mean(returns)] * 3, rel=1e-4)


def test_nothing_is_asked_of_the_critic_beyond_the_horizon(data):
    config, model, policy, _ = setting(data, discount=0.9, first_share=0.0, window=20)
    source = BatchSource(config, data, "cpu")
    batch = source.draw(np.random.default_rng(1))
    assert batch.windows.ended[:, -1].all(), "whole episodes of the suite's 20 steps"
    context = read_context(model, batch.windows, None, sample=False)
    steps = make_logged_trajectories(policy, context)
    assert (steps.discounts[-1] == 0).all()
    last = context.encoded.rewards[:, -5:].mean(dim=1)
    assert torch.allclose(steps.rewards[-1], context.encoded.rewards[:, -1] + last * 0.9 / 0.1, atol=1e-4)
    assert torch.equal(steps.rewards[:-1], context.encoded.rewards[:, :-1].T)
    assert batch.startable.nonzero()[:, 1].max() == 20 - 1 - config.horizon
    first = choose_starts(batch.startable, 8, 2)[1]
    assert (first + config.horizon < 20).all()
