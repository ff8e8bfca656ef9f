"""Meta-DT: task codes, complementary prompts, ablations, exploration."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from metabench_baselines.meta_dt import MetaDT, MetaDTPlus
from metabench_baselines.meta_dt.config import ABLATIONS
from metabench_baselines.meta_dt.model import WorldModel, dataset_evidence, gather
from metabench_baselines.meta_dt.policy import LaneCodes
from metabench_baselines.meta_dt.train import DatasetCodes, complementary_segments

from metabench import Episode, Step, TrainingRun, load_data

METHODS = {"recent": MetaDT, "all": MetaDTPlus}


@pytest.fixture(scope="module")
def data():
    return load_data("tiny", "medium")


def tiny(method, **overrides):
    preset = method.presets("tiny")["tiny"]
    prompted = {"no_prompt": False}  # meta-dt-plus has none unless told so
    return type(preset)(**{**preset.model_dump(), **prompted, **overrides})


def episode_of(data, number):
    columns = data.columns
    first, last = columns.offsets[number], columns.offsets[number + 1]
    return Episode(
        np.array(columns.observations[first + number : last + number + 1]),
        np.array(columns.actions[first:last]),
        np.array(columns.rewards[first:last]),
        False,
        True,
    )


def world_model(data, history, seed=0):
    torch.manual_seed(seed)
    model = WorldModel(tiny(METHODS[history]), data.spaces)
    model.measure(data)
    return model.eval()


def replay(codes, episodes, support):
    """Codes `(lanes, T + 1, code_dim)` that lanes see when they live through logged episodes."""
    codes.reset(support)
    seen = []
    for t in range(len(episodes[0]) + 1):
        before = max(t - 1, 0)
        step = Step(
            np.stack([e.observations[t] for e in episodes]),
            np.stack([e.actions[before] for e in episodes]),
            np.stack([e.rewards[before] if t else np.float32(0) for e in episodes]),
            np.full(len(episodes), t),
            np.ones(len(episodes), bool),
            np.ones(len(episodes), bool),
        )
        seen.append(codes.advance(step).numpy())
    return np.stack(seen, axis=1)


@pytest.mark.parametrize("history", METHODS)
def test_codes_while_acting_equal_codes_in_training(data, history):
    """From the first step on: no empty contexts, no leak from the episode before."""
    model = world_model(data, history)
    before, after = dataset_evidence(model, data)
    episodes = [episode_of(data, number) for number in (0, 3, 7)]
    seen = replay(LaneCodes(model, data.spaces), episodes, [()] * 3)
    for lane, number in enumerate((0, 3, 7)):
        first, last = data.columns.offsets[number], data.columns.offsets[number + 1]
        evidence = np.concatenate([before[first:last], after[number : number + 1]])
        expected = model.encoder.code(torch.as_tensor(evidence)).detach().numpy()
        assert np.allclose(seen[lane], expected, atol=1e-4)


def test_recent_codes_read_the_last_transitions_only(data):
    model = world_model(data, "recent")
    horizon = model.config.context_horizon
    steps = gather(model, data, np.arange(12)[None])
    with torch.no_grad():
        base = model.encoder.evidence(steps)
        for changed in range(12):
            moved = {name: value.clone() for name, value in steps.items()}
            moved["rewards"][:, changed] += 5.0
            differs = (model.encoder.evidence(moved) - base).abs().amax(dim=(0, 2)) > 1e-7
            assert differs.nonzero().ravel().tolist() == list(range(changed + 1, min(changed + horizon, 12) + 1))


def test_history_codes_do_not_depend_on_the_order_and_add_support(data):
    model = world_model(data, "all")
    episodes = [episode_of(data, number) for number in range(3)]
    codes = LaneCodes(model, data.spaces)
    one = replay(codes, episodes[:1], [(episodes[1], episodes[2])])
    other = replay(codes, episodes[:1], [(episodes[2], episodes[1])])
    assert np.allclose(one, other, atol=1e-5)
    assert not np.allclose(one, replay(codes, episodes[:1], [()]), atol=1e-3)


@pytest.mark.parametrize("history", METHODS)
def test_the_complementary_segment_has_the_largest_error(data, history):
    model = world_model(data, history)
    settings = model.config
    choose = complementary_segments(settings, DatasetCodes(settings, model), model, data)
    starts = choose(np.random.default_rng(0), np.arange(5))
    codes = LaneCodes(model, data.spaces)
    for number in range(5):
        error = codes.surprise(episode_of(data, number))
        sums = [error[i : i + settings.prompt_length].sum() for i in range(len(error) - settings.prompt_length + 1)]
        assert sums[starts[number]] == pytest.approx(max(sums), rel=1e-4)


def test_sampled_segments_follow_their_errors(data):
    model = world_model(data, "recent")
    settings = tiny(MetaDT, segment_choice="sampled")
    choose = complementary_segments(settings, DatasetCodes(settings, model), model, data)
    starts = choose(np.random.default_rng(0), np.zeros(20_000, np.int64))
    error = LaneCodes(model, data.spaces).surprise(episode_of(data, 0))
    length = settings.prompt_length
    sums = np.array([error[i : i + length].sum() for i in range(len(error) - length + 1)])
    observed = np.bincount(starts, minlength=len(sums)) / len(starts)
    assert np.abs(observed - sums / sums.sum()).max() < 0.015


@pytest.mark.parametrize("variant", ABLATIONS)
@pytest.mark.parametrize("method", METHODS.values())
def test_ablations_train_and_come_back_from_disk(data, method, variant, tmp_path):
    settings = tiny(method, updates=3, model_updates=3, **ABLATIONS[variant])
    run = TrainingRun(0)
    policy = method(settings).train(data, run)
    policy.save(tmp_path / "policy")
    loaded = method(settings).load(tmp_path / "policy", data.spaces)
    stages = {row["stage"] for row in run.curve}
    assert ("world-model" in stages) == (variant != "no_context")
    assert ("policy-zero-shot" in stages) == (variant == "separate_zero_shot")
    assert ("prompt_of_others" in run.summary["action_error"]) == (variant != "no_prompt")
    support = {5: [episode_of(data, 0)]}
    actions = [act_once(p, data.spaces, support) for p in (policy, loaded)]
    assert np.array_equal(*actions)
    assert policy.parameter_count() == loaded.parameter_count() > 0


def act_once(policy, spaces, support=None, scored=True, lanes=64, timestep=0):
    policy.reset([5] * lanes, list(range(lanes)))
    if support:
        policy.adapt(support)
    zeros = np.zeros((lanes, spaces.observation_dim), np.float32)
    for t in range(timestep + 1):
        step = Step(
            zeros,
            spaces.null_actions(lanes),
            np.zeros(lanes, np.float32),
            np.full(lanes, t),
            np.ones(lanes, bool),
            np.full(lanes, scored),
        )
        actions = policy.act(step)
    return actions


def distinct(actions):
    return len(np.unique(actions.round(6), axis=0))


def test_exploration_happens_where_it_is_free(data):
    settings = tiny(MetaDTPlus, updates=2, model_updates=2, exploration=0.5, probe_steps=2)
    policy = MetaDTPlus(settings).train(data, TrainingRun(0))
    support = {5: [episode_of(data, 0)]}
    spaces = data.spaces
    assert 20 <= distinct(act_once(policy, spaces, scored=False, timestep=4)) <= 45  # about half of 64 lanes
    assert distinct(act_once(policy, spaces, scored=True, timestep=1)) == 64  # probing
    assert distinct(act_once(policy, spaces, scored=True, timestep=2)) == 1
    assert distinct(act_once(policy, spaces, support, scored=True, timestep=0)) == 1


def test_a_separate_zero_shot_model_acts_at_zero_shots_only(data):
    settings = tiny(MetaDT, updates=2, model_updates=2, separate_zero_shot=True)
    policy = MetaDT(settings).train(data, TrainingRun(0))
    support = {5: [episode_of(data, 0)]}
    zero, few = act_once(policy, data.spaces), act_once(policy, data.spaces, support)
    with torch.no_grad():
        policy.zero_shot_networks.transformer.action_head.bias.add_(0.5)
    assert not np.allclose(act_once(policy, data.spaces), zero)
    assert np.array_equal(act_once(policy, data.spaces, support), few)
