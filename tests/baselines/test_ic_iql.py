"""ic-iql and s-icql: losses whose values are known, and an arm that values find in context."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from metabench_baselines.common.in_context.transition_policy import TransitionPolicy
from metabench_baselines.ic_iql import ICIQL, SICQL
from metabench_baselines.ic_iql.config import ICIQLConfig
from metabench_baselines.ic_iql.contexts import Trials, TrialSource
from metabench_baselines.ic_iql.model import ICIQLNetwork, measure_returns

from metabench import (
    CancelledError,
    Config,
    MetabenchError,
    MethodError,
    Spaces,
    TrainingData,
    TrainingRun,
    load_data,
    load_method,
)
from tests.baselines.bandit_setting import ARMS, HORIZON, SPACES, act_episodes, make_bandits
from tests.baselines.test_ad import make_episode, make_network, read_replay, replay
from tests.baselines.test_dpt import episode_of_arms

SIZE = {"width": 16, "layers": 2, "heads": 2, "episodes": 3, "sampling": "never", "queries": 6, "warmup": 20}


def small(config_class: type[ICIQLConfig] = ICIQLConfig, **fields) -> ICIQLConfig:
    return config_class(**{**SIZE, "actor_width": 16, "random_support": 0.0, "kept_support": "last", **fields})


def draw(config, data, lengths, network, count=4, seed=0) -> Trials:
    def describe(index):
        seen = data.transitions(index)
        return network.describe_transitions(seen.observations, seen.actions, seen.rewards, seen.next_observations)

    source, generator = TrialSource(config, data, describe), np.random.default_rng(seed)
    return source.draw_after(generator, generator.integers(data.num_tasks, size=count), np.array(lengths))


# One state, two arms that pay 0 and 1, whose target value is what they pay.
TWO_ARMS = Spaces(1, 4, num_actions=2)


def make_two_arms(value: float, policy: tuple[float, float] = (0.5, 0.5), **fields) -> tuple[ICIQLNetwork, Trials]:
    """A network whose heads say what they are told whatever they read, and a batch in which each arm was tried once.

    Arm 0 ended the episode, arm 1 was cut off by a time limit.
    """
    config = small(actor_depth=1, queries=2, discount=0.5, **fields)
    network = make_network(config, TWO_ARMS, ICIQLNetwork)
    heads = network.actor_critic
    for parameter in heads.parameters():
        parameter.data.zero_()
    for critic in (heads.critic, heads.target_critic):
        critic.layers[0].weight.data[:, -1, 0] = 1.0  # reads whether it is arm 1
        critic.layers[1].weight.data[:, 0] = 1.0
    heads.value[-1].bias.data.fill_(value)
    heads.actor.layers[-1].bias.data = torch.tensor(policy, dtype=torch.float32).log()
    size = network.transition.in_features
    states = torch.zeros(1, 2, 1)
    trials = Trials(
        memory=torch.tensor([[True, False, False, False, False]]),
        places=torch.tensor([1, 2]),
        labels=torch.eye(2)[None],
        counted=torch.ones(1, 2, dtype=torch.bool),
        known=np.zeros(2, np.int64),
        seen=torch.zeros(1, 1, size),
        states=states,
        rewards=torch.tensor([[0.0, 1.0]]),
        next_states=states,
        continues=torch.tensor([[0.0, 1.0]]),
        next_places=torch.tensor([3, 4]),
        order=torch.arange(5),
    )
    return network, trials


def test_values_rest_at_the_expectile_of_what_actions_are_worth():
    """The expectile m of 0 and 1 at level t solves t (1 - m) = (1 - t) m, so that m = t."""
    for value, sign in ((0.6, -1), (0.8, 0), (0.9, 1)):
        network, trials = make_two_arms(value, expectile=0.8)
        loss, info = network.compute_loss(trials)
        expected = (0.8 * (1 - value) ** 2 + 0.2 * value**2) / 2
        assert info["value_loss"].item() == pytest.approx(expected, abs=1e-6)
        loss.backward()
        assert network.actor_critic.value[-1].bias.grad.item() == pytest.approx(
            -0.8 * (1 - value) + 0.2 * value, abs=1e-6
        )
        assert np.sign(round(network.actor_critic.value[-1].bias.grad.item(), 5)) == sign


@pytest.mark.parametrize("largest", [100.0, 1.2])
def test_the_policy_rests_at_the_data_s_times_bounded_exponentials_of_advantages(largest):
    weights = np.minimum(np.exp(3.0 * (np.array([0.0, 1.0]) - 0.8)), largest)
    network, trials = make_two_arms(0.8, tuple(weights / weights.sum()), temperature=3.0, largest_weight=largest)
    loss, info = network.compute_loss(trials)
    loss.backward()
    assert info["weight"].item() == pytest.approx(weights.mean(), rel=1e-5)
    assert info["actor_loss"].item() == pytest.approx(-(weights * np.log(weights / weights.sum())).mean(), rel=1e-5)
    assert network.actor_critic.actor.layers[-1].bias.grad.numpy() == pytest.approx(np.zeros(2), abs=1e-6)


def test_what_a_time_limit_cuts_off_counts_and_what_an_end_cuts_off_does_not():
    network, trials = make_two_arms(0.8)
    loss, info = network.compute_loss(trials)
    # Arm 0 pays 0 and ended; arm 1 pays 1, after which half of 0.8 is worth having; both critics say 0 and 1.
    assert info["critic_loss"].item() == pytest.approx(2 * (0.0 + 0.4**2) / 2, abs=1e-6)
    loss.backward()
    assert all(each.grad is None for each in network.actor_critic.target_critic.parameters())


@pytest.mark.usefixtures("tiny_built")
def test_returns_are_discounted_sums_to_an_episode_s_end_and_values_are_scaled_by_their_deviation():
    data = load_data("tiny", "medium").part([0, 1])
    found, expected = measure_returns(data, 0.7), []
    for index in range(data.num_episodes):
        rewards = data.episode(index).rewards.astype(np.float64)
        expected += [sum(0.7**k * each for k, each in enumerate(rewards[step:])) for step in range(len(rewards))]
    assert found == pytest.approx(np.array(expected), abs=1e-9)
    network = ICIQLNetwork(small(discount=0.7), data.spaces)
    network.fit_scales(data)
    trials = draw(small(), data.to("cpu"), [0, 4], network)
    assert network.gather_states(trials).reward.numpy() == pytest.approx(
        trials.rewards.flatten().numpy() / found.std(), rel=1e-5
    )


def test_targets_follow_and_are_in_what_is_saved():
    network, _ = make_two_arms(0.8, target_rate=0.25)
    heads = network.actor_critic
    heads.critic.layers[1].bias.data.fill_(4.0)
    network.finish_update()
    assert torch.equal(heads.target_critic.layers[1].bias, torch.ones_like(heads.critic.layers[1].bias))
    assert "actor_critic.target_critic.layers.1.bias" in network.state_dict()


def make_even_bandits() -> TrainingData:
    """Nine in twenty actions are the best one, in every episode: none is better than another."""
    data = make_bandits()
    columns, generator = data.columns, np.random.default_rng(1)
    best = columns.tasks[data.transition_episodes] % ARMS
    wrong = (best + generator.integers(1, ARMS, size=len(best))) % ARMS
    actions = np.where(generator.random(len(best)) < 0.45, best, wrong)
    return TrainingData(
        dataclasses.replace(columns, actions=actions, rewards=(actions == best).astype(np.float32)), SPACES
    )


def act_after_support(policy: TransitionPolicy) -> float:
    """Mean return after an episode in which every arm was tried."""
    best = np.arange(30) % ARMS
    support = {lane: [episode_of_arms(arm)] for lane, arm in enumerate(best)}
    return float(np.mean([each.total_return for each in act_episodes(policy, best, support, list(range(30)), True)]))


@pytest.mark.slow
@pytest.mark.parametrize("method", [ICIQL, pytest.param(SICQL, marks=pytest.mark.walk)])
def test_values_in_context_find_the_arm_that_pays_more_often_than_the_data_do(method):
    data = make_even_bandits()
    fields = {"width": 32, "layers": 1, "heads": 1, "learning_rate": 3e-3, "target_rate": 0.05, "updates": 450}
    fields |= {"discount": 0.3, "temperature": 5.0, "sampling": "always"}
    if method is SICQL:
        fields |= {"model_updates": 250, "model_width": 32}
    config = small(method.config_class, **fields)
    run = TrainingRun(0)
    policy = method(config).train(data, run)
    assert act_after_support(policy) > 0.8 * HORIZON
    # Without a context all tasks are one, in which every arm pays in a third of them.
    alone = read_replay(policy, [make_episode(SPACES, HORIZON, seed) for seed in range(30)], {})[0]
    assert torch.as_tensor(alone).softmax(-1).mean(0).max() < 0.75
    assert {"value_loss", "critic_loss", "actor_loss", "weight"} <= run.curve[-1].keys()
    if method is ICIQL:
        imitator = method(config.model_copy(update={"backbone": "bc", "updates": 120})).train(data, TrainingRun(0))
        assert act_after_support(imitator) < 0.6 * HORIZON


@pytest.mark.slow
@pytest.mark.parametrize("method", [ICIQL, SICQL])
def test_a_resumed_training_equals_an_uninterrupted_one(tiny_built, tmp_path, method):
    data, chosen = load_data("tiny", "medium"), load_method(method.name, preset="tiny")
    whole = TrainingRun(0)
    policy = chosen.train(data, whole)
    calls = itertools.count(1)
    with pytest.raises(CancelledError):
        chosen.train(data, TrainingRun(0, folder=tmp_path, cancelled=lambda: next(calls) >= 30))
    resumed = TrainingRun(0, folder=tmp_path)
    again = chosen.train(data, resumed)
    assert resumed.curve == whole.curve
    assert resumed.summary == whole.summary
    episode = [data.episode(0)]
    assert np.array_equal(replay(policy, episode, {0: episode}), replay(again, episode, {0: episode}))
    policy.save(tmp_path / "policy")
    loaded = chosen.load(tmp_path / "policy", data.spaces)
    assert loaded.parameter_count() == policy.parameter_count()
    assert np.array_equal(replay(policy, episode, {0: episode}), replay(loaded, episode, {0: episode}))


@pytest.mark.parametrize("method", [ICIQL, SICQL])
def test_data_that_teach_nothing_are_refused_in_a_line(method):
    chosen, data = method(method.presets("tiny")["tiny"]), make_bandits()
    with pytest.raises(MethodError, match=r"^the data: learning in context needs at least 2 training tasks .* found"):
        chosen.train(data.part([0]), TrainingRun(0))
    paid = dataclasses.replace(data.columns, rewards=np.ones_like(data.columns.rewards))
    with pytest.raises(MethodError, match=r"^the data: every reward is 1, .*; expected rewards that vary, or back"):
        chosen.train(TrainingData(paid, SPACES), TrainingRun(0))


def test_an_episode_longer_than_the_context_has_room_for_is_refused_in_a_line():
    config = small()
    policy = TransitionPolicy(make_network(config, SPACES, ICIQLNetwork), SPACES, config)
    with pytest.raises(MethodError, match=r"^step 6 of an episode: the context has room for 5, the horizon; expected"):
        replay(policy, [make_episode(SPACES, HORIZON + 1, 0)], {})


def test_backbones_are_those_that_stay_within_the_data():
    with pytest.raises(MetabenchError, match="'backbone': expected 'iql' or 'bc', found 'td3bc'"):
        load_method("ic-iql", overrides={"backbone": "td3bc"})
    presets: dict[str, Config] = dict(SICQL.presets("point-robot"))
    assert presets["cpu"].world_model_config.context_horizon == 4
    assert presets.keys() == ICIQL.presets("point-robot").keys()
