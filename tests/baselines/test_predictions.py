"""What built-in policies predict: the same as what they act by, step by step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from metabench_baselines.common.planning.open_loop import predict_open_loop
from metabench_baselines.common.planning.rows import Answers
from metabench_baselines.fitted_models import RidgeModel
from metabench_baselines.twm_plus.inspect.diagnostics import measure_open_loop
from metabench_baselines.twm_plus.predict import predict_episodes
from metabench_baselines.twm_plus.support import make_episode_sequences

from metabench import Episode, TrainingRun, load_data, load_method

from .twm_setting import setting

SEEN, AHEAD = 6, 5


@pytest.fixture
def data(tiny_built):
    return load_data("tiny", "medium")


def cut(episode, steps):
    return Episode(episode.observations[: steps + 1], episode.actions[:steps], episode.rewards[:steps], False, False)


def list_episodes(data, count=4):
    return [data.columns.episode(3 * number) for number in range(count)]


def test_open_loop_asks_about_what_was_answered_and_adds_variances():
    def double(observations, actions):
        reached = 2.0 * observations + actions
        spread = torch.full_like(observations, 3.0)
        return Answers(reached, spread, reached.sum(2), spread.sum(2), torch.zeros(observations.shape[:2]))

    actions = torch.tensor([[[[1.0], [0.0], [5.0]]]])
    observations, rewards, _, spread, _ = predict_open_loop(double, torch.tensor([[[1.0]]]), actions)
    assert observations.flatten().tolist() == [3.0, 6.0, 17.0]
    assert rewards.flatten().tolist() == [3.0, 6.0, 17.0]
    assert spread.flatten().tolist() == pytest.approx([3.0, 18.0**0.5, 27.0**0.5])


def test_a_planner_predicts_by_its_support_else_by_the_prefix(data):
    """`tiny` is linear in state and action, so that a fitted line tells where actions lead."""
    policy = RidgeModel().train(data, TrainingRun(0))
    episodes = list_episodes(data)
    actions = np.stack([episode.actions[SEEN : SEEN + AHEAD] for episode in episodes])
    true = np.stack([episode.observations[SEEN + 1 : SEEN + AHEAD + 1] for episode in episodes])
    policy.reset([0, 1, 1, 0], [0, 1, 2, 3])
    before = policy.predict([cut(episode, SEEN) for episode in episodes], actions).observations
    policy.adapt({0: [data.columns.episode(1)], 1: [data.columns.episode(2)]})
    after = policy.predict([cut(episode, SEEN) for episode in episodes], actions).observations
    assert np.abs(after - true).max() < 0.01
    assert not np.array_equal(before, after)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["meta-dt", "meta-dt-plus"])
def test_decoders_predict_one_step_as_they_are_judged_in_training(data, name):
    policy = load_method(name, preset="tiny", suite="tiny").train(data, TrainingRun(0))
    model, episodes = policy.world_model, list_episodes(data)
    policy.reset([0, 1, 2, 3], [0, 1, 2, 3])
    actions = np.stack([episode.actions[SEEN : SEEN + 1] for episode in episodes])
    said = policy.predict([cut(episode, SEEN) for episode in episodes], actions)
    for lane, episode in enumerate(episodes):
        scaled = model.scales(
            episode.observations[None, :-1],
            data.spaces.action_features(episode.actions)[None],
            episode.rewards[None],
            episode.observations[None, 1:],
        )
        with torch.no_grad():
            code = model.encode(scaled)[:, SEEN]
            step = {key: values[:, SEEN] for key, values in scaled.items()}
            change = model.decoders(step, code)[1]
            reward = model.decoders({**step, "changes": change}, code)[0]
        moved = change * model.scales.change_deviation + model.scales.change_mean
        earned = reward * model.scales.reward_deviation + model.scales.reward_mean
        assert said.observations[lane, 0] == pytest.approx(episode.observations[SEEN] + moved[0].numpy(), abs=1e-5)
        assert said.rewards[lane, 0] == pytest.approx(float(earned), abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("seen", [0, SEEN])
def test_twm_predicts_as_its_diagnostics_do(data, seen):
    _, model, _, _ = setting(data)
    episodes = list_episodes(data)
    stops = [seen + AHEAD] * len(episodes)
    windows = make_episode_sequences(episodes, [0] * len(episodes), stops, data.spaces, "cpu")
    errors, _, rewards = measure_open_loop(model, windows, seen)
    actions = np.stack([episode.actions[seen : seen + AHEAD] for episode in episodes])
    said = predict_episodes(model, data.spaces, [cut(episode, seen) for episode in episodes], actions, None)
    true = np.stack([episode.observations[seen + 1 : seen + AHEAD + 1] for episode in episodes])
    off = (said.observations - true) / model.observation.get_buffer("deviation").numpy()
    assert off == pytest.approx(errors.transpose(0, 1).numpy(), abs=1e-4)
    assert said.rewards == pytest.approx(rewards.T.numpy(), abs=1e-4)
    assert ((said.ends >= 0) & (said.ends <= 1)).all()
