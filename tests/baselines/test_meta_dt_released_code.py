"""Meta-DT's fields where paper and released code differ, the variant that does what the code does, and budgets."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from metabench_baselines.common.decision_transformer.prompted_episodes import choose_sources
from metabench_baselines.common.decision_transformer.train import Batches, count_plain, measure_scales
from metabench_baselines.meta_dt import MetaDT
from metabench_baselines.meta_dt.config import RELEASED_CODE
from metabench_baselines.meta_dt.policy import measure_episode_surprise
from metabench_baselines.meta_dt.world_model import WorldModel

from metabench import TrainingRun, load_data
from metabench.seeding import derive_seed
from tests.baselines.meta_dt_setting import act_once, configure_tiny

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data():
    return load_data("tiny", "medium")


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
