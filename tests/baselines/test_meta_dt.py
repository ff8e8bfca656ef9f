"""Meta-DT: task codes, complementary prompts, ablations, exploration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from metabench_baselines.meta_dt import MetaDT
from metabench_baselines.meta_dt.config import ABLATIONS
from metabench_baselines.meta_dt.model import gather_transitions
from metabench_baselines.meta_dt.policy import LaneCodes, measure_episode_surprise
from metabench_baselines.meta_dt.train import DatasetCodes, choose_complementary_segments
from metabench_baselines.meta_dt.world_model import WorldModel
from metabench_baselines.meta_dt_plus import MetaDTPlus
from metabench_baselines.meta_dt_plus.policy import HistoryLaneCodes
from metabench_baselines.meta_dt_plus.train import HistoryCodes
from metabench_baselines.meta_dt_plus.world_model import HistoryWorldModel

from metabench import (
    DataError,
    MetabenchError,
    Step,
    TrainingRun,
    load_data,
    load_method,
    load_records,
    load_state,
    save_state,
)
from tests.baselines.meta_dt_setting import act_once, configure_tiny

pytestmark = pytest.mark.slow


METHODS = {"recent": MetaDT, "all": MetaDTPlus}


@pytest.fixture(scope="module")
def data():
    return load_data("tiny", "medium")


def make_world_model(data, history, seed=0):
    torch.manual_seed(seed)
    model = {"recent": WorldModel, "all": HistoryWorldModel}[history](configure_tiny(METHODS[history]), data.spaces)
    model.measure(data)
    return model.eval()


def codes_of_data(model, history):
    return DatasetCodes(model) if history == "recent" else HistoryCodes(configure_tiny(MetaDTPlus), model)


def codes_of_lanes(model, history, spaces):
    return {"recent": LaneCodes, "all": HistoryLaneCodes}[history](model, spaces)


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
    model = make_world_model(data, history)
    codes = codes_of_data(model, history)
    episodes = [data.episode(number) for number in (0, 3, 7)]
    seen = replay(codes_of_lanes(model, history, data.spaces), episodes, [()] * 3)
    for lane, number in enumerate((0, 3, 7)):
        first, last = data.columns.offsets[number], data.columns.offsets[number + 1]
        expected = codes.encode_before(data, np.arange(first, last)).detach().numpy()
        assert np.allclose(seen[lane][:-1], expected, atol=1e-4)
        whole = gather_transitions(model.scales, data, np.arange(first, last)[None])
        assert np.allclose(seen[lane], model.encode(whole)[0].detach().numpy(), atol=1e-4)


def test_recent_codes_read_the_last_transitions_only(data):
    model = make_world_model(data, "recent")
    horizon = configure_tiny(MetaDT).context_horizon
    steps = gather_transitions(model.scales, data, np.arange(12)[None])
    with torch.no_grad():
        base = model.encode(steps)
        for changed in range(12):
            moved = {name: value.clone() for name, value in steps.items()}
            moved["rewards"][:, changed] += 5.0
            differs = (model.encode(moved) - base).abs().amax(dim=(0, 2)) > 1e-7
            assert differs.nonzero().ravel().tolist() == list(range(changed + 1, min(changed + horizon, 12) + 1))


def test_history_codes_do_not_depend_on_the_order_and_add_support(data):
    model = make_world_model(data, "all")
    episodes = [data.episode(number) for number in range(3)]
    codes = codes_of_lanes(model, "all", data.spaces)
    one = replay(codes, episodes[:1], [(episodes[1], episodes[2])])
    other = replay(codes, episodes[:1], [(episodes[2], episodes[1])])
    assert np.allclose(one, other, atol=1e-5)
    assert not np.allclose(one, replay(codes, episodes[:1], [()]), atol=1e-3)


@pytest.mark.parametrize("history", METHODS)
def test_the_complementary_segment_has_the_largest_error(data, history):
    model = make_world_model(data, history)
    settings = configure_tiny(METHODS[history])
    choose = choose_complementary_segments(settings, codes_of_data(model, history), model, data)
    starts = choose(np.random.default_rng(0), np.arange(5))
    for number in range(5):
        error = measure_episode_surprise(model, data.spaces, data.episode(number))
        first = settings.context_horizon if history == "recent" else 0  # before, the code knows nothing yet
        sums = [error[i : i + settings.prompt_length].sum() for i in range(len(error) - settings.prompt_length + 1)]
        assert sums[starts[number]] == pytest.approx(max(sums[first:]), rel=1e-4)
        assert starts[number] >= first


def test_sampled_segments_follow_their_errors(data):
    model = make_world_model(data, "recent")
    settings = configure_tiny(MetaDT, segment_choice="sampled", segment_from=1)
    choose = choose_complementary_segments(settings, DatasetCodes(model), model, data)
    starts = choose(np.random.default_rng(0), np.zeros(20_000, np.int64))
    error = measure_episode_surprise(model, data.spaces, data.episode(0))
    length = settings.prompt_length
    sums = np.array([error[i : i + length].sum() for i in range(len(error) - length + 1)])
    sums[0] = 0.0  # too early
    observed = np.bincount(starts, minlength=len(sums)) / len(starts)
    assert np.abs(observed - sums / sums.sum()).max() < 0.015


@pytest.mark.parametrize("variant", ABLATIONS)
@pytest.mark.parametrize("method", METHODS.values())
def test_ablations_train_and_come_back_from_disk(data, method, variant, tmp_path):
    settings = configure_tiny(method, updates=3, model_updates=3, **ABLATIONS[variant])
    run = TrainingRun(0)
    policy = method(settings).train(data, run)
    policy.save(tmp_path / "policy")
    loaded = method(settings).load(tmp_path / "policy", data.spaces)
    stages = {row["stage"] for row in run.curve}
    assert ("world-model" in stages) == (variant != "no_context")
    assert ("policy-zero-shot" in stages) == (variant == "separate_zero_shot")
    assert ("prompt_of_others" in run.summary["action_error"]) == (variant != "no_prompt")
    support = {5: [data.episode(0)]}
    actions = [act_once(p, data.spaces, support) for p in (policy, loaded)]
    assert np.array_equal(*actions)
    assert policy.parameter_count() == loaded.parameter_count() > 0


def count_distinct(actions):
    return len(np.unique(actions.round(6), axis=0))


def test_exploration_happens_where_it_is_free(data):
    settings = configure_tiny(MetaDTPlus, updates=2, model_updates=2, exploration=0.5, probe_steps=2)
    policy = MetaDTPlus(settings).train(data, TrainingRun(0))
    support = {5: [data.episode(0)]}
    spaces = data.spaces
    assert 20 <= count_distinct(act_once(policy, spaces, scored=False, timestep=4)) <= 45  # about half of 64 lanes
    assert count_distinct(act_once(policy, spaces, scored=True, timestep=1)) == 64  # probing
    assert count_distinct(act_once(policy, spaces, scored=True, timestep=2)) == 1
    assert count_distinct(act_once(policy, spaces, support, scored=True, timestep=0)) == 1


def test_a_separate_zero_shot_model_acts_at_zero_shots_only(data):
    settings = configure_tiny(MetaDT, updates=2, model_updates=2, separate_zero_shot=True)
    policy = MetaDT(settings).train(data, TrainingRun(0))
    support = {5: [data.episode(0)]}
    zero, few = act_once(policy, data.spaces), act_once(policy, data.spaces, support)
    with torch.no_grad():
        policy.zero_shot_networks.transformer.action_head.bias.add_(0.5)
    assert not np.allclose(act_once(policy, data.spaces), zero)
    assert np.array_equal(act_once(policy, data.spaces, support), few)


OLDER = {  # what configurations held when both methods had one class, with the values of each
    "meta-dt": {
        **{"history": "recent", "objective": "next", "model_decay": False, "relabelled_context": 0.0},
        **{"keep_residuals": False, "linear_reward": False, "support_episodes": 5, "exploration": 0.0},
        "probe_steps": 0,
    },
    "meta-dt-plus": {"history": "all", "objective": "elsewhere", "context_horizon": 4},
}


def rewrite_configuration(folder, configuration):
    state = load_state(folder / "policy")
    save_state({**state, "config": configuration}, folder / "policy")


@pytest.mark.parametrize("name", OLDER)
def test_policies_that_were_saved_with_fields_of_both_methods_are_read(data, name, tmp_path):
    method = load_method(name, preset="tiny", suite="tiny", overrides={"updates": 2, "model_updates": 2})
    policy = method.train(data, TrainingRun(0))
    policy.save(tmp_path)
    older = {**method.config.model_dump(mode="json"), **OLDER[name]}
    rewrite_configuration(tmp_path, older)
    loaded = method.load(tmp_path, data.spaces)
    assert loaded.config == method.config
    assert np.array_equal(act_once(policy, data.spaces), act_once(loaded, data.spaces))


@pytest.mark.parametrize("name", OLDER)
@pytest.mark.parametrize("key", ["history", "objective"])
def test_policies_of_a_mixture_of_both_methods_are_refused(data, name, key, tmp_path):
    method = load_method(name, preset="tiny", suite="tiny", overrides={"updates": 2, "model_updates": 2})
    method.train(data, TrainingRun(0)).save(tmp_path)
    other = OLDER["meta-dt" if name == "meta-dt-plus" else "meta-dt-plus"][key]
    rewrite_configuration(tmp_path, {**method.config.model_dump(mode="json"), **OLDER[name], key: other})
    with pytest.raises(DataError, match=f"{key}='{other}': {name} always has '{OLDER[name][key]}'"):
        method.load(tmp_path, data.spaces)


@pytest.mark.slow
def test_configurations_of_published_records_are_read():
    """Those of the time when both methods had one class, too: their records can be evaluated and trained again."""
    seen = set()
    for record in load_records(Path(__file__).parents[2] / "leaderboard" / "records"):
        name, configuration = record.result.cell.method.partition("/")[0], record.result.configuration
        if name in OLDER:
            method = load_method(name)
            kept = type(method.config).model_validate(configuration).model_dump(mode="json")
            assert {key: kept[key] for key in kept if key in configuration} == {
                key: value for key, value in configuration.items() if key not in OLDER[name]
            }
            seen.add((name, "history" in configuration))
    assert {(name, True) for name in OLDER} <= seen


def test_fields_of_the_other_method_are_unknown():
    with pytest.raises(MetabenchError, match="history"):
        load_method("meta-dt", preset="tiny", suite="tiny", overrides={"history": "all"})
