"""augwm: factors of changes, how they are found again, and that rewards have no part in them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from metabench_baselines.augwm.config import AugwmConfig
from metabench_baselines.augwm.model import ScaledModel
from metabench_baselines.augwm.scaling import ChangeScaling
from metabench_baselines.common.planning.open_loop import predict_open_loop
from metabench_baselines.common.world_models.contract import Seen
from metabench_baselines.common.world_models.dyna.imagination import Imagination
from metabench_baselines.common.world_models.dyna.train import make_networks
from metabench_baselines.common.world_models.ensemble import Ensemble
from metabench_baselines.common.world_models.train import train_ensemble

from metabench import Columns, Episode, Spaces, TrainingData, TrainingRun, load_method

PLANE = Spaces(observation_dim=2, horizon=20, action_low=(-1.0, -1.0), action_high=(1.0, 1.0))
SMALL = {"width": 32, "batch": 64, "tasks_per_update": 2, "updates": 400, "judged_every": 100, "learning_rate": 3e-3}


def make_data(factors=(1.0, 1.0), tasks=2, episodes=12, length=20, seed=0):
    """A point moves by a tenth of the action, coordinates times factors; task k pays k times the first coordinate."""
    generator = np.random.default_rng(seed)
    count = tasks * episodes
    states = [generator.normal(size=(count, 2)).astype(np.float32)]
    actions = generator.uniform(-1, 1, size=(length, count, 2)).astype(np.float32)
    for action in actions:
        states.append(states[-1] + 0.1 * np.asarray(factors, np.float32) * action)
    observations, task = np.stack(states, 1), np.repeat(np.arange(tasks), episodes)
    return TrainingData(
        Columns(
            observations=observations.reshape(-1, 2),
            actions=actions.transpose(1, 0, 2).reshape(-1, 2),
            rewards=(observations[:, 1:, 0] * (task[:, None] + 1)).ravel().astype(np.float32),
            offsets=np.arange(count + 1) * length,
            terminated=np.zeros(count, bool),
            tasks=task,
        ),
        PLANE,
    )


@pytest.fixture(scope="module")
def trained():
    torch.manual_seed(0)
    ensemble = Ensemble(PLANE, AugwmConfig(**SMALL))
    train_ensemble(ensemble, make_data(), TrainingRun(0))
    return ensemble


def list_episodes(factors, count, seed=5):
    data = make_data(factors, tasks=1, episodes=count, seed=seed)
    return [data.episode(number) for number in range(count)]


@pytest.mark.slow
def test_planted_factors_are_found_in_support_and_in_own_steps(trained):
    model, planted = ScaledModel(trained), (0.7, 1.3)
    episodes = list_episodes(planted, 3)
    known = model.read_support(model.begin(2), torch.tensor([1]), episodes)
    assert model.find_factors(known)[0].tolist() == [1.0, 1.0]  # of the other lane nothing was read
    assert model.find_factors(known)[1].tolist() == pytest.approx(planted, abs=0.1)
    memory, other = model.begin(2), list_episodes((1.0, 1.0), 1)[0]
    for time in range(20):
        pairs = [(each.observations[time : time + 2], each.actions[time]) for each in (episodes[0], other)]
        before, after = (np.stack([seen[place] for seen, _ in pairs]) for place in (0, 1))
        actions = np.stack([action for _, action in pairs])
        there = torch.tensor([True, time < 10])
        memory = model.take_in(memory, Seen(*map(torch.tensor, (before, actions, np.zeros(2), after)), there))
    assert model.find_factors(memory)[0].tolist() == pytest.approx(planted, abs=0.15)
    assert model.find_factors(memory)[1].tolist() == pytest.approx((1.0, 1.0), abs=0.15)
    assert (model.find_codes(memory) == 2 * model.find_factors(memory) - 2).all()


@pytest.mark.slow
def test_other_dynamics_are_predicted_once_they_were_seen(trained):
    model, planted = ScaledModel(trained), (0.6, 1.4)
    episodes = list_episodes(planted, 8)
    begin = torch.tensor(np.stack([each.observations[0] for each in episodes]))
    true = torch.tensor(np.stack([each.observations[1:11] for each in episodes]))
    actions = torch.tensor(np.stack([each.actions[:10] for each in episodes]))[None]
    errors = []
    for support in ([], list_episodes(planted, 3, seed=6)):
        memory = model.read_support(model.begin(8), torch.arange(8), support)
        said = predict_open_loop(model, model.imagine_from(memory, begin), actions)[0][0]
        errors.append(float((said - true).square().mean().sqrt()))
    assert errors[1] < 0.5 * errors[0]


@pytest.mark.slow
def test_imagined_changes_are_scaled_as_the_actor_is_told(trained):
    """Of one branch all steps have the same factors; rewards are those of the step before it was scaled."""
    data, config = make_data().to("cpu"), trained.config.model_copy(update={"starts": 64, "steps": 3})
    networks = make_networks(trained, config, 2)
    found = {}
    for augmentation in (None, ChangeScaling(trained)):
        plain = make_networks(trained, config, 0)
        plain.actor.load_state_dict(cut_inputs(networks.actor.state_dict(), 3))
        torch.manual_seed(0)
        actors = plain if augmentation is None else networks
        found[augmentation is None] = Imagination(trained, config, data, augmentation).imagine(
            actors, TrainingRun(0), 1
        )[1]
    told = found[False].state[:, 3:]
    assert told.abs().max() <= 1.0
    assert told.std() > 0.4
    assert {tuple(row) for row in told[64:].tolist()} <= {tuple(row) for row in told[:64].tolist()}
    assert torch.equal(told, found[False].next_state[:, 3:])
    scales = trained.scales
    before = found[False].state[:, :2] * scales.spread + scales.mean
    change = (found[False].next_state - found[False].state)[:, :2] * scales.spread
    wanted = 0.1 * found[False].action * (1 + 0.5 * told)
    inside = (before.abs() < 1.5).all(1)
    assert (change - wanted)[inside].abs().mean() < 0.25 * wanted[inside].abs().mean()
    assert len(found[True].reward) == len(found[False].reward)


def cut_inputs(state, inputs):
    first = min(name for name in state if name.endswith("weight"))
    return {name: value[:, :inputs] if name == first else value for name, value in state.items()}


@pytest.mark.slow
def test_where_rewards_alone_vary_its_model_is_mopos():
    """The ensembles are equal, and so is what is said, but for how well the factors are known."""
    data, said, ensembles = make_data(tasks=4), {}, []
    episodes = list_episodes((1.0, 1.0), 7)
    actions = np.stack([each.actions[:5] for each in episodes[:4]])
    start = [Episode(each.observations[:1], each.actions[:0], each.rewards[:0], False, False) for each in episodes[:4]]
    for name in ("mopo", "augwm"):
        policy = load_method(name, preset="tiny", suite="tiny", overrides=SMALL).train(data, TrainingRun(0))
        ensembles.append(policy._ensemble.state_dict())
        for shots in (0, 3):
            policy.reset([0] * 4, range(4))
            policy.adapt({0: episodes[4:]} if shots else {})
            said[name, shots] = policy.predict(start, actions)
    first, second = ensembles
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    for column in ("observations", "rewards", "ends", "observation_deviations", "reward_deviations"):
        np.testing.assert_allclose(
            getattr(said["augwm", 0], column), getattr(said["mopo", 0], column), rtol=1e-4, atol=1e-5
        )
    moved = np.abs(said["mopo", 3].observations[:, -1] - said["mopo", 3].observations[:, 0]).mean()
    apart = np.abs(said["augwm", 3].observations - said["mopo", 3].observations).mean()
    assert apart < 0.05 * moved
    assert np.array_equal(said["augwm", 3].rewards[:, 0], said["mopo", 3].rewards[:, 0])


def test_nothing_seen_is_nothing_found():
    model = ScaledModel(Ensemble(PLANE, AugwmConfig(width=8)))
    before = model.begin(2)
    nothing = Episode(np.zeros((1, 2), np.float32), np.zeros((0, 2), np.float32), np.zeros(0, np.float32), False, False)
    assert model.read_support(before, torch.tensor([0]), [nothing]) is before
    assert (model.find_factors(before) == 1.0).all()


def test_factors_without_room_are_refused_in_one_line():
    with pytest.raises(ValueError, match="least_scale: expected less than largest_scale"):
        AugwmConfig(least_scale=0.9999, largest_scale=1.0001)
