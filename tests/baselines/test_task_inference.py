"""Methods with a context encoder: losses against plain loops, and what a code does and does not depend on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from metabench_baselines.common.task_inference.config import TaskInferenceConfig
from metabench_baselines.common.task_inference.encoder import Scales
from metabench_baselines.common.task_inference.train import Batches
from pydantic import ValidationError

from metabench import MethodError, Step, TrainingRun, load_data, load_method, load_suite

FAMILY = ("focal", "csro", "corro", "unicorn", "unicorn-idaq", "unicorn-plus")


@pytest.fixture(scope="module")
def data():
    return load_data(load_suite("tiny"), "medium")


@pytest.fixture(scope="module")
def policy(data):
    return load_method("focal/own_transitions", preset="tiny").train(data, TrainingRun(seed=0))


def make_step(observation, action, reward, timestep, scored=True) -> Step:
    lanes = len(observation)
    return Step(
        observation.astype(np.float32),
        action,
        np.asarray(reward, np.float32),
        np.full(lanes, timestep),
        np.ones(lanes, bool),
        np.full(lanes, scored),
    )


def act_through(policy, episode) -> np.ndarray:
    """Actions of one lane that sees a logged episode, whatever it does."""
    policy.reset([0], [0])
    return act_on(policy, episode)


def act_on(policy, episode) -> np.ndarray:
    actions = []
    for timestep in range(len(episode)):
        before = max(timestep - 1, 0)
        first = timestep == 0
        action = np.zeros_like(episode.actions[:1]) if first else episode.actions[before : before + 1]
        reward = np.zeros(1) if first else episode.rewards[before : before + 1]
        observation = episode.observations[timestep : timestep + 1]
        actions.append(policy.act(make_step(observation, action, reward, timestep))[0])
    return np.stack(actions)


def test_a_running_code_is_the_mean_over_the_batch(policy, data):
    """Step by step, an episode's code is the mean of the embeddings of its transitions so far."""
    episode = data.episode(0)
    act_through(policy, episode)
    running = (policy._total / policy._count)[0].numpy()
    whole = policy.task_codes([episode], len(episode) - 1)[0]  # its last transition is not seen while it acts
    np.testing.assert_allclose(running, whole, atol=1e-6)


def test_the_order_of_support_and_of_its_transitions_is_nothing(policy, data):
    episodes = [data.episode(index) for index in range(3)]
    first = np.zeros((1, data.spaces.observation_dim))
    start = make_step(first, np.zeros_like(episodes[0].actions[:1]), [0.0], 0)

    def act_after(support):
        policy.reset([0], [0])
        policy.adapt({0: support})
        return policy.act(start)

    np.testing.assert_allclose(act_after(episodes), act_after(episodes[::-1]), atol=1e-6)
    joined = [replace_observations(episodes)]
    np.testing.assert_allclose(act_after(episodes), act_after(joined), atol=1e-5)


def replace_observations(episodes):
    """All transitions of several episodes as one, in another order; each keeps what it led to."""
    one = episodes[0]
    count = len(one)
    assert all(len(each) == count for each in episodes)
    before = np.concatenate([each.observations[:-1] for each in episodes])
    after = np.concatenate([each.observations[1:] for each in episodes])
    order = np.random.default_rng(0).permutation(len(before))
    return Shuffled(
        before[order],
        after[order],
        np.concatenate([each.actions for each in episodes])[order],
        np.concatenate([each.rewards for each in episodes])[order],
    )


class Shuffled:
    """Looks like an episode to who slices its observations into before and after."""

    def __init__(self, before, after, actions, rewards):
        self.observations = Halves(before, after)
        self.actions, self.rewards = actions, rewards


class Halves:
    def __init__(self, before, after):
        self.before, self.after = before, after

    def __getitem__(self, part):
        return self.before if part == slice(None, -1) else self.after


def test_without_any_transition_the_code_is_zero_as_in_training(policy, data):
    policy.reset([0, 1], [3, 4])
    observation = np.ones((2, data.spaces.observation_dim))
    acted = policy.act(make_step(observation, np.zeros((2, data.spaces.action_dim), np.float32), [0, 0], 0))
    state = policy._trained.scales.describe_state(
        torch.ones(1, data.spaces.observation_dim), torch.zeros(1), torch.zeros(1, policy._config.code_dim)
    )
    expected = data.spaces.actions_from_features(policy._trained.networks.actor(state).detach().numpy())
    np.testing.assert_allclose(acted, np.repeat(expected, 2, 0), atol=1e-6)


def test_empty_and_partial_contexts_are_drawn_as_configured(data):
    config = TaskInferenceConfig(tasks_per_update=400, context_length=8, empty_contexts=0.25)
    scales = Scales(data.spaces)
    scales.fit(data)
    context = Batches(config, data.to("cpu"), scales).draw_context(TrainingRun(seed=0), "context", 1)
    lengths = context.weights.sum(1).numpy()
    assert (lengths == 0).mean() == pytest.approx(0.25, abs=0.07)
    assert np.histogram(lengths, np.arange(1, 10))[0].min() > 15
    assert context.changes.std().item() == pytest.approx(1.0, abs=0.3)
    assert context.rewards.std().item() == pytest.approx(1.0, abs=0.3)


def test_without_replacement_no_two_contexts_are_of_one_task(data):
    for replacement in (True, False):
        config = TaskInferenceConfig(tasks_per_update=2, replacement=replacement)
        batches = Batches(config, data.to("cpu"), Scales(data.spaces))
        drawn = [batches.draw_context(TrainingRun(seed=0), "context", update).tasks for update in range(20)]
        assert any(len(set(tasks.tolist())) < 2 for tasks in drawn) == replacement


def test_a_time_limit_is_no_end(data):
    """`tiny` never ends by itself: after every transition there is a value."""
    config = TaskInferenceConfig(tasks_per_update=2, transitions_per_task=200)
    scales = Scales(data.spaces)
    batch = Batches(config, data.to("cpu"), scales).draw_transitions(
        TrainingRun(seed=0), 1, torch.tensor([0, 1]), torch.zeros(2, config.code_dim)
    )
    last = batch.next_state[:, data.spaces.observation_dim] == 1  # the horizon is reached
    assert last.any()
    assert bool((batch.continues == 1).all())


@pytest.mark.slow
def test_a_random_first_episode_does_not_depend_on_what_was_learned(data):
    method = load_method("csro", preset="tiny")
    policies = [method.train(data, TrainingRun(seed=seed)) for seed in (0, 1)]
    lanes, dim = 500, data.spaces.action_dim
    observation = np.zeros((lanes, data.spaces.observation_dim))
    start = make_step(observation, np.zeros((lanes, dim), np.float32), np.zeros(lanes), 0, scored=False)
    drawn = []
    for policy in policies:
        policy.reset(list(range(lanes)), list(range(lanes)))
        drawn.append(policy.act(start))
    np.testing.assert_array_equal(*drawn)
    low, high = np.array(data.spaces.action_low), np.array(data.spaces.action_high)
    places = (drawn[0] - low) / (high - low)
    np.testing.assert_allclose(places.mean(0), 0.5, atol=0.05)
    np.testing.assert_allclose(places.std(0), 12**-0.5, atol=0.03)
    for policy in policies:  # in the second one, and in scored ones, it acts as learned
        policy.reset([0], [0])
        one = make_step(observation[:1], np.zeros((1, dim), np.float32), [0.0], 0, scored=False)
        policy.adapt({0: [data.episode(0)]})
        learned = policy.act(one)
        policy.reset([0], [1])
        policy.adapt({0: [data.episode(0)]})
        np.testing.assert_array_equal(policy.act(one), learned)


@pytest.mark.slow
def test_idaq_reads_its_best_episode_and_explores_by_known_tasks(data):
    policy = load_method("unicorn-idaq", preset="tiny").train(data, TrainingRun(seed=0))
    episodes = [data.episode(index) for index in range(4)]
    best = max(episodes, key=lambda episode: episode.rewards.sum())
    start = make_step(
        np.zeros((1, data.spaces.observation_dim)), np.zeros((1, data.spaces.action_dim), np.float32), [0.0], 0
    )
    acted = []
    for support in (episodes, [best]):
        policy.reset([0], [0])
        policy.adapt({0: support})
        acted.append(policy.act(start))
    np.testing.assert_array_equal(*acted)
    exploring = replace(start, scored=np.zeros(1, bool))
    lanes = []
    for seed in range(40):
        policy.reset([0], [seed])
        lanes.append(policy.act(exploring)[0])
    assert len(np.unique(np.round(lanes, 6), axis=0)) == len(policy._trained.codes)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILY)
def test_one_task_is_refused_in_one_line(name, data):
    alone = data.part([0])
    with pytest.raises(MethodError) as caught:
        load_method(name, preset="tiny").train(alone, TrainingRun(seed=0))
    assert str(caught.value) == (
        "tiny: a context encoder needs at least 2 training tasks to tell apart, found 1; expected another suite, or bc"
    )


def test_exploring_by_other_tasks_codes_takes_a_selection():
    with pytest.raises(ValidationError, match="expected best_episodes"):
        TaskInferenceConfig(exploration="training-codes")


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILY)
def test_backbones_for_continuous_actions_are_refused_on_discrete_suites(name):
    discrete = load_data(load_suite("tiny-discrete"), "medium")
    method = load_method(f"{name}", preset="tiny", suite="tiny-discrete", overrides={"backbone": "td3bc"})
    with pytest.raises(MethodError, match="takes continuous actions; expected iql or bc"):
        method.train(discrete, TrainingRun(seed=0))
