"""world-models-2018: dreams against a plain loop, what the search finds, and that it is resumed where it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from metabench_baselines.common.world_models.mdn_rnn.model import MdnRnnModel
from metabench_baselines.common.world_models.mdn_rnn.networks import MdnRnn
from metabench_baselines.common.world_models.mdn_rnn.sequences import draw_sequences
from metabench_baselines.world_models_2018.config import WorldModels2018Config
from metabench_baselines.world_models_2018.controller import Controllers, count_numbers
from metabench_baselines.world_models_2018.dream import count_inputs, describe_state, draw_beginnings, dream
from metabench_baselines.world_models_2018.search import Search

from metabench import CancelledError, MetabenchError, Spaces, TrainingRun, load_data, load_method

CHOICE = Spaces(observation_dim=1, horizon=10, num_actions=3)


def make_model(data, **settings):
    config = WorldModels2018Config(
        **{"width": 8, "mixtures": 3, "sequence": 24, "segment": 8, "support_steps": 16, **settings}
    )
    torch.manual_seed(0)
    network = MdnRnn(data.spaces, config)
    network.scales.fit(data, config.reach)
    return MdnRnnModel(network), config


def make_controllers(data, config, count):
    inputs = count_inputs(config, data.spaces.observation_dim)
    generator = torch.Generator().manual_seed(0)
    numbers = torch.randn(count, count_numbers(inputs, data.spaces), generator=generator)
    return Controllers.from_numbers(numbers, inputs, data.spaces)


def test_controllers_are_linear_functions_of_their_numbers():
    spaces = Spaces(observation_dim=3, horizon=10, action_low=(-2.0, -2.0), action_high=(2.0, 2.0))
    numbers = torch.randn(5, count_numbers(3, spaces), generator=torch.Generator().manual_seed(0))
    seen = torch.randn(5, 4, 3, generator=torch.Generator().manual_seed(1))
    scores = Controllers.from_numbers(numbers, 3, spaces).score(seen)
    for place in range(5):
        weights = numbers[place, :6].reshape(3, 2)
        wanted = (seen[place] @ weights + numbers[place, 6:]).clamp(-1, 1)
        torch.testing.assert_close(scores[place], wanted)
    numbers = torch.zeros(1, count_numbers(1, CHOICE))
    numbers[0, -3:] = torch.tensor([0.0, 2.0, 1.0])
    assert Controllers.from_numbers(numbers, 1, CHOICE).act(torch.zeros(1, 2, 1)).tolist() == [[[0, 1, 0]] * 2]


@pytest.mark.parametrize("suite", ["tiny", "tiny-discrete"])
def test_dreams_are_those_of_a_plain_loop(tiny_built, suite):
    data = load_data(suite, "medium").to("cpu")
    model, config = make_model(data, dream_steps=4, temperature=0.7)
    network, controllers = model.network, make_controllers(data, config, 3)
    beginnings = draw_beginnings(network, data, np.random.default_rng(0), 5)
    torch.manual_seed(1)
    returns = dream(model, controllers, beginnings, config)
    alone = []
    for place in range(3):
        mine = Controllers(
            controllers.weights[place : place + 1], controllers.biases[place : place + 1], data.spaces.discrete
        )
        torch.manual_seed(1)  # the same numbers are drawn for each
        state, total = model.imagine_from(beginnings.recurrent, beginnings.observations), 0.0
        going = torch.ones(5)
        for _ in range(4):
            actions = mine.act(describe_state(network, state, config))
            state, rewards, ends = model.draw_step(state, actions, 0.7)
            total, going = total + going * rewards[0], going * (1 - ends[0])
        alone.append(float((total / network.scales.reward).mean()))
    np.testing.assert_allclose(returns.numpy(), alone, rtol=1e-4)


def test_dreams_begin_after_the_support_that_was_drawn(tiny_built):
    data = load_data("tiny", "medium").to("cpu")
    model, config = make_model(data)
    found = draw_beginnings(model.network, data, np.random.default_rng(3), 12)
    batch = draw_sequences(data, config, np.random.default_rng(3), 12, from_start=True)
    assert len(set(batch.support.tolist())) > 1
    starts = {tuple(data.episode(number).observations[0]) for number in range(data.num_episodes)}
    for place, support in enumerate(batch.support.tolist()):
        assert tuple(found.observations[place].tolist()) in starts
        memory = model.begin(1)
        if support:
            rewards = model.network.scale_reward(batch.rewards[:, place : place + 1])
            before = torch.cat([torch.zeros(1, 1, 1), rewards[:-1]])
            hidden, _ = model.network.read(
                *(each[:support, place : place + 1] for each in (batch.observations, batch.actions)),
                before[:support],
                batch.fresh[:support, place : place + 1],
            )
            torch.testing.assert_close(found.recurrent.hidden[place], hidden[-1, 0], atol=1e-5, rtol=1e-4)
            torch.testing.assert_close(found.recurrent.reward[place], rewards[support - 1, 0])
        else:
            assert torch.equal(found.recurrent.hidden[place], memory.hidden[0])
        assert found.recurrent.fresh[place] == 1.0


@pytest.mark.parametrize("full", [1, 500])
def test_the_search_finds_a_planted_optimum_and_is_resumed(full):
    config = WorldModels2018Config(population=16, largest_full_search=full)
    aim = np.linspace(-1, 1, 6)
    search, other = Search(6, config), None
    for generation in range(80):
        if generation == 40:  # what a checkpoint keeps is all there is
            other = Search(6, config)
            other.load_state_dict(search.state_dict())
        for each in filter(None, (search, other)):
            tried = each.ask(generation)
            each.tell(tried, -np.square(tried - aim).sum(1))
    assert search.mean == pytest.approx(aim, abs=0.05)
    assert np.array_equal(search.mean, other.mean)


def test_returns_that_are_no_numbers_are_the_worst():
    config = WorldModels2018Config(population=6)
    found = []
    for worst in (np.nan, -np.inf, -1e300):
        search = Search(2, config)
        tried = search.ask(0)
        returns = tried[:, 0].copy()
        returns[returns.argmax()] = worst
        search.tell(tried, returns)
        found.append(search.mean)
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["model", "controller"])
def test_a_resumed_training_is_the_uninterrupted_one(tiny_built, tmp_path, stage):
    data, overrides = load_data("tiny", "medium"), {"largest_full_search": 500}
    method = load_method("world-models-2018", preset="tiny", suite="tiny", overrides=overrides)
    whole = method.train(data, TrainingRun(0))
    updates = []

    def stop():
        updates.append(1)
        return len(updates) == {"model": 17, "controller": 33}[stage]

    with pytest.raises(CancelledError, match=f"stopped in stage '{stage}'"):
        method.train(data, TrainingRun(0, folder=tmp_path, cancelled=stop))
    again = method.train(data, TrainingRun(0, folder=tmp_path))
    assert np.array_equal(again._trained.numbers, whole._trained.numbers)
    for name, value in whole._trained.network.state_dict().items():
        assert torch.equal(value, again._trained.network.state_dict()[name])


@pytest.mark.slow
def test_the_controller_earns_more_in_dreams_than_at_first(tiny_built):
    data = load_data("tiny", "medium").to("cpu")
    overrides = {"generations": 40, "population": 16, "updates": 100}
    method = load_method("world-models-2018", preset="tiny", suite="tiny", overrides=overrides)
    trained = method.train(data, TrainingRun(0))._trained
    config, model = method.config, MdnRnnModel(trained.network)
    inputs = count_inputs(config, data.spaces.observation_dim)
    numbers = torch.stack([torch.zeros(len(trained.numbers)), torch.as_tensor(trained.numbers)])
    both = Controllers.from_numbers(numbers, inputs, data.spaces)
    beginnings = draw_beginnings(trained.network, data, np.random.default_rng(7), 64)
    torch.manual_seed(5)
    nothing, found = dream(model, both, beginnings, config).tolist()
    assert found > nothing


@pytest.mark.parametrize("name", ["temperature_low", "temperature_high", "observation_alone"])
def test_ablations_are_variants(name):
    changed = load_method(f"world-models-2018/{name}", preset="tiny").config
    assert changed != load_method("world-models-2018", preset="tiny").config


def test_a_temperature_of_nothing_is_refused():
    with pytest.raises(MetabenchError, match=r"temperature.: expected more than 0"):
        load_method("world-models-2018", preset="tiny", overrides={"temperature": 0.0})
