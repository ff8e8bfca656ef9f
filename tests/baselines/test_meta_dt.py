"""Meta-DT: task codes, complementary prompts, ablations, exploration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from metabench_baselines.common.decision_transformer.prompted_episodes import choose_sources
from metabench_baselines.common.decision_transformer.train import Batches, count_plain, measure_scales
from metabench_baselines.meta_dt import MetaDT
from metabench_baselines.meta_dt.config import ABLATIONS, RELEASED_CODE
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
from metabench.seeding import derive_seed

pytestmark = pytest.mark.slow


METHODS = {"recent": MetaDT, "all": MetaDTPlus}


@pytest.fixture(scope="module")
def data():
    return load_data("tiny", "medium")


def configure_tiny(method, **overrides):
    preset = method.presets("tiny")["tiny"]
    prompted = {"no_prompt": False}  # meta-dt-plus has none unless told so
    return type(preset)(**{**preset.model_dump(), **prompted, **overrides})


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


def train_quickly(data, **overrides):
    settings = configure_tiny(MetaDT, updates=2, model_updates=2, **overrides)
    return MetaDT(settings).train(data, TrainingRun(0))


def choose_prompts_of(policy, support, lanes=64):
    """The prompts that `adapt` gives the lanes of one group, as (number of the episode in the support, first step)."""
    given = []
    policy._prompted.reset = lambda _lanes, prompts: given.extend(prompts)
    policy.reset([5] * lanes, range(lanes))
    given.clear()
    policy.adapt({5: support})
    numbers = {id(episode): number for number, episode in enumerate(support)}
    return [(numbers[id(prompt.episode)], prompt.start) for prompt in given]


def test_prompts_while_acting_begin_where_the_code_has_read_its_fill(data):
    policy = train_quickly(data, acting_prompts="all")
    support = [data.episode(number) for number in range(5)]
    length, horizon = policy.config.prompt_length, policy.config.context_horizon
    sums = {}
    for number, episode in enumerate(support):
        error = measure_episode_surprise(policy.world_model, data.spaces, episode)
        for start in range(horizon, len(error) - length + 1):
            sums[number, start] = error[start : start + length].sum()
    (chosen,) = set(choose_prompts_of(policy, support))
    assert sums[chosen] == pytest.approx(max(sums.values()), rel=1e-5)


def test_only_the_three_best_support_episodes_give_prompts(data):
    episodes = [data.episode(number) for number in range(6)]
    best = np.argsort([-episode.rewards.sum() for episode in episodes])[:3]
    sampled = choose_prompts_of(train_quickly(data, segment_choice="sampled"), episodes)
    assert {number for number, _ in sampled} == set(best.tolist())
    everywhere = choose_prompts_of(train_quickly(data, segment_choice="sampled", acting_prompts="all"), episodes)
    assert {number for number, _ in everywhere} == set(range(6))
    largest = choose_prompts_of(train_quickly(data), episodes)
    assert len(set(largest)) == 1
    assert largest[0][0] in best


def test_training_prompts_of_the_best_are_never_the_window_itself(data):
    generator = np.random.default_rng(0)
    episodes = np.repeat(np.arange(data.num_episodes), 40)
    sources = choose_sources(data, "top-return")(generator, episodes)
    returns, tasks = data.episode_returns, data.columns.tasks
    for episode in range(data.num_episodes):
        others = np.flatnonzero((tasks == tasks[episode]) & (np.arange(data.num_episodes) != episode))
        best = others[np.argsort(-returns[others])[:3]]
        assert set(sources[episodes == episode].tolist()) == set(best.tolist())


def test_released_code_trains_without_prompts_first_and_then_with_prompts_only(data, tmp_path):
    overrides = {**RELEASED_CODE, "updates": 10, "prompt_warmup": 0.3, "family_decoder": "transition"}
    settings = configure_tiny(MetaDT, **overrides)
    assert [count_plain(settings, update) for update in (1, 3, 4, 10)] == [8, 8, 0, 0]
    policy = MetaDT(settings).train(data, TrainingRun(0))
    assert policy.world_model.decoded == "transition"
    before = {name: value.clone() for name, value in policy.world_model.decoders.reward.state_dict().items()}
    torch.manual_seed(derive_seed(0, "initialise", "world-model"))
    untrained = WorldModel(settings, data.spaces).decoders.reward.state_dict()
    assert all(torch.equal(before[name], untrained[name]) for name in before)  # one decoder of the two is trained
    assert policy.world_model.decoders.observation_map.weight.shape == (16, data.spaces.observation_dim)
    policy.save(tmp_path)
    loaded = MetaDT(settings).load(tmp_path, data.spaces)
    support = {5: [data.episode(number) for number in range(3)]}
    assert np.array_equal(act_once(policy, data.spaces, support), act_once(loaded, data.spaces, support))
    prefix = [data.episode(0)]
    policy.reset([5], [0])
    predicted = policy.predict(prefix, np.zeros((1, 3, data.spaces.action_dim), np.float32))
    assert np.isfinite(predicted.observations).all()


def test_windows_of_the_released_code_begin_at_any_step_but_the_last(data):
    starts = {}
    for kind in ("full", "any"):
        settings = configure_tiny(MetaDT, window_starts=kind, window=4)
        batches = Batches(settings, data, measure_scales(settings, data), None, None)
        steps, _ = batches.draw(np.random.default_rng(0), 2000, supported=False)
        first = np.where(steps["mask"], steps["timesteps"], data.spaces.horizon).min(axis=1)
        starts[kind] = set(np.unique(first).tolist())
    horizon = data.spaces.horizon
    assert starts == {"full": set(range(horizon - 3)), "any": set(range(horizon - 1))}


def test_published_budgets_are_the_paper_preset():
    presets = {
        name: MetaDT.presets(name)["paper"] for name in ("point-robot", "cheetah-vel", "ant-dir", "walker-param")
    }
    counts = {name: (each.model_updates, each.updates, each.learning_rate) for name, each in presets.items()}
    assert counts == {
        "point-robot": (212_000, 100_000, 1e-4),
        "cheetah-vel": (4_200_000, 200_000, 5e-5),
        "ant-dir": (4_200_000, 500_000, 5e-5),
        "walker-param": (1_400_000, 100_000, 5e-5),
    }
    assert (presets["walker-param"].window, presets["walker-param"].prompt_length) == (8, 3)
    assert presets["walker-param"].family_decoder == "transition"
    for suite in presets:
        budgets = MetaDT.presets(suite)
        assert budgets["long"].updates >= 10 * budgets["cpu"].updates


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
