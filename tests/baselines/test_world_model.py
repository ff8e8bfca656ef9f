"""Meta-DT's world model on long episodes and large data: sampled steps, evidence in parts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from metabench_baselines.meta_dt import MetaDT
from metabench_baselines.meta_dt.diagnose import diagnose_world_model
from metabench_baselines.meta_dt.world_model import WorldModel, encode_dataset
from metabench_baselines.meta_dt_plus import MetaDTPlus
from metabench_baselines.meta_dt_plus.objective import FIRST_STEPS, LATER_STEPS, choose_steps
from metabench_baselines.meta_dt_plus.train import train_task_table, train_world_model
from metabench_baselines.meta_dt_plus.world_model import HistoryWorldModel, gather_dataset_evidence

from metabench import Spaces, TrainingData, TrainingRun
from metabench.data.columns import Columns

METHODS = {"recent": (MetaDT, WorldModel), "all": (MetaDTPlus, HistoryWorldModel)}
WHOLE = FIRST_STEPS + 2 * LATER_STEPS


def make_logged_data(lengths, horizon=120, tasks=10):
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


def make_world_model(data, history, **overrides):
    method, kind = METHODS[history]
    preset = method.presets("tiny")["tiny"]
    torch.manual_seed(0)
    model = kind(type(preset)(**{**preset.model_dump(), **overrides}), data.spaces)
    model.measure(data)
    return model.eval()


def draw_transitions(batch, length):
    generator = torch.Generator().manual_seed(0)
    sizes = {"observations": 2, "actions": 1, "rewards": 1, "changes": 2}
    return {name: torch.randn(batch, length, size, generator=generator) for name, size in sizes.items()}


def read_whole(model, data, history, at_once):
    """What is computed once a data set: codes before each transition; or evidence, and that after each episode."""
    if history == "recent":
        return (encode_dataset(model, data, at_once),)
    return gather_dataset_evidence(model, data, at_once)


@pytest.mark.parametrize("history", METHODS)
def test_evidence_of_a_data_set_does_not_depend_on_its_parts(history):
    data = make_logged_data([60, 3, 120, 41, 16])
    model = make_world_model(data, history)
    together = read_whole(model, data, history, 10**9)
    for at_once in (1, 300):
        for one, other in zip(together, read_whole(model, data, history, at_once), strict=True):
            assert np.allclose(one, other, atol=1e-5)
    for number, (start, stop) in enumerate(itertools.pairwise(data.columns.offsets)):
        rows = data.transitions(np.arange(start, stop)[None])
        scaled = model.scales(rows.observations, rows.actions, rows.rewards, rows.next_observations)
        with torch.no_grad():
            read = model.encode if history == "recent" else model.encoder.gather_evidence
            alone = read(scaled)[0].numpy()
        assert np.allclose(together[0][start:stop], alone[:-1], atol=1e-3)
        if history == "all":
            assert np.allclose(together[1][number], alone[-1], atol=1e-3)


@pytest.mark.parametrize("length", [0, 1, 3, 4, 5, 30])
def test_the_last_code_is_that_after_all_transitions(length):
    model = make_world_model(make_logged_data([20]), "recent")
    transitions = draw_transitions(6, length)
    with torch.no_grad():
        last = model.encode(transitions)[:, -1]
        assert torch.allclose(model.encoder.encode_last(transitions), last, atol=1e-5)
        assert torch.allclose(model.encode_after(transitions, torch.full((6,), length)), last, atol=1e-5)


@pytest.mark.parametrize("history", METHODS)
def test_codes_after_some_steps_have_read_those_only(history):
    model = make_world_model(make_logged_data([20]), history)
    transitions = draw_transitions(6, 30)
    steps = torch.tensor([1, 2, 4, 5, 29, 30])
    with torch.no_grad():
        codes = model.encode_after(transitions, steps)
        for row, count in enumerate(steps.tolist()):
            earlier = {name: value[row : row + 1, :count] for name, value in transitions.items()}
            assert torch.allclose(codes[row], model.encode(earlier)[0, -1], atol=1e-4)


def test_short_episodes_are_read_whole_and_draw_nothing():
    generator = np.random.default_rng(0)
    steps, weights = choose_steps(generator, np.array([WHOLE, 3]))
    assert weights is None
    assert np.array_equal(steps, [range(WHOLE)] * 2)
    assert generator.random() == np.random.default_rng(0).random()


@pytest.mark.slow
@pytest.mark.parametrize("length", [WHOLE + 1, 200])
def test_sampled_steps_have_the_expected_evidence_of_the_whole_episode(length):
    model = make_world_model(make_logged_data([20]), "all")
    episode = draw_transitions(1, length)
    draws = 4000
    steps, weights = choose_steps(np.random.default_rng(0), np.full(draws, length))
    assert steps.shape == (draws, WHOLE)
    assert (np.diff(steps, axis=1) >= 0).all()
    assert (weights.sum(axis=1) == length).all()
    read = {name: value[0][torch.as_tensor(steps)] for name, value in episode.items()}
    with torch.no_grad():
        whole = model.encoder.gather_evidence(episode)[0].numpy()
        sampled = model.encoder.gather_evidence(read, torch.as_tensor(weights)).double().numpy()
    for position in range(length + 1):
        earlier = (steps < position).sum(axis=1)
        values = sampled[np.arange(draws), earlier]
        if position <= FIRST_STEPS:
            assert np.allclose(values, whole[position], atol=1e-4), position
        error = values.std(axis=0) / np.sqrt(draws)
        assert (np.abs(values.mean(axis=0) - whole[position]) < 5 * error + 1e-3).all(), position


def test_short_episodes_among_long_ones_count_every_step_once():
    lengths = np.array([200, 5, FIRST_STEPS, FIRST_STEPS + 7, FIRST_STEPS + LATER_STEPS, WHOLE])
    steps, weights = choose_steps(np.random.default_rng(0), lengths)
    assert np.array_equal(weights.sum(axis=1), lengths)
    for row in range(1, 5):
        assert np.array_equal(steps[row][weights[row] > 0], np.arange(lengths[row]))


@pytest.mark.slow
def test_codes_of_long_episodes_tell_the_task():
    data = make_logged_data([120] * 6)
    preset = MetaDTPlus.presets("tiny")["tiny"]
    overrides = {"model_updates": 250, "model_width": 32, "model_batch_size": 16}
    config = type(preset)(**{**preset.model_dump(), **overrides})
    model = make_world_model(data, "all", **overrides)
    run = TrainingRun(0)
    table = train_task_table(config, model, data.fitting, run)
    train_world_model(config, model.train(), table, data, run)
    report = diagnose_world_model(model.eval(), data, run)
    assert report["after_64_steps"] < 0.5 * report["after_64_steps_of_another_task"]
