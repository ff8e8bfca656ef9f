"""ic-iql and s-icql: what sees what, and acting step by step."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from metabench_baselines.common.in_context.transition_policy import TransitionPolicy
from metabench_baselines.ic_iql.codes import encode_transitions, pool_codes
from metabench_baselines.ic_iql.config import ICIQLConfig, SICQLConfig
from metabench_baselines.ic_iql.model import ICIQLNetwork, SICQLNetwork
from metabench_baselines.ic_iql.policy import SICQLPolicy
from metabench_baselines.meta_dt.policy import encode_episode
from metabench_baselines.meta_dt.world_model import WorldModel

from tests.baselines.bandit_setting import ARMS, HORIZON, SPACES, make_bandits
from tests.baselines.test_ad import CONTINUOUS, DISCRETE, make_episode, make_network, read_replay
from tests.baselines.test_ic_iql import draw, small


def test_both_states_of_a_transition_see_the_context_before_them_and_no_other_state():
    config, data = small(), make_bandits().to("cpu")
    network = make_network(config, SPACES, ICIQLNetwork)
    trials = draw(config, data, [0, 4, 4, 9], network)
    seen, states = trials.seen.clone(), trials.states.clone()
    seen[:, 4] += 1
    states[:, 1] += 1
    with torch.no_grad():
        results = [
            network.gather_states(each)
            for each in (trials, dataclasses.replace(trials, seen=seen), dataclasses.replace(trials, states=states))
        ]
    for name, unmoved in (("state", [0, 2, 3]), ("next_state", [0, 1, 2, 3])):
        before, later, other = (getattr(each, name).view(4, 4, -1) for each in results)
        assert torch.allclose(before[:, :3], later[:, :3], atol=1e-6)
        assert not torch.isclose(before[:, 3], later[:, 3], atol=1e-5).all(-1).any()
        assert torch.allclose(before[:, unmoved], other[:, unmoved], atol=1e-6)
    assert not torch.isclose(results[0].state.view(4, 4, -1)[:, 1], other[:, 1], atol=1e-5).all(-1).any()


def test_trials_are_transitions_of_their_context_s_task():
    data = make_bandits()
    network = make_network(small(), SPACES, ICIQLNetwork)
    trials = draw(small(), data.to("cpu"), [0, 5, 15], network, count=40)
    paid_by_context = trials.seen[..., 2 : 2 + ARMS][..., None, :] * (trials.seen[..., 2 + ARMS, None, None] > 0)
    best = paid_by_context.sum((1, 2)).argmax(-1)
    assert torch.equal(trials.rewards > 0, trials.labels.argmax(-1) == best[:, None])
    rows = np.flatnonzero((data.columns.observations[None] == trials.states.reshape(-1, 1, 2).numpy()).all(-1).any(0))
    after = data.columns.observations[rows + 1]
    found = (after[None] == trials.next_states.reshape(-1, 1, 2).numpy()).all(-1).any(1)
    assert found.all()
    assert trials.continues.all()  # nothing but time ends a bandit


@torch.no_grad()
def predict_at_once(network, config, spaces, kept, running, now):
    """The policy's features for step `now` of `running` after `kept` episodes, from one pass over all tokens."""
    stride = config.choose_stride(spaces.horizon)
    seen = [(episode, time) for episode in kept for time in range((len(episode) - 1) % stride, len(episode), stride)]
    if config.own_transitions:
        seen += [(running, time) for time in range(now) if (time + 1) % stride == 0]

    def describe(episode, time):
        if isinstance(network, SICQLNetwork):
            codes = encode_episode(network.world_model, spaces, episode)
            return codes[max(time - stride + 1, 0) + 1 : time + 2].mean(0)
        arrays = (
            episode.observations[time],
            spaces.action_features(episode.actions)[time],
            episode.rewards[time],
            episode.observations[time + 1],
        )
        return network.describe_transitions(*(torch.as_tensor(np.asarray(each, np.float32)) for each in arrays))

    asked = network.embed_queries(torch.as_tensor(running.observations[now]))
    tokens = [*(network.embed_seen(describe(*each)) for each in seen), asked]
    visible = torch.ones(1, len(tokens), dtype=torch.bool)
    return network.read(network.transformer(torch.stack(tokens)[None], visible))[0, -1].numpy()


@pytest.mark.parametrize("steps_per_episode", [9, 4])
@pytest.mark.parametrize("spaces", [CONTINUOUS, DISCRETE], ids=["continuous", "discrete"])
@pytest.mark.parametrize("codes", [False, True], ids=["ic-iql", "s-icql"])
def test_acting_step_by_step_equals_one_pass_over_the_context(codes, spaces, steps_per_episode):
    config = small(SICQLConfig if codes else ICIQLConfig, steps_per_episode=steps_per_episode)
    network = make_network(config, spaces, SICQLNetwork if codes else ICIQLNetwork)
    policy = (SICQLPolicy if codes else TransitionPolicy)(network, spaces, config)
    running = [make_episode(spaces, 9, seed) for seed in range(3)]
    support = {
        0: [make_episode(spaces, length, length) for length in (9, 5, 9)],  # of which two fit
        1: [make_episode(spaces, 1, 30), make_episode(spaces, 7, 31)],
    }
    features = read_replay(policy, running, support)
    for lane, episode in enumerate(running):
        for now in range(9):
            expected = predict_at_once(network, config, spaces, support.get(lane, [])[-2:], episode, now)
            assert features[now, lane] == pytest.approx(expected, abs=1e-4)


def test_pooled_codes_are_means_over_stretches_of_their_own_episode():
    codes = torch.randn(7, 3)
    for stride in (1, 3, 10):
        pooled = pool_codes(codes, stride)
        for step in range(7):
            assert torch.allclose(pooled[step], codes[max(0, step - stride + 1) : step + 1].mean(0), atol=1e-6)
    config, data = small(SICQLConfig), make_bandits(tasks=2, episodes=4, stages=2)
    model = WorldModel(config.world_model_config, SPACES)
    model.measure(data)
    every = encode_transitions(model, data, 2)
    alone = pool_codes(encode_episode(model, SPACES, data.episode(3))[1:], 2)
    assert torch.allclose(every[3 * HORIZON : 4 * HORIZON], alone, atol=1e-6)


def test_without_a_context_all_lanes_are_of_one_policy():
    config = small()
    network = make_network(config, CONTINUOUS, ICIQLNetwork)
    policy = TransitionPolicy(network, CONTINUOUS, config)
    episodes = [make_episode(CONTINUOUS, 9, 5)] * 3
    support = {0: [make_episode(CONTINUOUS, 9, 6)], 1: [], 2: []}
    informed, first, second = read_replay(policy, episodes, support)[0]
    assert first == pytest.approx(second, abs=1e-6)
    assert np.abs(informed - first).max() > 1e-3
    with torch.no_grad():
        token = network.embed_queries(torch.as_tensor(episodes[0].observations[0]))[None, None]
        alone = network.read(network.transformer(token, torch.ones(1, 1, dtype=torch.bool)))[0, 0].numpy()
    assert first == pytest.approx(alone, abs=1e-5)
