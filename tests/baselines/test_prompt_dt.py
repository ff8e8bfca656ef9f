"""Prompt-DT: prompts come from support, and only from there."""

from __future__ import annotations

import numpy as np
import pytest
from metabench_baselines.common.decision_transformer.train import Batches
from metabench_baselines.prompt_dt import PromptDT
from metabench_baselines.prompt_dt.config import PromptDTConfig

from metabench import Episode, Step, TrainingRun, load_data


@pytest.fixture(scope="module")
def data():
    return load_data("tiny", "medium")


@pytest.fixture(scope="module")
def policy(data):
    return PromptDT(PromptDT.presets("tiny")["tiny"]).train(data, TrainingRun(0))


def episode(data, reward):
    horizon = data.spaces.horizon
    observations = np.linspace(0, 1, 2 * (horizon + 1), dtype=np.float32).reshape(-1, 2)
    actions = np.full((horizon, 2), 0.05, np.float32)
    return Episode(observations, actions, np.full(horizon, reward, np.float32), False, True)


def first_actions(policy, spaces, support, groups=(0, 0, 1, 1)):
    policy.reset(list(groups), list(range(len(groups))))
    if support:
        policy.adapt(support)
    lanes = len(groups)
    zeros = np.zeros((lanes, spaces.observation_dim), np.float32)
    always = np.ones(lanes, bool)
    return policy.act(
        Step(zeros, spaces.null_actions(lanes), np.zeros(lanes, np.float32), np.zeros(lanes, np.int64), always, always)
    )


def test_every_group_gets_its_own_prompt(data, policy):
    none = first_actions(policy, data.spaces, {})
    assert np.allclose(none, none[0], atol=1e-6)
    one = first_actions(policy, data.spaces, {0: [episode(data, -1.0)], 1: [episode(data, -9.0)]})
    assert not np.allclose(one, none, atol=1e-6)
    swapped = first_actions(policy, data.spaces, {1: [episode(data, -1.0)], 0: [episode(data, -9.0)]}, (1, 1, 0, 0))
    assert np.allclose(one, swapped, atol=1e-6)


def test_a_group_without_support_acts_as_at_zero_shots(data, policy):
    none = first_actions(policy, data.spaces, {})
    some = first_actions(policy, data.spaces, {1: [episode(data, -9.0)]})
    assert np.allclose(some[:2], none[:2], atol=1e-5)
    assert not np.allclose(some[2:], none[2:], atol=1e-6)


def test_published_numbers_are_the_paper_preset():
    config = PromptDT.presets("point-robot")["paper"]
    assert (config.width, config.layers, config.heads, config.dropout) == (128, 3, 1, 0.1)
    assert (config.window, config.prompt_length, config.warmup, config.gradient_clip) == (20, 5, 10_000, 0.25)
    assert (config.windows_a_task, config.updates, config.learning_rate) == (16, 50_000, 1e-4)


def test_published_batches_hold_so_many_windows_of_every_task(data, monkeypatch):
    drawn = []
    draw = Batches.draw

    def count_draws(batches, generator, count, supported):
        drawn.append((count, supported))
        return draw(batches, generator, count, supported)

    monkeypatch.setattr(Batches, "draw", count_draws)
    preset = PromptDT.presets("tiny")["tiny"].model_dump()
    config = PromptDTConfig(**{**preset, "updates": 1, "windows_a_task": 6, "prompt_dropout": 0.5})
    trained = PromptDT(config).train(data, TrainingRun(0))
    assert trained.config == config
    total = 6 * data.fitting.num_tasks
    assert drawn[:2] == [(total // 2, False), (total // 2, True)]
