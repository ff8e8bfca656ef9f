"""twm-published: sequences and their sampling, what the actor knows, what cannot be switched on, sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from metabench_baselines.twm_plus.actor_critic import ActorCritic
from metabench_baselines.twm_plus.model.world_model import WorldModel
from metabench_baselines.twm_plus.training.gradient_steps import PolicyOptimizers
from metabench_baselines.twm_plus.training.published_updates import update_policy_on_sequences
from metabench_baselines.twm_published import TWMPublished
from metabench_baselines.twm_published.config import TWMPublishedConfig
from metabench_baselines.twm_published.presets import PRESETS, VARIANTS
from metabench_baselines.twm_published.sequences import BalancedStarts, LoggedSteps
from metabench_baselines.twm_published.train import make_learner

from metabench import DataError, Spaces, Step, TrainingData, TrainingRun, load_data
from metabench.data.columns import Columns

TINY = PRESETS["tiny"]


def tiny(**changes: object) -> TWMPublishedConfig:
    return TWMPublishedConfig(**{**TINY.model_dump(), **changes})


def make_data(lengths: tuple[int, ...] = (5, 3, 9, 4), terminated: tuple[bool, ...] = (False, True, False, False)):
    """Episodes of two tasks; an observation says its episode and its step."""
    observations = np.concatenate([[(number, t) for t in range(n + 1)] for number, n in enumerate(lengths)])
    steps = sum(lengths)
    generator = np.random.default_rng(0)
    columns = Columns(
        observations=observations.astype(np.float32),
        actions=generator.uniform(-1, 1, (steps, 2)).astype(np.float32),
        rewards=np.arange(steps, dtype=np.float32),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        terminated=np.array(terminated),
        tasks=np.array([0, 0, 1, 1]),
    )
    return TrainingData(columns, Spaces(2, 9, action_low=(-1.0, -1.0), action_high=(1.0, 1.0)), suite_name="made")


def test_sequences_run_on_into_the_next_episode_and_lose_the_last_observation() -> None:
    data = make_data()
    steps = LoggedSteps(tiny(window=7), data, "cpu").gather(np.array([0, 6]))
    places = [(number, t) for number, length in enumerate((5, 3, 9, 4)) for t in range(length)]
    for row, first in enumerate((0, 6)):
        assert steps.observations[row].tolist() == [list(place) for place in places[first : first + 8]]
        assert steps.rewards[row].tolist() == list(range(first, first + 7))
        np.testing.assert_allclose(steps.actions[row], data.columns.actions[first : first + 7], rtol=1e-6)
    assert steps.ended.tolist() == [
        [False] * 4 + [True] + [False] * 2,
        [False, True] + [False] * 5,
    ]
    assert steps.terminated.tolist() == [[False] * 7, [False, True] + [False] * 5]  # the horizon ends, the task not
    assert steps.episodes.tolist() == [[0] * 5 + [1] * 2, [0] * 2 + [1] * 5]
    assert torch.equal(steps.next_known, ~steps.ended)


@pytest.mark.parametrize("rule", ["balanced", "uniform", "nearly-uniform"])
def test_starts_are_drawn_as_often_as_their_uses_say(rule: str) -> None:
    starts = BalancedStarts(5, tiny(sampling=rule, sampling_temperature=2.0))
    uses = np.array([1, 1, 2, 4, 8], np.int32)
    weights = {"balanced": np.exp(-uses / 2.0), "uniform": np.ones(5), "nearly-uniform": 1.0 - uses / uses.sum()}[rule]
    generator, found = np.random.default_rng(0), np.zeros(5)
    for _ in range(4000):
        starts.uses = uses.copy()
        found[starts.draw(generator, 1)] += 1
    np.testing.assert_allclose(found / 4000, weights / weights.sum(), atol=0.03)


def test_starts_of_a_draw_differ_and_count_as_used() -> None:
    starts = BalancedStarts(30, tiny())
    generator = np.random.default_rng(0)
    for _ in range(40):
        assert len(set(starts.draw(generator, 20).tolist())) == 20
    assert starts.uses.sum() == 800
    assert (
        starts.uses.max() - starts.uses.min() < 20
    )  # uniform draws would not be much further apart; they stay balanced
    few = BalancedStarts(3, tiny(sampling="nearly-uniform"))
    assert sorted(few.draw(generator, 7).tolist()) in (
        [0, 0, 0, 1, 1, 2, 2],
        [0, 0, 1, 1, 1, 2, 2],
        [0, 0, 1, 1, 2, 2, 2],
    )
    again = BalancedStarts(30, tiny())
    again.load_state_dict(starts.state_dict())
    np.testing.assert_array_equal(again.uses, starts.uses)
    single = BalancedStarts(1, tiny(sampling="nearly-uniform"))
    assert [single.draw(generator, 2).tolist() for _ in range(3)] == [[0, 0]] * 3


def test_data_shorter_than_a_sequence_are_refused() -> None:
    with pytest.raises(DataError, match="made: 7 steps in all, expected more than a sequence has: window = 7"):
        LoggedSteps(tiny(), make_data((2, 2, 2, 1)), "cpu")


def test_what_twm_plus_adds_is_off_and_cannot_be_switched_on() -> None:
    shared = tiny().make_shared()
    assert (shared.relabelled, shared.anchor_weight, shared.disagreement_penalty) == (0.0, 0.0, 0.0)
    assert (shared.segments, shared.reward_map, shared.ensemble, shared.burn_in) == (0, 0, 1, 1)
    assert (shared.adaptation, shared.policy_input, shared.scored_actions) == ("context", "latent", "sample")
    assert not (shared.attend_across_episodes or shared.critic_on_logged or shared.normalise_advantages)
    assert shared.actor_average == shared.foresight == 0.0
    for change in ({"attend_across_episodes": True}, {"ensemble": 5}, {"relabelled": 1.0}, {"anchor_weight": 0.5}):
        with pytest.raises(ValueError, match=next(iter(change))):
            tiny(**change)
    with pytest.raises(ValueError, match="horizon must be at most window - 2 \\(5\\), found 6"):
        tiny(horizon=6)


@pytest.mark.slow
def test_the_paper_preset_has_the_published_sizes_and_schedule() -> None:
    config = PRESETS["paper"]
    spaces = Spaces(20, 200, num_actions=4)
    with torch.device("meta"):
        model, policy = WorldModel(config.make_shared(), spaces), ActorCritic(config.make_shared(), spaces)

    def count(module: torch.nn.Module) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    assert count(model.dynamics) == 10_777_858 + 256 * 4
    assert (count(policy.actor), count(policy.critic)) == (1_312_768 + 513 * 4, 1_313_281)
    updates = config.observation_updates, config.dynamics_updates, config.pretraining_updates, config.updates
    assert updates == (18_750, 9_400, 21_875, 125_000)
    assert (config.sequences, config.window, config.starts, config.horizon, config.memory) == (100, 17, 400, 15, 16)
    assert (config.observation_learning_rate, config.critic_learning_rate) == (1e-4, 1e-5)


@pytest.mark.slow
def test_pretraining_makes_a_continuous_actor_as_random_as_its_bounds_allow_and_no_more() -> None:
    """Uniform within [-1, 1] has the entropy log 2; before the bounds entropy would grow until actions are bounds."""
    data, run = make_data(), TrainingRun(0)
    learner = make_learner(tiny(), data, data.spaces, run)
    optimizers = PolicyOptimizers.make(learner.shared, learner.policy, 0.02)
    torch.manual_seed(0)
    with torch.no_grad():
        learner.policy.actor[-1].bias.copy_(torch.tensor([1.0, -1.0, 1.5, -1.0]))  # far from uniform, both ways
    sequences = learner.steps.draw_uniform(np.random.default_rng(0))
    told = []
    for _ in range(150):
        info = update_policy_on_sequences(learner.shared, learner.model, learner.policy, optimizers, sequences)
        told.append(info["actor_entropy"].item())
    assert np.mean(told[:3]) < 0.3
    assert np.log(2.0) - 0.1 < np.mean(told[-40:]) < np.log(2.0) + 0.05


@pytest.fixture(scope="module")
def data() -> TrainingData:
    return load_data("tiny", "medium")


@pytest.fixture(scope="module")
def trained(data: TrainingData):
    run = TrainingRun(0)
    changes = {"observation_updates": 60, "dynamics_updates": 60, "observation_learning_rate": 5e-3}
    return TWMPublished(tiny(**changes, dynamics_learning_rate=5e-3)).train(data, run), run


@pytest.mark.slow
def test_losses_fall_and_all_stages_are_told(trained) -> None:
    run = trained[1]
    for stage, losses in (("observation-model", ["decoder"]), ("dynamics", ["latent", "reward", "discount"])):
        rows = [row for row in run.curve if row["stage"] == stage]
        for name in losses:
            assert np.mean([row[name] for row in rows[-3:]]) < 0.95 * rows[0][name], (stage, name)
    last = [row for row in run.curve if row["stage"] == "everything"][-1]
    assert {"decoder", "consistency", "critic", "actor", "imagined_reward", "real_reward"} <= set(last)
    assert "anchor" not in last
    assert {"open_loop", "latent_usage", "imagined_return"} <= set(run.summary)


@pytest.mark.slow
def test_the_actor_sees_the_present_alone(data: TrainingData, trained) -> None:
    """Neither support, nor what was done and earned before, changes what it does."""
    policy = trained[0]
    episodes = [data.episode(number) for number in (0, 3)]

    def act(support: bool, past: float) -> np.ndarray:
        policy.reset([1, 2], [7, 8])
        if support:
            policy.adapt({1: [data.episode(5)], 2: [data.episode(9), data.episode(10)]})
        acted = []
        for t in range(6):
            before = np.full((2, 2), past * (t > 0), np.float32)
            seen = np.stack([episode.observations[t] for episode in episodes])
            rewards = before[:, 0].copy()
            acted.append(policy.act(Step(seen, before, rewards, np.full(2, t), np.ones(2, bool), np.ones(2, bool))))
        return np.stack(acted)

    base = act(support=False, past=0.0)
    np.testing.assert_array_equal(act(support=True, past=0.0), base)
    np.testing.assert_array_equal(act(support=False, past=0.1), base)
    assert np.abs(base - base[::-1]).max() > 0


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_train_and_come_back_from_disk(variant: str, tmp_path) -> None:
    discrete = load_data("tiny-discrete", "medium")
    policy = TWMPublished(tiny(**VARIANTS[variant])).train(discrete, TrainingRun(0))
    policy.save(tmp_path / "policy")
    loaded = TWMPublished(tiny()).load(tmp_path / "policy", discrete.spaces)
    codes = [each.task_codes([discrete.episode(0)], 4) for each in (policy, loaded)]
    np.testing.assert_array_equal(*codes)
    assert policy.parameter_count() == loaded.parameter_count() > 0
