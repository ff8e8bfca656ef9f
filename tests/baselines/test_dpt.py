"""The Decision-Pretrained Transformer: what is known of a task decides, in whatever order it was seen."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from metabench_baselines.common.in_context.train import measure_losses
from metabench_baselines.dpt import DPT, DPTOwnActions
from metabench_baselines.dpt.config import DPTConfig, DPTOwnActionsConfig
from metabench_baselines.dpt.contexts import ExpertLabels, OwnActions, QuerySource
from metabench_baselines.dpt.model import DPTNetwork, Queries
from metabench_baselines.dpt.policy import DPTPolicy

from metabench import DataError, MethodError, TrainingRun, load_data
from tests.baselines.bandit_setting import ARMS, HORIZON, SPACES, act_episodes, make_bandits
from tests.baselines.test_ad import CONTINUOUS, DISCRETE, make_episode, make_network, read_replay

SIZE = {"width": 16, "layers": 2, "heads": 2, "episodes": 3, "sampling": "never", "queries": 6, "warmup": 20}


def small(**fields):
    return DPTConfig(**{**SIZE, "random_support": 0.0, "kept_support": "last", **fields})


@torch.no_grad()
def predict_at_once(network, config, spaces, kept, running, now):
    """The prediction for step `now` of `running` after `kept` episodes, from one pass over all tokens."""
    stride = config.choose_stride(spaces.horizon)
    seen = [(episode, time) for episode in kept for time in range((len(episode) - 1) % stride, len(episode), stride)]
    if config.own_transitions:
        seen += [(running, time) for time in range(now) if (time + 1) % stride == 0]
    rows = [
        (
            episode.observations[time],
            spaces.action_features(episode.actions)[time],
            episode.rewards[time],
            episode.observations[time + 1],
        )
        for episode, time in seen
    ]
    shapes = (spaces.observation_dim, spaces.action_dim, None, spaces.observation_dim)
    columns = [
        torch.as_tensor(np.array([row[i] for row in rows], np.float32).reshape((1, -1, size) if size else (1, -1)))
        for i, size in enumerate(shapes)
    ]
    count = len(rows)
    asked = torch.as_tensor(running.observations[now])[None, None]
    memory = torch.ones(1, count + 1, dtype=torch.bool)
    query = Queries(
        memory, torch.tensor([count]), torch.zeros(0), memory, np.zeros(0), *columns, asked, torch.arange(count + 1)
    )
    return network(query)[0, 0].numpy()


@pytest.mark.parametrize("own_transitions", [True, False])
@pytest.mark.parametrize("steps_per_episode", [9, 4])
@pytest.mark.parametrize("spaces", [CONTINUOUS, DISCRETE], ids=["continuous", "discrete"])
def test_acting_step_by_step_equals_one_pass_over_the_context(spaces, steps_per_episode, own_transitions):
    config = small(steps_per_episode=steps_per_episode, own_transitions=own_transitions)
    network = make_network(config, spaces, DPTNetwork)
    policy = DPTPolicy(network, spaces, config)
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


def draw(config, data, lengths, count=4, seed=0):
    source = QuerySource(config, data, ExpertLabels(data))
    generator = np.random.default_rng(seed)
    return source.draw_after(generator, generator.integers(data.num_tasks, size=count), np.array(lengths))


def test_a_state_sees_the_transitions_before_it_and_no_other_state():
    config, data = small(), make_bandits().to("cpu")
    network = make_network(config, SPACES, DPTNetwork)
    queries = draw(config, data, [0, 4, 4, 9])
    rewards, asked = queries.rewards.clone(), queries.asked.clone()
    rewards[:, 4] += 1
    asked[:, 1] += 1
    with torch.no_grad():
        before = network(queries)
        later = network(dataclasses.replace(queries, rewards=rewards))
        other = network(dataclasses.replace(queries, asked=asked))
    assert torch.allclose(before[:, :3], later[:, :3], atol=1e-6)
    assert not torch.isclose(before[:, 3], later[:, 3], atol=1e-5).all(-1).any()
    assert torch.allclose(before[:, [0, 2, 3]], other[:, [0, 2, 3]], atol=1e-6)
    assert not torch.isclose(before[:, 1], other[:, 1], atol=1e-5).all(-1).any()


def test_contexts_and_states_are_of_one_task_and_labels_are_the_expert_s():
    data = make_bandits()
    for share in (0.0, 1.0):
        queries = draw(small(trajectory_contexts=share), data.to("cpu"), [0, 7, 15], count=30)
        best = queries.labels.argmax(-1).numpy()
        assert (best == best[:, :1]).all()
        paid = queries.rewards.numpy() > 0
        assert (queries.actions.argmax(-1).numpy() == best[:, :1])[paid].all()
        assert (queries.known == [0, 1, 3]).all()
        seen = queries.observations.numpy().reshape(-1, 2)
        starts = (data.columns.observations[:: HORIZON + 1][None] == seen[:, None]).all(-1).any(1).reshape(30, -1)
        assert starts[:, ::HORIZON].all() == (share == 1.0)


def test_own_actions_are_of_the_best_episodes():
    data = make_bandits()
    config = DPTOwnActionsConfig(**SIZE, best_share=0.1)
    states, labels = OwnActions(config, data.to("cpu")).draw(np.random.default_rng(0), np.arange(6), 300)
    assert (states.tasks.numpy() == np.arange(6)[:, None]).all()
    assert torch.equal(labels, states.actions)
    for task in range(6):
        ranked = np.sort(data.episode_returns[data.columns.tasks == task])
        drawn = np.unique(states.episodes[task].numpy())
        assert len(drawn) == 4
        assert np.array_equal(np.sort(data.episode_returns[drawn]), ranked[-4:])


@pytest.mark.slow
def test_the_loss_falls_with_what_is_known_and_the_policy_finds_the_arm():
    data = make_bandits()
    run = TrainingRun(0)
    policy = DPT(small(updates=200, learning_rate=3e-3)).train(data, run)
    losses = measure_losses(policy._network, draw(small(), data.to("cpu"), [0, 1, 2, 5, 10, 15], 200))
    assert losses[0] > losses[1] > losses[2] > losses[3]
    nothing = measure_losses(policy._network, draw(small(), data.to("cpu"), [0], 200))
    assert nothing[0] == pytest.approx(np.log(ARMS), abs=0.1)
    assert losses[3] < 0.1
    assert run.summary["validation_loss_after_2_episodes"] < run.summary["validation_loss_after_0_episodes"]
    best = np.arange(30) % ARMS
    support = {lane: [episode_of_arms(arm)] for lane, arm in enumerate(best)}
    acted = act_episodes(policy, best, support, list(range(30)), scored=True)
    assert np.mean([episode.total_return for episode in acted]) > 0.95 * HORIZON


def episode_of_arms(best):
    """Every arm was tried."""
    episode = make_episode(SPACES, HORIZON, int(best))
    actions = np.arange(HORIZON) % ARMS
    return dataclasses.replace(episode, actions=actions, rewards=(actions == best).astype(np.float32))


@pytest.mark.slow
def test_labels_of_noise_make_a_uniform_policy():
    data = make_bandits(noisy_labels=True)
    policy = DPT(small(updates=100)).train(data, TrainingRun(0))
    queries = draw(small(), make_bandits(noisy_labels=True).to("cpu"), [0, 5, 10, 15], 200, seed=3)
    with torch.no_grad():
        shares = policy._network(queries).softmax(-1)
    assert shares.mean((0, 1)).numpy() == pytest.approx(np.full(ARMS, 1 / ARMS), abs=0.05)
    assert (shares - 1 / ARMS).abs().mean() < 0.07


@pytest.mark.slow
def test_without_labels_the_best_episodes_are_imitated():
    data = make_bandits()
    policy = DPTOwnActions(DPTOwnActionsConfig(**SIZE, updates=120, learning_rate=3e-3)).train(data, TrainingRun(0))
    best = np.arange(30) % ARMS
    support = {lane: [episode_of_arms(arm)] for lane, arm in enumerate(best)}
    acted = act_episodes(policy, best, support, list(range(30)), scored=True)
    assert np.mean([episode.total_return for episode in acted]) > 0.9 * HORIZON


@pytest.mark.slow
def test_data_without_labels_and_a_single_task_are_refused(tiny_built):
    method = DPT(DPT.presets("tiny")["tiny"])
    with pytest.raises(DataError, match=r"^dataset medium of tiny has no expert labels: expected expert-actions$"):
        method.train(load_data("tiny", "medium"), TrainingRun(0))
    with pytest.raises(MethodError, match=r"needs at least 2 training tasks to tell apart, found 1; expected another"):
        method.train(load_data("tiny", "expert-actions").part([0]), TrainingRun(0))
