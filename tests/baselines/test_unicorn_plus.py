"""unicorn-plus: the belief against plain loops, and what it is that it does not take for evidence."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from metabench_baselines.unicorn.model import OutcomeDecoder
from metabench_baselines.unicorn_plus.belief import Belief, measure_likelihoods

from metabench import DataError, Episode, Spaces, Step, TrainingRun, load_data, load_method, load_suite

from .bandit_setting import ARMS, HORIZON, make_bandits

SPACES = Spaces(2, 10, action_low=(-1.0,), action_high=(1.0,))


@pytest.fixture(scope="module")
def data():
    return load_data(load_suite("tiny"), "medium")


@pytest.fixture(scope="module")
def policy(data):
    return load_method("unicorn-plus", preset="tiny").train(data, TrainingRun(seed=0))


def test_likelihoods_are_those_of_gaussians_one_by_one():
    torch.manual_seed(0)
    decoder = OutcomeDecoder(SPACES, 3, 8)
    seen, codes = torch.randn(5, 3), torch.randn(4, 3)
    changes, rewards = torch.randn(5, 2), torch.randn(5, 1)
    with torch.no_grad():
        found = measure_likelihoods(decoder, seen, (changes, rewards), codes.expand(5, -1, -1))
        for row in range(5):
            for column in range(4):
                (mean, spread), (paid, paid_spread) = decoder(torch.cat([seen[row], codes[column]]))
                change = torch.distributions.Normal(mean, (spread / 2).exp()).log_prob(changes[row]).mean()
                reward = torch.distributions.Normal(paid, (paid_spread / 2).exp()).log_prob(rewards[row]).mean()
                constants = 2 * 0.5 * np.log(2 * np.pi)
                expected = 2 * (change + reward + constants)
                assert float(found[row, column]) == pytest.approx(float(expected), abs=1e-4)


def test_a_belief_is_a_softmax_and_codes_without_evidence_have_no_chance():
    codes = torch.eye(3)
    belief = Belief(codes, 2)
    torch.testing.assert_close(belief.weigh(1.0), torch.full((2, 3), 1 / 3))
    more = torch.cat([codes, torch.full((1, 3), 7.0)])
    belief.learn(torch.tensor([False, True]), more, torch.tensor([0.0, 1.0, 2.0, 3.0]))
    weights = np.exp(np.arange(4) / 2) / np.exp(np.arange(4) / 2).sum()
    np.testing.assert_allclose(belief.weigh(0.5)[1], weights, rtol=1e-6)
    np.testing.assert_allclose(belief.weigh(0.5)[0], [1 / 3, 1 / 3, 1 / 3, 0.0], rtol=1e-6)
    np.testing.assert_allclose(belief.average(0.5)[1], weights @ more.numpy(), rtol=1e-6)


def walk(policy, episode, scored=True):
    """One lane that sees a logged episode, whatever it does; its actions."""
    actions = []
    for timestep in range(len(episode)):
        before = max(timestep - 1, 0)
        known = np.float32(timestep > 0)
        step = Step(
            episode.observations[timestep : timestep + 1],
            episode.actions[before : before + 1] * known,
            episode.rewards[before : before + 1] * known,
            np.array([timestep]),
            np.array([True]),
            np.array([scored]),
        )
        actions.append(policy.act(step)[0])
    return np.stack(actions)


def test_evidence_step_by_step_is_that_of_the_whole_episode(policy, data):
    episode = data.episode(0)
    policy.reset([0], [0])
    walk(policy, episode)
    running = policy._belief.evidence[0].numpy()
    count = len(episode) - 1  # its last transition reaches a policy as support only
    whole = policy._measure(
        episode.observations[:count],
        episode.actions[:count],
        episode.rewards[:count],
        episode.observations[1 : count + 1],
        policy._trained.codes.unsqueeze(0),
    )
    np.testing.assert_allclose(running, whole.detach().sum(0), rtol=1e-4, atol=1e-3)


def test_the_order_of_support_is_nothing_and_its_own_walk_is_drawn_by_the_seed(policy, data):
    episodes = [data.episode(index) for index in range(3)]
    beliefs = []
    for support in (episodes, episodes[::-1]):
        policy.reset([0], [0])
        policy.adapt({0: support})
        known = len(policy._trained.codes)
        beliefs.append(policy._belief.evidence[0, :known].numpy())
    np.testing.assert_allclose(*beliefs, rtol=1e-4, atol=1e-3)
    walks = []
    for seed in (1, 1, *range(2, 8)):
        policy.reset([0], [seed])
        walks.append(walk(policy, episodes[0], scored=False))
    np.testing.assert_array_equal(walks[0], walks[1])
    assert any(not np.array_equal(walks[0], each) for each in walks[2:])


def test_a_policy_without_its_decoders_is_refused(policy, data, tmp_path):
    policy.save(tmp_path)
    shutil.rmtree(tmp_path / "decoder")
    with pytest.raises(DataError, match="decoder"):
        load_method("unicorn-plus", preset="tiny").load(tmp_path, data.spaces)


def test_a_prediction_is_the_mixture_of_what_each_code_foretells(policy, data):
    """One lane, one step: against the decoders asked code by code."""
    episode = data.episode(0)
    policy.reset([0], [0])
    actions = episode.actions[None, :1]
    start = Episode(episode.observations[:1], episode.actions[:0], episode.rewards[:0], False, False)
    found = policy.predict([start], actions)
    scales, codes = policy._trained.scales, policy._trained.codes
    observation = torch.as_tensor(episode.observations[:1])
    features = torch.as_tensor(data.spaces.action_features(actions[:, 0]))
    means, spreads = [], []
    with torch.no_grad():
        for code in codes:
            inputs = torch.cat([scales.scale_observation(observation), features, code[None]], -1)
            (change, _), (reward, log_variance) = policy._decoder(inputs)
            means.append(float(reward * scales.get_buffer("reward")))
            spreads.append(float((log_variance / 2).exp() * scales.get_buffer("reward")))
    second = np.mean(np.square(means) + np.square(spreads))
    assert float(found.rewards[0, 0]) == pytest.approx(np.mean(means), abs=1e-5)
    assert float(found.reward_deviations[0, 0]) == pytest.approx(np.sqrt(second - np.mean(means) ** 2), rel=1e-4)
    if len(codes) == 1:
        expected = observation + change * scales.get_buffer("change")
        np.testing.assert_allclose(found.observations[0, 0], expected[0], rtol=1e-5)


@pytest.mark.slow
def test_what_was_tried_is_not_taken_for_what_pays():
    """In the data a task's arm is the one that is pulled; here two arms are pulled that do not pay: it is the third."""
    data = make_bandits(tasks=9)
    overrides = {"updates": 800, "tasks_per_update": 8, "context_length": 32, "encoder_width": 32}
    policy = load_method("unicorn-plus", preset="tiny", overrides=overrides).train(data, TrainingRun(seed=0))
    arms = np.array([task for task in range(9) if task not in data.validation_tasks]) % ARMS
    observations = np.zeros((HORIZON + 1, 2), np.float32)
    for best in range(ARMS):
        pulled = (best + 1 + np.arange(HORIZON) % 2) % ARMS
        episode = Episode(observations, pulled, np.zeros(HORIZON, np.float32), False, True)
        policy.reset([0], [0])
        policy.adapt({0: [episode]})
        weights = policy._belief.weigh(1.0)[0, : len(arms)].numpy()
        chances = [weights[arms == arm].sum() for arm in range(ARMS)]
        assert int(np.argmax(chances)) == best
        assert chances[best] > 0.5 * sum(chances)
