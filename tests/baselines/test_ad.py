"""Algorithm Distillation: a context in the order of learning, and acting that equals one pass over it."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
import torch
from metabench_baselines.ad import AD
from metabench_baselines.ad.config import ADConfig
from metabench_baselines.ad.histories import HistorySource
from metabench_baselines.ad.model import ADNetwork, Histories
from metabench_baselines.ad.policy import ADPolicy

from metabench import DataError, Episode, MethodError, Spaces, Step, TrainingRun, evaluate, load_data, load_suite
from metabench.suites import datasets_folder
from tests.baselines.bandit_setting import ARMS, HORIZON, SPACES, act_episodes, make_bandits

CONTINUOUS = Spaces(3, 9, action_low=(-1.0, 0.0), action_high=(1.0, 0.5))
DISCRETE = Spaces(3, 9, num_actions=4)


def small(**fields):
    return ADConfig(
        **{"width": 16, "layers": 2, "heads": 2, "episodes": 3, "sampling": "never", "random_support": 0.0, **fields}
    )


def make_network(config, spaces, network_class=ADNetwork):
    torch.manual_seed(0)
    network = network_class(config, spaces)
    for name, value in network.named_parameters():
        if "weight" in name and value.requires_grad and value.dim() == 2:
            torch.nn.init.normal_(value, std=0.4)  # as initialised, attention is nearly even
    network.scales.get_buffer("mean").fill_(0.3)
    network.scales.get_buffer("reward").fill_(2.0)
    return network.eval()


def make_episode(spaces, length, seed):
    generator = np.random.default_rng(seed)
    return Episode(
        generator.normal(size=(length + 1, spaces.observation_dim)).astype(np.float32),
        spaces.uniform_actions(generator, (length,)),
        generator.normal(size=length).astype(np.float32),
        length < spaces.horizon,
        length == spaces.horizon,
    )


def replay(policy, episodes, support, scored=True):
    """What the policy does in each step of episodes that go as `episodes` did, one a lane: `(T, lanes, action_dim)`."""
    lanes, spaces = len(episodes), policy._spaces
    policy.reset(list(range(lanes)), list(range(lanes)))
    if support:
        policy.adapt(support)
    actions = []
    for time in range(min(len(episode) for episode in episodes)):
        previous = [each.actions[time - 1] if time else np.zeros_like(each.actions[0]) for each in episodes]
        actions.append(
            policy.act(
                Step(
                    np.stack([each.observations[time] for each in episodes]),
                    np.stack(previous),
                    np.array([each.rewards[time - 1] if time else 0 for each in episodes], np.float32),
                    np.full(lanes, time),
                    np.ones(lanes, bool),
                    np.full(lanes, scored),
                )
            )
        )
    return spaces.action_features(np.stack(actions))


def read_replay(policy, episodes, support):
    """The same with what the network gives, before actions are chosen by it."""
    network, outputs = policy._network, []
    network.read = lambda hidden: outputs.append(type(network).read(network, hidden)) or outputs[-1].clone()
    replay(policy, episodes, support)
    del network.read
    return torch.stack(outputs).numpy()


@torch.no_grad()
def predict_at_once(network, config, spaces, kept, running, now):
    """The prediction for step `now` of `running` after `kept` episodes, from one pass over all of their tokens."""
    stride = config.choose_stride(spaces.horizon)
    tokens, memory, last = [], [], (np.zeros(spaces.action_dim, np.float32), 0.0)
    for number, episode in enumerate([*kept, running]):
        features = spaces.action_features(episode.actions)
        steps = len(episode) if number < len(kept) else now + 1
        for time in range(steps):
            before = (features[time - 1], episode.rewards[time - 1]) if time else last
            is_kept = time % stride == 0
            if is_kept or (number == len(kept) and time == now):
                tokens.append((episode.observations[time], *before, time, number))
                memory.append(is_kept)
        last = features[-1], episode.rewards[-1]
    columns = [torch.as_tensor(np.array(column))[None] for column in zip(*tokens, strict=True)]
    columns[2] = columns[2].float()
    memory = torch.tensor([memory])
    return network(Histories(memory, None, torch.zeros(0), memory, np.zeros(0), *columns))[0, -1].numpy()


@pytest.mark.parametrize("steps_per_episode", [9, 4])
@pytest.mark.parametrize("spaces", [CONTINUOUS, DISCRETE], ids=["continuous", "discrete"])
def test_acting_step_by_step_equals_one_pass_over_the_context(spaces, steps_per_episode):
    config = small(steps_per_episode=steps_per_episode)
    network = make_network(config, spaces)
    policy = ADPolicy(network, spaces, config)
    running = [make_episode(spaces, 9, seed) for seed in range(4)]
    support = {
        0: [make_episode(spaces, length, length) for length in (9, 5, 9)],  # of which two fit
        1: [make_episode(spaces, 9, 20)],
        2: [make_episode(spaces, 1, 30), make_episode(spaces, 7, 31)],
    }
    features = read_replay(policy, running, support)
    for lane, episode in enumerate(running):
        kept = support.get(lane, [])[-2:]
        for now in range(9):
            expected = predict_at_once(network, config, spaces, kept, episode, now)
            assert features[now, lane] == pytest.approx(expected, abs=1e-4)
    alone = read_replay(policy, running, {})
    assert (np.abs(alone - features)[:, :3].max(-1) > 1e-3).all()
    assert alone[:, 3] == pytest.approx(features[:, 3], abs=1e-4)


def test_a_later_step_changes_no_earlier_prediction():
    config = small()
    network = make_network(config, SPACES)
    contexts = HistorySource(config, make_bandits().to("cpu")).draw(np.random.default_rng(0), 4)
    place = HORIZON + 2
    changed = contexts.rewards.clone()
    changed[:, place] += 1
    with torch.no_grad():
        before, after = network(contexts), network(dataclasses.replace(contexts, rewards=changed))
    assert torch.allclose(before[:, :place], after[:, :place], atol=1e-6)
    assert not torch.isclose(before[:, place:], after[:, place:], atol=1e-6).all(-1).any()


def test_contexts_rise_through_one_task_s_history():
    data = make_bandits()
    generator = np.random.default_rng(0)
    tasks = generator.integers(data.num_tasks, size=500)
    for stretch, widest in ((1.0, 40), (0.5, 20), (0.0, 3)):
        episodes = HistorySource(small(stretch=stretch), data).choose_episodes(generator, tasks)
        assert (data.columns.tasks[episodes] == tasks[:, None]).all()
        assert (np.diff(episodes, axis=1) > 0).all()
        assert (np.diff(data.stages[episodes], axis=1) >= 0).all()
        spread = episodes[:, -1] - episodes[:, 0]
        assert widest * 0.8 < spread.max() + 1 <= widest
        assert np.unique(episodes % 40).size == 40
    short = HistorySource(small(episodes=50), data).choose_episodes(generator, tasks)
    assert (short[:, -1] == data.task_offsets[tasks + 1] - 1).all()


def test_a_token_holds_what_led_to_its_observation_also_from_the_episode_before():
    data = make_bandits().to("cpu")
    contexts = HistorySource(small(), data).draw(np.random.default_rng(0), 8)
    rewards, numbers = contexts.rewards.numpy(), contexts.numbers.numpy()
    for row in range(8):
        # Observations are normal draws, so that each is of one step of the data.
        steps = [
            int(np.flatnonzero((data.columns.observations == seen).all(1))[0])
            for seen in contexts.observations[row].numpy()
        ]
        assert rewards[row, 0] == 0
        for place in range(1, len(steps)):
            first = steps[place] if numbers[row, place] == numbers[row, place - 1] else steps[place - 1] + 1
            transition = first - first // (HORIZON + 1) - 1
            assert rewards[row, place] == data.columns.rewards[transition]
            assert contexts.actions[row, place].argmax() == data.columns.actions[transition]


def test_actions_are_drawn_in_support_and_by_their_probabilities():
    config = small(sampling="support")
    network = make_network(config, DISCRETE)
    torch.nn.init.zeros_(network.action_head.weight)
    shares = torch.tensor([0.5, 0.3, 0.15, 0.05])
    network.action_head.bias.data = shares.log()
    policy = ADPolicy(network, DISCRETE, config)
    running = [make_episode(DISCRETE, 9, 0)] * 300
    drawn = replay(policy, running, {}, scored=False)
    assert drawn.mean((0, 1)) == pytest.approx(shares.numpy(), abs=0.04)
    assert np.array_equal(drawn, replay(policy, running, {}, scored=False))
    assert replay(policy, running, {}, scored=True)[..., 0].all()
    uniform = replay(ADPolicy(network, DISCRETE, small(random_support=1.0)), running, {}, scored=False)
    assert uniform.mean((0, 1)) == pytest.approx(np.full(4, 0.25), abs=0.04)


def test_the_best_support_is_kept_in_rising_order():
    policy = ADPolicy(make_network(small(), SPACES), SPACES, small(kept_support="best"))
    episodes = [make_episode(SPACES, HORIZON, seed) for seed in range(5)]
    ranked = sorted(episodes, key=lambda episode: episode.rewards.sum())
    every = replay(policy, episodes[:1], {0: episodes})
    assert np.array_equal(every, replay(policy, episodes[:1], {0: ranked[-2:]}))


@pytest.mark.slow
def test_own_episodes_improve_in_a_bandit():
    config = small(updates=250, episodes=4, learning_rate=3e-3, sampling="support", warmup=20)
    run = TrainingRun(0)
    policy = AD(config).train(make_bandits(), run)
    assert run.summary["stages"] == 10
    assert run.curve[-1]["loss"] < 0.9 * run.curve[0]["loss"]
    best, support, returns = np.arange(60) % ARMS, {}, []
    for shot in range(5):
        acted = act_episodes(policy, best, support, list(range(100 * shot, 100 * shot + 60)), scored=False)
        support = {lane: [*support.get(lane, []), episode] for lane, episode in enumerate(acted)}
        returns.append(np.mean([episode.total_return for episode in acted]))
    scored = act_episodes(policy, best, support, list(range(60)), scored=True)
    assert returns[0] < 0.6 * HORIZON
    assert returns[4] > returns[0] + 1
    assert np.mean([episode.total_return for episode in scored]) > 0.9 * HORIZON


@pytest.mark.slow
def test_a_policy_of_darkroom_takes_twenty_own_episodes(tmp_path):
    text = (datasets_folder() / "darkroom" / "suite.toml").read_text(encoding="utf-8")
    head, *tasks = re.sub(r"(?m)^digest = .*\n", "", text).split("[[task]]")
    head = re.sub(r"(?m)^trajectories = .*$", "trajectories = 20", head)
    chosen = [f"\nid = {new}\n" + tasks[old].split("\n", 2)[2] for new, old in enumerate((0, 1, 2, 64, 65, 66))]
    (tmp_path / "darkroom").mkdir()
    (tmp_path / "darkroom" / "suite.toml").write_text("[[task]]".join([head, *chosen]), encoding="utf-8")
    suite = load_suite(tmp_path / "darkroom")
    method = AD(AD.presets("darkroom")["tiny"])
    policy = method.train(load_data(suite, "histories"), TrainingRun(0))
    result = evaluate(policy, suite, "few-shot", shots=[5, 20])
    assert [block.shots for block in result.blocks] == [5, 20]
    assert result.collection is not None
    assert len(result.collection.rows) == 2 * (20 + 4 * 5)  # one support of a task goes on to 20


@pytest.mark.slow
def test_data_without_order_and_a_single_task_are_refused(tiny_built):
    method = AD(AD.presets("tiny")["tiny"])
    with pytest.raises(DataError, match=r"^dataset medium of tiny has no order of learning: expected histories$"):
        method.train(load_data("tiny", "medium"), TrainingRun(0))
    with pytest.raises(MethodError, match=r"needs at least 2 training tasks to tell apart, found 1; expected another"):
        method.train(load_data("tiny", "histories").part([0]), TrainingRun(0))


def test_long_episodes_are_thinned_to_what_a_context_holds():
    config = AD.presets("cheetah-vel")["cpu"]
    horizon = load_suite("cheetah-vel").spaces.horizon
    assert config.choose_stride(horizon) == 10
    assert config.count_slots(horizon) == 20
    assert (small().choose_stride(7), small(steps_per_episode=4).count_slots(9)) == (1, 3)


@pytest.mark.slow
def test_a_saved_policy_acts_the_same_on_the_judge_s_tracks(tiny_built, tmp_path):
    method = AD(AD.presets("tiny-discrete")["tiny"])
    data = load_data("tiny-discrete", "histories")
    policy = method.train(data, TrainingRun(0))
    policy.save(tmp_path)
    loaded = method.load(tmp_path, data.spaces)
    first, second = (evaluate(each, "tiny-discrete", "few-shot", shots=[1, 3]) for each in (policy, loaded))
    assert first.blocks == second.blocks
    with pytest.raises(DataError, match="expected"):
        method.load(tmp_path, CONTINUOUS)
