"""Blind references: trained on observations alone, also where tasks end episodes and actions are choices."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch

from metabench.errors import DataError
from metabench.suites import load_suite
from metabench.teachers.actions import ChosenActions, NormalActions
from metabench.teachers.blind import choose_blind, make_blind_training, measure_blind, read_blind, score_blind
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


@pytest.mark.parametrize("name", ["tiny", "tiny-discrete"])
def test_a_blind_policy_acts_alike_in_all_tasks(name, tmp_path):
    suite = load_suite(name)
    train_teacher(suite, SMALL, tmp_path)
    path, network = choose_blind(suite, tmp_path, 2)
    assert path.parent == tmp_path
    tasks = [task.id for task in suite.tasks]
    returns = measure_blind(suite, network, tasks, 3)
    assert returns.shape == (len(tasks), 3)
    assert np.isfinite(returns).all()
    scores = suite.normalised(np.repeat(tasks, 3).tolist(), returns.ravel().tolist())
    test = [score for task, score in zip(np.repeat(tasks, 3), scores, strict=True) if suite.tasks[task].split == "test"]
    assert score_blind(suite, network, "test", 3) == pytest.approx(np.mean(test))


@pytest.mark.slow
def test_training_improves_where_one_policy_fits_all_tasks(tmp_path):
    config = TeacherConfig(steps=48_000, lanes=64, rollout=50, width=32, blind=True)
    train_teacher(load_suite("hopper-param"), config, tmp_path)
    values = [float(row["mean_return"]) for row in csv.DictReader((tmp_path / "curve.csv").open())]
    assert np.mean(values[-5:]) > np.mean(values[:5]) + 20.0  # 34 to 51, seeds 0 to 2


def test_a_folder_without_a_blind_training_and_weights_of_other_spaces_are_refused(tmp_path):
    with pytest.raises(DataError, match="expected checkpoints of `metabench teacher train tiny --blind`"):
        choose_blind(load_suite("tiny"), tmp_path, 1)
    train_teacher(load_suite("tiny"), SMALL, tmp_path)
    with pytest.raises(DataError, match=r"mean has shape \(2,\), expected"):
        read_blind(sorted(tmp_path.glob("*.safetensors"))[0], load_suite("cartpole-param"))


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
