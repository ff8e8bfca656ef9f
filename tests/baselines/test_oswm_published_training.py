"""The published world model's pretraining, and the policy that plans in it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from metabench_baselines.oswm_published import OSWMPublished, OSWMPublishedSmall
from metabench_baselines.oswm_published.config import PublishedConfig, PublishedWorldModelConfig
from metabench_baselines.oswm_published.model import PublishedWorldModel
from metabench_baselines.oswm_published.reader import PublishedReader, check_widths
from metabench_baselines.oswm_published.train import (
    draw_context_size,
    draw_environments,
    learning_rate_share,
    pretrain_published_model,
)

from metabench import DataError, MetabenchError, Policy, Spaces, Step, TrainingData, TrainingRun, load_suite
from metabench.data.columns import Columns
from metabench.errors import CancelledError
from metabench.runs.pretraining import pretrain as pretrain_into
from metabench.suites import list_suites

CONTINUOUS = Spaces(4, 30, action_low=(-1.0, -1.0), action_high=(1.0, 1.0))
DISCRETE = Spaces(2, 30, num_actions=4)
SMALL = PublishedWorldModelConfig(width=32, layers=2, environments=1, pretraining_updates=8, log_interval=4)

WIDE = Spaces(17, 30, action_low=(-1.0,) * 6, action_high=(1.0,) * 6)


def logged(spaces: Spaces) -> TrainingData:
    """Data of one step: the method looks at nothing but their spaces."""
    step = np.zeros((2, spaces.observation_dim), np.float32)
    columns = Columns(step, spaces.null_actions(1), np.zeros(1, np.float32), np.array([0, 1]), np.zeros(1, bool), [0])
    return TrainingData(columns, spaces)


def test_environments_wider_than_the_model_are_refused_at_once() -> None:
    problem = r"17 observation dimensions and 6 .*at most 11 and 3.*state_slots=17 and action_slots=6"
    with pytest.raises(MetabenchError, match=problem):
        PublishedReader(PublishedWorldModel(SMALL), WIDE)
    run = TrainingRun(0)
    with pytest.raises(MetabenchError, match=problem):
        OSWMPublishedSmall(OSWMPublishedSmall.presets("point-robot")["paper"]).train(logged(WIDE), run)
    assert not run.curve
    check_widths(PublishedWorldModelConfig(state_slots=17, action_slots=6), WIDE)


@pytest.mark.parametrize("suite", list_suites())
def test_presets_are_widened_for_the_suites_that_need_it_alone(suite: str) -> None:
    spaces = load_suite(suite).spaces
    for config in (*OSWMPublished.presets(suite).values(), *OSWMPublishedSmall.presets(suite).values()):
        check_widths(config, spaces)
        fits = spaces.observation_dim <= 11 and (spaces.discrete or spaces.action_dim <= 3)
        assert fits == ((config.state_slots, config.action_slots) == (11, 3))


def test_the_published_schedule() -> None:
    shares = [learning_rate_share(update, 5_000) for update in range(1, 5_001)]
    assert 5e-5 * shares[0] == pytest.approx(8.33e-6, rel=1e-3)
    assert np.argmax(shares) == 1_000  # two epochs early
    assert max(shares) == pytest.approx(1.0, abs=1e-3)
    assert shares[2_900] == pytest.approx(0.5, abs=1e-3)  # half-way between epochs 12 and 50
    assert min(shares) < 1e-6
    assert 0.005 < shares[-1] < 0.01
    sizes = np.array([draw_context_size(np.random.default_rng(seed)) for seed in range(4_000)])
    assert (sizes.min() >= 500, sizes.max() <= 999) == (True, True)
    assert sizes.mean() == pytest.approx(809, abs=10)
    assert (sizes >= 900).mean() == pytest.approx(0.37, abs=0.03)


@pytest.mark.slow
def test_pretraining_learns() -> None:
    run = TrainingRun(0)
    config = PublishedWorldModelConfig(
        width=64, layers=2, heads=1, learning_rate=3e-3, environments=1, pretraining_updates=60, log_interval=30
    )
    pretrain_published_model(config, run)
    outputs = draw_environments(config, TrainingRun(0), 8, "held-out").outputs.double()
    scale = outputs.std(1, keepdim=True)
    targets = ((outputs - outputs.mean(1, keepdim=True)) / torch.where(scale > 0, scale, 1.0))[:, 809:]
    first, last = (row["held_out_loss"] for row in run.curve)
    assert last < first
    assert last < 0.93 * targets.square().mean()  # the loss of the mean, whatever is asked


@pytest.mark.slow
def test_a_resumed_pretraining_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = TrainingRun(3)
    expected = pretrain_published_model(SMALL, whole)
    calls = iter(range(100))
    with pytest.raises(CancelledError):
        pretrain_published_model(SMALL, TrainingRun(3, folder=tmp_path, cancelled=lambda: next(calls) == 5))
    resumed = TrainingRun(3, folder=tmp_path)
    found = pretrain_published_model(SMALL, resumed)
    assert resumed.curve == whole.curve
    assert all(torch.equal(one, two) for one, two in zip(expected.parameters(), found.parameters(), strict=True))


TINY = OSWMPublishedSmall.presets("tiny")["tiny"]


def acted(policy: Policy, spaces: Spaces, steps: int = 24) -> np.ndarray:
    """Actions of two lanes that see random observations."""
    generator, previous = np.random.default_rng(0), spaces.null_actions(2)
    policy.reset([0, 1], [7, 8])
    actions = []
    for timestep in range(steps):
        seen = generator.normal(size=(2, spaces.observation_dim)).astype(np.float32)
        reward = generator.normal(size=2).astype(np.float32) * (timestep > 0)
        flags = np.ones(2, bool)
        previous = policy.act(Step(seen, previous, reward, np.full(2, timestep), flags, flags))
        actions.append(previous)
    return np.stack(actions)


@pytest.mark.slow
@pytest.mark.parametrize("spaces", [CONTINUOUS, DISCRETE], ids=["continuous", "discrete"])
def test_without_support_it_acts_at_random_until_it_plans(spaces: Spaces, tmp_path: Path) -> None:
    policy = OSWMPublishedSmall(TINY).train(logged(spaces), TrainingRun(0))
    actions = acted(policy, spaces)
    assert acted(policy, spaces)[16:].tolist() == actions[16:].tolist()
    for lane, seed in enumerate((7, 8)):
        generator = np.random.default_rng(seed)
        expected = np.stack([spaces.uniform_actions(generator, ()) for _ in range(24)])
        assert (actions[:16, lane] == expected[:16]).all()
        assert (actions[16:, lane] != expected[16:]).any()
    policy.save(tmp_path)
    loaded = OSWMPublishedSmall(OSWMPublishedSmall.presets("tiny")["paper"]).load(tmp_path, spaces)
    assert (acted(loaded, spaces) == actions).all()
    assert loaded.parameter_count() == policy.parameter_count()
    with pytest.raises(DataError, match="expected Spaces"):
        OSWMPublished(TINY).load(tmp_path, dataclasses.replace(spaces, horizon=31))


@pytest.mark.slow
def test_pretrained_weights_serve_every_suite_they_are_wide_enough_for(tmp_path: Path) -> None:
    folder = pretrain_into(OSWMPublishedSmall, OSWMPublishedSmall.pretraining["tiny"], tmp_path / "weights", seed=5)
    run = TrainingRun(0)
    config = PublishedConfig(**{**TINY.model_dump(), "weights": str(folder)})
    policy = OSWMPublished(config).train(logged(DISCRETE), run)
    trained = OSWMPublishedSmall(TINY).train(logged(DISCRETE), TrainingRun(5))
    assert not run.curve
    assert (acted(policy, DISCRETE) == acted(trained, DISCRETE)).all()
    for weights, spaces, problem in (
        (folder, WIDE, "as many as its weights have slots for"),
        (tmp_path / "none", DISCRETE, "nothing was saved here"),
    ):
        method = OSWMPublished(PublishedConfig(weights=str(weights)))
        with pytest.raises(MetabenchError, match=problem):
            method.train(logged(spaces), run)
