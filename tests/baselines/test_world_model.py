"""Meta-DT's world model on long episodes and large data: sampled steps, evidence in parts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from metabench_baselines.meta_dt import MetaDT, MetaDTPlus
from metabench_baselines.meta_dt.model import WorldModel, dataset_evidence
from metabench_baselines.meta_dt.train import diagnose_world_model, train_world_model
from metabench_baselines.meta_dt_plus.objective import FIRST_STEPS, LATER_STEPS, steps_to_read

from metabench import Spaces, TrainingData, TrainingRun
from metabench.data.columns import Columns

METHODS = {"recent": MetaDT, "all": MetaDTPlus}
WHOLE = FIRST_STEPS + 2 * LATER_STEPS


def logged(lengths, horizon=120, tasks=10):
    """Tasks of rewards `goal * observation`, two for validation; as many episodes of each as there are lengths."""
    generator = np.random.default_rng(0)
    lengths = np.tile(lengths, tasks)
    task = np.repeat(np.arange(tasks), len(lengths) // tasks)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    observations = generator.normal(size=(offsets[-1] + len(lengths), 2)).astype(np.float32)
    first = np.concatenate([np.arange(a, b) + e for e, (a, b) in enumerate(itertools.pairwise(offsets))])
    goals = np.linspace(-2.0, 2.0, tasks)[np.repeat(task, lengths)]
    columns = Columns(
        observations,
        generator.uniform(-1, 1, size=(offsets[-1], 1)).astype(np.float32),
        (goals * observations[first, 0]).astype(np.float32),
        offsets,
        np.zeros(len(lengths), bool),
        task,
    )
    return TrainingData(columns, Spaces(2, horizon, action_low=(-1.0,), action_high=(1.0,)), (3, 6))


def world_model(data, history, **overrides):
    preset = METHODS[history].presets("tiny")["tiny"]
    torch.manual_seed(0)
    model = WorldModel(type(preset)(**{**preset.model_dump(), **overrides}), data.spaces)
    model.measure(data)
    return model.eval()


def random_transitions(batch, length):
    generator = torch.Generator().manual_seed(0)
    sizes = {"observations": 2, "actions": 1, "rewards": 1, "changes": 2}
    return {name: torch.randn(batch, length, size, generator=generator) for name, size in sizes.items()}


@pytest.mark.parametrize("history", METHODS)
def test_evidence_of_a_data_set_does_not_depend_on_its_parts(history):
    data = logged([60, 3, 120, 41, 16])
    model = world_model(data, history)
    at_once = dataset_evidence(model, data, transitions=10**9)
    for transitions in (1, 300):
        for one, other in zip(at_once, dataset_evidence(model, data, transitions), strict=True):
            assert np.allclose(one, other, atol=1e-5)
    before, after = at_once
    for number, (start, stop) in enumerate(itertools.pairwise(data.columns.offsets)):
        rows = data.transitions(np.arange(start, stop)[None])
        scaled = model.scales(rows.observations, rows.actions, rows.rewards, rows.next_observations)
        with torch.no_grad():
            alone = model.encoder.evidence(scaled)[0].numpy()
        assert np.allclose(np.concatenate([before[start:stop], after[number : number + 1]]), alone, atol=1e-3)


@pytest.mark.parametrize(("history", "length"), [("recent", 0), *((h, n) for h in METHODS for n in (1, 3, 4, 5, 30))])
def test_the_total_is_the_last_evidence(history, length):
    model = world_model(logged([20]), history)
    transitions = random_transitions(6, length)
    with torch.no_grad():
        assert torch.allclose(model.encoder.total(transitions), model.encoder.evidence(transitions)[:, -1], atol=1e-5)


def test_short_episodes_are_read_whole_and_draw_nothing():
    generator = np.random.default_rng(0)
    for lengths, sampled in (([WHOLE, 3], True), ([500, 3], False)):
        steps, weights = steps_to_read(generator, np.array(lengths), sampled)
        assert weights is None
        assert np.array_equal(steps, [range(max(lengths))] * 2)
    assert generator.random() == np.random.default_rng(0).random()


@pytest.mark.parametrize("length", [WHOLE + 1, 200])
def test_sampled_steps_have_the_expected_evidence_of_the_whole_episode(length):
    model = world_model(logged([20]), "all")
    episode = random_transitions(1, length)
    draws = 4000
    steps, weights = steps_to_read(np.random.default_rng(0), np.full(draws, length), sampled=True)
    assert steps.shape == (draws, WHOLE)
    assert (np.diff(steps, axis=1) >= 0).all()
    assert (weights.sum(axis=1) == length).all()
    read = {name: value[0][torch.as_tensor(steps)] for name, value in episode.items()}
    with torch.no_grad():
        whole = model.encoder.evidence(episode)[0].numpy()
        sampled = model.encoder.evidence(read, torch.as_tensor(weights)).double().numpy()
    for position in range(length + 1):
        earlier = (steps < position).sum(axis=1)
        values = sampled[np.arange(draws), earlier]
        if position <= FIRST_STEPS:
            assert np.allclose(values, whole[position], atol=1e-4), position
        error = values.std(axis=0) / np.sqrt(draws)
        assert (np.abs(values.mean(axis=0) - whole[position]) < 5 * error + 1e-3).all(), position


def test_short_episodes_among_long_ones_count_every_step_once():
    lengths = np.array([200, 5, FIRST_STEPS, FIRST_STEPS + 7, FIRST_STEPS + LATER_STEPS, WHOLE])
    steps, weights = steps_to_read(np.random.default_rng(0), lengths, sampled=True)
    assert np.array_equal(weights.sum(axis=1), lengths)
    for row in range(1, 5):
        assert np.array_equal(steps[row][weights[row] > 0], np.arange(lengths[row]))


def test_codes_of_long_episodes_tell_the_task():
    data = logged([120] * 6)
    model = world_model(data, "all", model_updates=250, model_width=32, model_batch_size=16)
    run = TrainingRun(0)
    train_world_model(model.config, model.train(), data, run)
    report = diagnose_world_model(model.config, model.eval(), data, run)
    assert report["after_64_steps"] < 0.5 * report["after_64_steps_of_another_task"]
