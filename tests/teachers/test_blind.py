"""Blind references: trained on observations alone, also where tasks end episodes and actions are choices."""

from __future__ import annotations

import csv
import dataclasses
import shutil

import numpy as np
import pytest
import torch

from metabench.data.making.references import measure_references
from metabench.envs import Spaces
from metabench.envs.blind_reference import NetworkBlindPolicy
from metabench.envs.locomotion.network_teacher import TeacherNetwork
from metabench.errors import DataError, MetabenchError
from metabench.suites import load_suite
from metabench.suites.headroom import measure_headroom
from metabench.teachers.actions import ChosenActions, NormalActions
from metabench.teachers.blind import choose_blind, install_blind, list_candidates, make_blind_training, score_blind
from metabench.teachers.experience import ExperienceCollector, LaneGroup
from metabench.teachers.ppo import ActorCritic, TeacherConfig
from metabench.teachers.train import train_teacher

SMALL = TeacherConfig(steps=2000, lanes=8, rollout=64, width=16, minibatches=2, epochs=2, every=1.5, blind=True)


def make_network(suite):
    spaces = suite.spaces
    torch.manual_seed(0)
    return ActorCritic(spaces.observation_dim, spaces.action_dim, 16, 0.5, spaces.discrete)


def test_what_comes_after_an_end_by_the_task_is_not_learned_from(monkeypatch):
    suite = load_suite("cartpole-param")
    network, training = make_network(suite), make_blind_training(suite)
    groups = [LaneGroup(suite, training, SMALL, 4, 0, name) for name in range(2)]
    config = SMALL.model_copy(update={"lanes": 8})
    seen = []
    step = LaneGroup.step

    def watched(group, actions):
        seen.append(int(group.active.sum()))
        return step(group, actions)

    monkeypatch.setattr(LaneGroup, "step", watched)
    batch = ExperienceCollector(network, groups, config, np.random.default_rng(0)).collect_batch()
    assert len(batch.inputs) == len(batch.actions) == len(batch.advantage) == sum(seen)
    assert sum(seen) < 8 * 64  # poles fall at different times, and wait for each other
    assert set(batch.actions.unique().tolist()) <= {0.0, 1.0}


def test_rewards_are_divided_by_what_the_task_offers_and_test_tasks_are_never_met():
    suite = load_suite("tiny")
    offers = {task.id: task.reference.expert - task.reference.random for task in suite.split("train")}
    goals = {tuple(task.parameters["goal"]): task.id for task in suite.tasks}
    group = LaneGroup(suite, make_blind_training(suite), SMALL, 64, 0, 0)
    met = [goals[tuple(task["goal"])] for task in group.parameters]
    assert set(met) == set(offers)
    environment = suite.environment()
    environment.reset(group.parameters, [0] * 64)
    rewards, ended, last = group.step(np.zeros((64, 2)))
    assert rewards.shape == (64,)
    assert not ended.any()
    assert last is None
    assert np.allclose(group._scales, [offers[task] for task in met])


@pytest.fixture(params=["tiny", "tiny-discrete"])
def copied(request, tmp_path):
    """A suite in a folder of its own, without a blind policy."""
    folder = tmp_path / request.param
    folder.mkdir()
    shutil.copy(load_suite(request.param).folder / "suite.toml", folder)
    return load_suite(folder)


@pytest.mark.slow
def test_the_best_checkpoint_on_the_training_tasks_is_installed(copied, tmp_path):
    assert copied.blind() is None
    train_teacher(copied, SMALL, tmp_path / "training")
    told = {}
    candidates = list_candidates(copied, tmp_path / "training")
    checkpoints = list((tmp_path / "training").glob("*.safetensors"))
    assert len(candidates) == len({each.name for each in candidates}) == 2 * len(checkpoints) > 4
    chosen = choose_blind(copied, candidates, 3, told.__setitem__)
    assert told[chosen.name] == max(told.values()) > min(told.values())
    assert copied.blind() is None  # choosing writes nothing
    install_blind(copied, chosen)
    assert {path.name for path in copied.references_folder.iterdir()} == {
        "blind.safetensors",
        "config.json",
        "curve.csv",
    }
    assert score_blind(copied, "train", 3) == pytest.approx(told[chosen.name])
    measured = measure_references(copied, 40)
    score = np.mean([100 - headroom_of(task.reference, measured[task.id]) for task in copied.split("train")])
    assert score == pytest.approx(score_blind(copied, "train", 40), abs=8.0)  # other seeds


def headroom_of(stated, measured):
    return measure_headroom([{**stated.model_dump(), "blind": measured["reference"]["blind"]}])


def test_noise_of_the_weights_is_acted_from_the_lanes_seed(copied, tmp_path):
    train_teacher(copied, SMALL, tmp_path / "training")
    still, noisy = list_candidates(copied, tmp_path / "training")[:2]
    observation = np.zeros((3, copied.spaces.observation_dim), np.float32)

    def act(candidate):
        install_blind(copied, candidate)
        policy = copied.blind()
        policy.reset([1, 2, 1])
        return np.array([policy.act(observation) for _ in range(copied.entry.horizon)])  # (steps, lanes, ...)

    assert (act(still) == act(still)[:1, :1]).all()
    drawn = act(noisy)
    assert (drawn[:, 0] == drawn[:, 2]).all()
    assert (drawn[:, 0] != drawn[:, 1]).any()
    assert (drawn == act(noisy)).all()


def test_choices_are_drawn_from_the_softmax_of_their_logits():
    spaces = Spaces(1, 4000, num_actions=3)
    logits = np.array([0.0, 1.0, -1.0])
    network = TeacherNetwork(np.zeros(1), np.ones(1), (np.zeros((1, 3)),), (logits,), np.ones(3))
    policy = NetworkBlindPolicy(network, spaces)
    policy.reset([0])
    drawn = [int(policy.act(np.zeros((1, 1)))[0]) for _ in range(4000)]
    softmax = np.exp(logits) / np.exp(logits).sum()
    assert np.allclose(np.bincount(drawn) / 4000, softmax, atol=0.03)


@pytest.mark.slow
def test_training_improves_where_one_policy_fits_all_tasks(tmp_path):
    config = TeacherConfig(steps=48_000, lanes=64, rollout=50, width=32, blind=True)
    train_teacher(load_suite("hopper-param"), config, tmp_path)
    values = [float(row["mean_return"]) for row in csv.DictReader((tmp_path / "curve.csv").open())]
    assert np.mean(values[-5:]) > 1.5 * np.mean(values[:5])  # twice as much; it falls early all the same


def test_a_folder_without_a_blind_training_and_weights_of_other_spaces_are_refused(tmp_path):
    suite = load_suite("tiny")
    with pytest.raises(DataError, match="expected checkpoints of `metabench teacher train tiny --blind`, found none"):
        list_candidates(suite, tmp_path)
    with pytest.raises(MetabenchError, match="suite tiny: expected the folder of `metabench teacher train tiny"):
        list_candidates(suite, None)
    train_teacher(suite, SMALL, tmp_path)
    other = load_suite("cartpole-param")
    with pytest.raises(DataError, match=r"blind\.safetensors: mean has shape \(2,\), expected"):
        choose_blind(other, list_candidates(other, tmp_path), 1)
    (tmp_path / "curve.csv").unlink()
    with pytest.raises(DataError, match=r"expected curve\.csv beside the checkpoints"):
        list_candidates(suite, tmp_path)


@pytest.mark.slow
def test_where_the_blind_policy_is_a_script_nothing_is_trained(tmp_path):
    with pytest.raises(MetabenchError, match="needs no training; run `metabench teacher install reach --blind`"):
        train_teacher(load_suite("reach"), SMALL, tmp_path)
    reach = load_suite("reach")
    reach = dataclasses.replace(reach, entry=reach.entry.model_copy(update={"success": None}))
    with pytest.raises(MetabenchError, match="expected a rule of success to judge by; `metabench data references"):
        choose_blind(reach, list_candidates(reach, None), 1)
    with pytest.raises(MetabenchError, match="suite reach: expected no folder"):
        list_candidates(load_suite("reach"), tmp_path)


def test_distributions_are_those_of_torch():
    generator = np.random.default_rng(0)
    outputs, log_deviation = torch.randn(200, 3), torch.tensor([0.1, -0.3, 0.2])
    other = outputs + 0.1 * torch.randn(200, 3)
    normal, choices = NormalActions(), ChosenActions()
    actions, logarithms = normal.draw(outputs.numpy(), log_deviation, generator)
    exact = torch.distributions.Normal(outputs, log_deviation.exp())
    constant = 1.5 * np.log(2 * np.pi)
    assert np.allclose(logarithms, exact.log_prob(torch.as_tensor(actions)).sum(-1) + constant, atol=1e-5)
    again = normal.log_probability(outputs, log_deviation, torch.as_tensor(actions))
    assert np.allclose(logarithms, again, atol=1e-5)
    wider = torch.distributions.Normal(other, (log_deviation + 0.1).exp())
    kl = torch.distributions.kl_divergence(exact, wider).sum(-1).mean()
    assert normal.divergence(outputs, log_deviation, other, log_deviation + 0.1) == pytest.approx(float(kl), abs=1e-5)
    exact_choice = torch.distributions.Categorical(logits=outputs)
    chosen, logarithms = choices.draw(outputs.numpy(), log_deviation, generator)
    assert np.allclose(logarithms, exact_choice.log_prob(torch.as_tensor(chosen)), atol=1e-5)
    kl = torch.distributions.kl_divergence(exact_choice, torch.distributions.Categorical(logits=other)).mean()
    assert choices.divergence(outputs, log_deviation, other, log_deviation) == pytest.approx(float(kl), abs=1e-5)
    assert float(choices.entropy(outputs, log_deviation)) == pytest.approx(
        float(exact_choice.entropy().mean()), abs=1e-5
    )
    one = np.repeat(outputs[:1].numpy(), 20_000, axis=0)
    drawn, _ = choices.draw(one, log_deviation, generator)
    assert np.allclose(np.bincount(drawn, minlength=3) / 20_000, exact_choice.probs[0], atol=0.02)
