"""The recurrent state-space model: what it remembers, how it reads, what its losses are, and who learns in it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from metabench_baselines.common.planning.open_loop import predict_open_loop
from metabench_baselines.common.planning.rows import branch_lanes
from metabench_baselines.common.world_models.policy import list_steps
from metabench_baselines.common.world_models.recurrent.config import DREAMER, TINY_RECURRENT
from metabench_baselines.common.world_models.recurrent.model import RecurrentModel
from metabench_baselines.common.world_models.recurrent.network import RecurrentStateSpace
from metabench_baselines.common.world_models.recurrent.streams import Streams
from metabench_baselines.dreamer_offline.config import DreamerConfig
from metabench_baselines.dreamer_offline.imagination import Imagination
from metabench_baselines.dreamer_offline.train import make_networks
from metabench_baselines.planet.config import PlanetConfig

from metabench import (
    CancelledError,
    Columns,
    Episode,
    Spaces,
    Step,
    TrainingData,
    TrainingRun,
    load_data,
    load_method,
)

SPACES = Spaces(observation_dim=1, horizon=16, action_low=(-1.0,), action_high=(1.0,))
LENGTH, STILL, MOVING = 16, 3, 13
FORMS = [{}, DREAMER]


def make_data(episodes=240, tasks=8, seed=0):
    """A point that actions push to the right in one half of the tasks, to the left in the other.

    In every second episode nothing is done for ten steps: what was seen before them decides what follows.
    """
    generator = np.random.default_rng(seed)
    turns = np.repeat(np.where(np.arange(tasks) % 2, 1.0, -1.0), episodes // tasks)
    actions = generator.uniform(-1, 1, size=(episodes, LENGTH)).astype(np.float32)
    actions[::2, STILL:MOVING] = 0.0
    moved = np.cumsum(turns[:, None] * actions, 1).astype(np.float32)
    observations = np.concatenate([np.zeros((episodes, 1), np.float32), moved], 1)
    return TrainingData(
        Columns(
            observations=observations.reshape(-1, 1),
            actions=actions.reshape(-1, 1),
            rewards=moved.ravel(),
            offsets=np.arange(episodes + 1) * LENGTH,
            terminated=np.zeros(episodes, bool),
            tasks=np.repeat(np.arange(tasks), episodes // tasks),
        ),
        SPACES,
    )


SMALL = {
    **TINY_RECURRENT,
    "state_dim": 32,
    "width": 32,
    "length": 17,
    "updates": 700,
    "learning_rate": 4e-3,
    "learning_rate_decay": False,
}


@pytest.fixture(scope="module")
def trained():
    """A policy of both kinds of tasks, and its model."""
    learning = {"policy_updates": 300, "actor_width": 32, "actor_learning_rate": 5e-3, "discount": 0.8}
    method = load_method("dreamer-offline", preset="tiny", overrides={**DREAMER, **SMALL, **learning})
    return method.train(make_data(), TrainingRun(0))


def list_episodes(count, seed=5):
    data = make_data(8 * count, seed=seed)
    return [data.episode(8 * number) for number in range(count)]


def cut(episode, steps):
    return Episode(episode.observations[: steps + 1], episode.actions[:steps], episode.rewards[:steps], False, False)


def measure_error(policy, seen):
    """Of the steps after the pause, told after `seen` steps: root of the squared error, as a share of the moves."""
    episodes = list_episodes(30)
    policy.reset([0] * 30, range(30))
    said = policy.predict([cut(each, seen) for each in episodes], np.stack([each.actions[seen:] for each in episodes]))
    told = said.observations[:, MOVING - seen :] - said.observations[:, [MOVING - 1 - seen]]
    true = np.stack([each.observations[MOVING + 1 :] - each.observations[MOVING] for each in episodes])
    return float(np.sqrt(np.square(told - true).sum() / np.square(true).sum()))


@pytest.mark.slow
def test_what_was_seen_ten_steps_before_is_remembered(trained):
    assert measure_error(trained, 0) > 0.8  # nobody can know yet
    for seen in (STILL, MOVING - 1):
        assert measure_error(trained, seen) < 0.5


@pytest.mark.slow
def test_a_model_without_memory_cannot_know(tiny_built):
    method = load_method("pets", preset="tiny", overrides={"updates": 200, "learning_rate": 3e-3})
    policy = method.train(make_data(), TrainingRun(0))
    assert measure_error(policy, STILL) > 0.8


def make_untrained(**overrides):
    torch.manual_seed(0)
    return RecurrentStateSpace(SPACES, PlanetConfig(**{**TINY_RECURRENT, **overrides}))


def step_through(model, memory, episode):
    for seen in list_steps([episode], SPACES):
        memory = model.take_in(memory, seen)
    return memory


@pytest.mark.parametrize("form", FORMS)
def test_support_and_steps_are_read_in_one_order(form):
    """Episodes as support, then another step by step, are the same as all as support; empty ones change nothing."""
    model = RecurrentModel(make_untrained(**form))
    one, two, three = list_episodes(3)
    lane = torch.tensor([0])
    told = model.read_support(model.begin(1), lane, [one, cut(three, 0), two])
    told = step_through(model, told, three)
    again = model.read_support(model.begin(1), lane, [one, two, three])
    torch.testing.assert_close(told.state, again.state, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(told.latent, again.latent, atol=1e-5, rtol=1e-5)
    other = model.read_support(model.begin(1), lane, [two, one, three])
    assert (other.state - again.state).abs().max() > 1e-4
    nothing = model.read_support(model.begin(1), lane, [])
    assert torch.equal(nothing.state, model.begin(1).state)


def test_a_lane_that_made_no_step_reads_where_it_is_only_once():
    model = RecurrentModel(make_untrained())
    episode = list_episodes(1)[0]
    here = torch.from_numpy(episode.observations[:1])
    memory = model.begin(1)
    first = model.imagine_from(memory, here)
    assert torch.equal(first.state, model.imagine_from(memory, here).state)  # imagining changes no memory
    (seen, *_) = list_steps([episode], SPACES)
    opened = model.take_in(memory, seen)
    stepped = model.network.carry(
        type(model.network.begin((1,)))(first.state[0], first.latent[0]), seen.actions, torch.zeros(1, dtype=torch.bool)
    )
    torch.testing.assert_close(opened.state, stepped)


@pytest.mark.parametrize("form", FORMS)
def test_lanes_and_branches_do_not_touch(form):
    model = RecurrentModel(make_untrained(**form))
    episodes = list_episodes(3)
    memory = model.read_support(model.begin(3), torch.tensor([1]), episodes[:2])
    untouched = model.begin(3)
    assert torch.equal(memory.state[[0, 2]], untouched.state[[0, 2]])
    now = torch.from_numpy(np.stack([each.observations[0] for each in episodes]))
    state = model.imagine_from(memory, now)
    alone = model.imagine_from(model.begin(1), now[2:])
    actions = torch.rand(1, 6, 4, 1)
    actions[:, 1::2] = actions[:, ::2].flip(2)
    together = predict_open_loop(model, branch_lanes(state, 2), actions)
    single = predict_open_loop(model, alone, actions[:, 4:5])
    for whole, part in zip(together, single, strict=True):
        torch.testing.assert_close(whole[:, 4:5], part, atol=1e-5, rtol=1e-4)
    assert (together[0][:, 4] - together[0][:, 5]).abs().max() > 1e-6


@pytest.mark.parametrize("form", FORMS)
def test_imagination_that_overflows_stays_near_the_data(form):
    """Also longer than any sequence in training, and from observations and actions that are out of all bounds."""
    network, data = make_untrained(**form), make_data()
    network.scales.fit(data, network.config.reach)
    for parameter in network.parameters():
        parameter.data *= 10.0
    model = RecurrentModel(network)
    state = model.imagine_from(model.begin(3), torch.tensor([[1e30], [-1e30], [math.nan]]))
    for _ in range(60):
        told = model(state, torch.full((1, 3, 1), 1e3))
        state = told.following
        for part in (told.next_observations, told.deviations, told.rewards, told.reward_deviations, told.ends):
            assert part.isfinite().all()
    seen = data.columns.observations
    reach = network.config.reach * np.ptp(seen) / 2 + np.abs(seen).max()
    assert (told.next_observations.abs() <= reach).all()
    assert (told.ends == 0).all()  # no task of the data ever ended an episode


def test_streams_join_episodes_of_one_task_and_carry_their_state(tiny_built):
    data = load_data("tiny", "medium").fitting
    network = RecurrentStateSpace(data.spaces, PlanetConfig(**{**TINY_RECURRENT, "most_chunks": 3}))
    network.scales.fit(data, 1.5)
    streams, last = Streams(network, data), None
    for update in range(12):
        chunk = streams.draw(np.random.default_rng(update))
        tasks = data.columns.tasks[chunk.episodes]
        assert (tasks == tasks[:, :1]).all()
        begun = streams.carried.state.abs().sum(1) == 0
        if last is not None:  # a stream that goes on goes on where it was
            goes_on = ~begun.numpy()
            same = chunk.episodes[:, 0] == last.episodes[:, -1]
            follows = chunk.timesteps[:, 0] == last.timesteps[:, -1] + 1
            assert (same & follows | (chunk.timesteps[:, 0] == 0))[goes_on].all()
            assert goes_on.any()
        starts = chunk.timesteps == 0
        assert (chunk.tokens.first.numpy() >= starts).all()
        assert (chunk.tokens.rewards[chunk.tokens.first] == 0).all()
        streams.keep(type(streams.carried)(torch.ones_like(streams.carried.state), streams.carried.latent))
        last = chunk
    index = tuple(np.argwhere(~chunk.tokens.first.numpy())[0])
    episode = data.episode(int(chunk.episodes[index]))
    step = int(chunk.timesteps[index])
    assert chunk.tokens.rewards[index] == episode.rewards[step - 1]
    assert np.array_equal(chunk.tokens.observations[index], episode.observations[step])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["planet", "dreamer-offline"])
def test_a_training_that_was_stopped_goes_on_to_the_same_policy(tiny_built, tmp_path, name):
    data = load_data("tiny", "medium")
    method = load_method(name, preset="tiny")
    stops = {"left": 45 if name == "dreamer-offline" else 25}

    def stop():
        stops["left"] -= 1
        return stops["left"] == 0

    whole = TrainingRun(0)
    method.train(data, whole)
    with pytest.raises(CancelledError):
        method.train(data, TrainingRun(0, folder=tmp_path, cancelled=stop))
    rest = TrainingRun(0, folder=tmp_path)
    method.train(data, rest)
    assert rest.curve == whole.curve


def test_doubt_is_taken_off_imagined_rewards_and_branches_stop_at_the_horizon(tiny_built):
    data = load_data("tiny", "medium").fitting
    found = {}
    for penalty in (0.0, 2.0):
        overrides = {"steps": 3 * data.spaces.horizon, "penalty": penalty, "starts": 64}
        config = load_method("dreamer-offline", preset="tiny", overrides=overrides).config
        assert isinstance(config, DreamerConfig)
        torch.manual_seed(0)
        network = RecurrentStateSpace(data.spaces, config)
        network.scales.fit(data, config.reach)
        networks = make_networks(network, config)
        torch.manual_seed(0)
        found[penalty] = Imagination(network, config, data).imagine(networks, TrainingRun(0), 1)
    (real, free), (same, charged) = found[0.0], found[2.0]
    assert torch.equal(real.reward, same.reward)
    assert torch.equal(free.next_state, charged.next_state)
    assert (free.reward - charged.reward > 0).all()
    assert 64 <= len(free.reward) <= 64 * data.spaces.horizon


@pytest.mark.slow
def test_a_policy_that_learned_in_imagination_does_what_pays_in_its_own_task(trained):
    """To the right is paid: told by an episode which way actions push, it pushes that way."""
    pushed = []
    for turn in (0, 1):
        data = make_data(seed=3)
        support = [data.episode(30 * turn + number) for number in range(1, 4)]
        trained.reset([0] * 4, range(4))
        trained.adapt({0: support})
        lanes, no = np.zeros(4, np.float32), np.zeros((4, 1), np.float32)
        pushed.append(trained.act(Step(no, no, lanes, lanes.astype(np.int64), lanes == 0, lanes == 0)).mean())
    assert pushed[0] < -0.5
    assert pushed[1] > 0.5
