"""twm-plus as a method: losses fall, resumes exactly, acts as its model reads, few shots, ablations, bad input."""

from __future__ import annotations

import dataclasses
import shutil
import time

import numpy as np
import pytest
import torch
from metabench_baselines.twm_plus import TWMPlus
from metabench_baselines.twm_plus.inspect.diagnostics import measure_open_loop
from metabench_baselines.twm_plus.presets import VARIANTS
from metabench_baselines.twm_plus.support import make_episode_sequences, make_pinned_support
from metabench_baselines.twm_plus.training.imagined_rollouts import read_context

from metabench import DataError, Episode, Step, TrainingData, TrainingRun, load_data, load_state
from metabench.errors import CancelledError

from .twm_setting import tiny

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data():
    return load_data("tiny", "medium")


@pytest.fixture(scope="module")
def discrete():
    return load_data("tiny-discrete", "medium")


@pytest.fixture(scope="module")
def trained(data):
    return TWMPlus(tiny()).train(data, TrainingRun(0))


def episode_of(data, number):
    columns = data.columns
    first, last = columns.offsets[number], columns.offsets[number + 1]
    return Episode(
        np.array(columns.observations[first + number : last + number + 1]),
        np.array(columns.actions[first:last]),
        np.array(columns.rewards[first:last]),
        bool(columns.terminated[number]),
        not columns.terminated[number],
    )


def live_through(policy, episodes, support=None, scored=True, seeds=None, groups=None):
    """Actions `(T, lanes, ...)` of lanes that see logged episodes, whatever they do."""
    lanes, length = len(episodes), len(episodes[0])
    policy.reset(groups or [5] * lanes, list(range(lanes)) if seeds is None else seeds)
    if support:
        policy.adapt(support)
    acted = []
    for t in range(length):
        before = max(t - 1, 0)
        started = np.float32(t > 0)
        step = Step(
            np.stack([e.observations[t] for e in episodes]),
            np.stack([e.actions[before] for e in episodes]) * (1 if t else 0),
            np.stack([e.rewards[before] for e in episodes]) * started,
            np.full(lanes, t),
            np.ones(lanes, bool),
            np.full(lanes, scored),
        )
        acted.append(policy.act(step))
    return np.stack(acted)


def test_losses_fall_and_diagnostics_are_told(data):
    budget = {
        "observation_updates": 60,
        "dynamics_updates": 80,
        "joint_updates": 10,
        "behaviour_updates": 60,
        "pretraining_updates": 40,
        "policy_updates": 10,
        "log_interval": 5,
        "observation_learning_rate": 5e-3,
        "dynamics_learning_rate": 5e-3,
    }
    run = TrainingRun(0)
    TWMPlus(tiny(**budget)).train(data, run)
    for stage, losses in (
        ("observation-model", ["decoder"]),
        ("dynamics", ["latent", "reward", "discount"]),
        ("behaviour-policy", ["behaviour"]),
        ("policy-pretraining", ["anchor"]),
    ):
        rows = [row for row in run.curve if row["stage"] == stage]
        for name in losses:
            assert np.mean([row[name] for row in rows[-3:]]) < 0.95 * rows[0][name], (stage, name)
    assert {"consistency", "entropy"} <= set(next(row for row in run.curve if row["stage"] == "joint"))
    imagined = [row for row in run.curve if row["stage"] == "policy"]
    assert {"imagined_reward", "disagreement", "actor", "actor_entropy", "anchor", "critic"} <= set(imagined[-1])
    assert {"open_loop", "open_loop_gain", "latent_usage", "imagined_return"} <= set(run.summary)
    assert 0 < run.summary["latent_usage"]["share_used"] <= 1
    errors = run.summary["open_loop"]["context_0"]
    assert set(errors) == {"after_1_steps", "after_5_steps", "after_15_steps"}
    assert all(np.isfinite(value) for row in errors.values() for value in row.values())


def test_a_killed_run_resumes_to_the_same_policy(data, tmp_path):
    whole = TrainingRun(3)
    expected = TWMPlus(tiny()).train(data, whole)
    for stop in (4, 9, 12):  # in several stages, and between two rows of the curve
        calls = iter(range(1, 100))
        run = TrainingRun(3, folder=tmp_path, cancelled=lambda calls=calls, stop=stop: next(calls) >= stop)
        with pytest.raises(CancelledError):
            TWMPlus(tiny()).train(data, run)
    resumed = TrainingRun(3, folder=tmp_path)
    policy = TWMPlus(tiny()).train(data, resumed)
    assert resumed.curve == whole.curve
    episodes = [episode_of(data, number) for number in (0, 4)]
    assert np.array_equal(live_through(policy, episodes), live_through(expected, episodes))


def test_what_acts_is_an_average_of_the_actor(data, tmp_path):
    """After one update it lies between the actors before and after it."""
    folder = tmp_path / "run"  # all is trained once; each then imagines one update
    calls = iter(range(1, 100))
    stages = (4, 6, 6, 3, 4, 4)  # updates of `tiny` before the actor's in imagination
    with pytest.raises(CancelledError):
        TWMPlus(tiny()).train(data, TrainingRun(0, folder=folder, cancelled=lambda: next(calls) >= sum(stages)))
    actors = []
    for kept in (0.0, 0.75, 1.0 - 1e-9):
        copied = shutil.copytree(folder, tmp_path / str(kept))
        policy = TWMPlus(tiny(policy_updates=1, actor_average=kept)).train(data, TrainingRun(0, folder=copied))
        policy.save(tmp_path / "saved")
        state = load_state(tmp_path / "saved" / "policy")["actor_critic"]
        actors.append(np.concatenate([np.ravel(state[name]) for name in sorted(state) if name.startswith("actor.")]))
    after, average, before = actors
    assert np.abs(after - before).max() > 1e-5
    np.testing.assert_allclose(average, 0.75 * before + 0.25 * after, atol=1e-6)


@pytest.mark.parametrize("variant", VARIANTS)
def test_ablations_train_and_come_back_from_disk(discrete, variant, tmp_path):
    config = tiny(**VARIANTS[variant])
    policy = TWMPlus(config).train(discrete, TrainingRun(0))
    policy.save(tmp_path / "policy")
    loaded = TWMPlus().load(tmp_path / "policy", discrete.spaces)
    episodes, support = [episode_of(discrete, 0)] * 2, {5: [episode_of(discrete, 1), episode_of(discrete, 2)]}
    actions = [live_through(p, episodes, support) for p in (policy, loaded)]
    assert np.array_equal(*actions)
    assert policy.parameter_count() == loaded.parameter_count() > 0
    wider = dataclasses.replace(discrete.spaces, observation_dim=discrete.spaces.observation_dim + 1)
    with pytest.raises(DataError, match="expected"):
        TWMPlus().load(tmp_path / "policy", wider)


@pytest.mark.parametrize("shots", [0, 1, 3])
def test_acting_step_by_step_reads_what_one_pass_reads(data, trained, shots):
    """The window slides (memory 8, 20 steps); each lane of a group sees its own support and no other."""
    episodes = [episode_of(data, number) for number in (0, 9, 18)]
    support = {1: [episode_of(data, n) for n in range(10, 10 + shots)]} if shots else None
    acted = live_through(trained, episodes, support, groups=[1, 2, 1])
    model, actor_critic, config = trained._model, trained._actor_critic, trained._config
    length = len(episodes[0])
    for lane, episode in enumerate(episodes):
        sequences = make_episode_sequences([episode], [0], [length], data.spaces, "cpu")
        sequences.ended[:] = False
        pinned = make_pinned_support([support[1]], config, data.spaces, "cpu") if support and lane != 1 else None
        context = read_context(model, sequences, pinned, sample=False)
        features = actor_critic.make_features(context.encoded.latents, context.hidden)[0, :-1]
        expected = data.spaces.actions_from_features(actor_critic.act(features, None)[0].numpy())
        assert np.allclose(acted[:, lane], expected, atol=1e-4)
    if shots:
        assert not np.allclose(acted[:, 0], live_through(trained, episodes)[:, 0], atol=1e-4)


def test_a_small_policy_takes_a_quarter_of_the_room_and_acts_nearly_the_same(data, trained, tmp_path):
    small = trained.make_small()
    episodes = [episode_of(data, number) for number in (0, 1)]
    support = {5: [episode_of(data, 2)]}
    acted = live_through(small, episodes, support)
    assert np.allclose(acted, live_through(trained, episodes, support), atol=0.02)
    trained.save(tmp_path / "whole")
    small.save(tmp_path / "small")
    loaded = TWMPlus(tiny()).load(tmp_path / "small", data.spaces)
    assert np.array_equal(live_through(loaded, episodes, support), acted)
    assert loaded.pictures(data, np.random.default_rng(0)) == ()
    assert loaded.parameter_count() == trained.parameter_count()
    sizes = [(tmp_path / name / "policy" / "tensors.safetensors").stat().st_size for name in ("small", "whole")]
    assert sizes[0] < 0.5 * sizes[1]
    with pytest.raises(ValueError, match="adaptation = 'finetune' needs all weights"):
        TWMPlus(tiny(**VARIANTS["finetune"])).train(data, TrainingRun(0)).make_small()


def test_unscored_steps_are_sampled_from_each_lanes_seed(data, trained):
    episodes = [episode_of(data, 0)] * 3
    acted = live_through(trained, episodes, scored=False, seeds=[4, 5, 4])
    assert np.allclose(acted[:, 0], acted[:, 2], atol=1e-5)  # on some processors a product's last bit tells the lane
    assert not np.allclose(acted[:, 0], acted[:, 1], atol=1e-3)
    certain = live_through(trained, episodes, scored=True, seeds=[4, 5, 6])
    assert np.allclose(certain[:, 0], certain[:, 1], atol=1e-5)


def test_open_loop_prediction_starts_after_its_context(data, trained):
    """One step ahead it equals the heads' reading of one pass over all real steps."""
    model = trained._model
    episodes = [episode_of(data, number) for number in (0, 5)]
    sequences = make_episode_sequences(episodes, [0, 0], [7, 7], data.spaces, "cpu")
    _, errors, predicted = measure_open_loop(model, sequences, 6)
    encoded = model.encode(sequences, sample=False)
    hidden = model.dynamics(encoded.tokens, sequences.episodes)[:, 6, 1]
    expected = model.restore_rewards(model.dynamics.predict(hidden).reward)
    assert torch.allclose(predicted[0], expected, atol=1e-5)
    assert torch.allclose(errors[0], expected - sequences.rewards[:, 6], atol=1e-5)
    assert errors.shape == (1, 2)


def test_fine_tuning_changes_its_own_group_within_five_seconds(data):
    config = tiny(adaptation="finetune", finetune_learning_rate=1e-2)
    policy = TWMPlus(config).train(data, TrainingRun(0))
    policy._config = config
    episodes = [episode_of(data, 0), episode_of(data, 0)]
    support = {1: [episode_of(data, 12)], 2: [episode_of(data, 12)]}
    state = torch.random.get_rng_state()
    began = time.process_time()
    both = live_through(policy, episodes, support, groups=[1, 2])
    assert time.process_time() - began < 5
    assert torch.equal(torch.random.get_rng_state(), state)
    assert np.allclose(both[:, 0], both[:, 1], atol=1e-5), "the result depends on the support only"
    policy._config = tiny(adaptation="context")
    assert not np.allclose(both, live_through(policy, episodes, support, groups=[1, 2]), atol=1e-4)


def test_task_codes_are_the_outputs_after_so_many_steps(data, trained):
    episodes = [episode_of(data, number) for number in (0, 5, 9)]
    codes = trained.task_codes(episodes, 4)
    assert codes.shape == (3, trained._config.width)
    assert np.allclose(codes[1], trained.task_codes(episodes[1:2], 4)[0], atol=1e-5)
    assert not np.allclose(codes, trained.task_codes(episodes, 5), atol=1e-3)


def changed(data, rewards=None, keep=None):
    columns = data.columns
    if rewards is not None:
        columns = dataclasses.replace(columns, rewards=rewards(np.array(columns.rewards)))
    if keep is not None:  # the first steps of each episode only
        starts = columns.offsets[:-1]
        steps = (starts[:, None] + np.arange(keep)).ravel()
        seen = (starts[:, None] + np.arange(len(starts))[:, None] + np.arange(keep + 1)).ravel()
        columns = dataclasses.replace(
            columns,
            observations=columns.observations[seen],
            actions=columns.actions[steps],
            rewards=columns.rewards[steps],
            offsets=np.arange(len(starts) + 1) * keep,
        )
    return TrainingData(columns, data.spaces, data.validation_tasks, suite_name="tiny")


def test_rewards_that_overflow_are_refused(data):
    for value in (np.inf, np.nan, 1e30):
        broken = changed(
            data, rewards=lambda rewards, value=value: np.where(np.arange(len(rewards)) == 3, value, rewards)
        )
        with pytest.raises(DataError, match="rewards of tiny overflow"):
            TWMPlus(tiny()).train(broken, TrainingRun(0))
    policy = TWMPlus(tiny(policy_updates=1, dynamics_updates=1)).train(data, TrainingRun(0))
    bad = dataclasses.replace(episode_of(data, 0), rewards=np.full(len(episode_of(data, 0)), np.inf, np.float32))
    policy.reset([0], [0])
    with pytest.raises(DataError, match="support episode: rewards overflow"):
        policy.adapt({0: [bad]})


def test_episodes_shorter_than_the_context_are_padded_or_refused(data):
    short = changed(data, keep=5)  # windows have 8 steps, segments 4, imagination begins after 2
    policy = TWMPlus(tiny(window=8, segment_steps=7)).train(short, TrainingRun(0))
    episode = episode_of(short, 0)
    assert np.isfinite(live_through(policy, [episode], {5: [episode]})).all()
    with pytest.raises(DataError, match=r"the longest episode has 2 steps.*burn_in < 2"):
        TWMPlus(tiny()).train(changed(data, keep=2), TrainingRun(0))


def test_impossible_configurations_are_refused():
    with pytest.raises(ValueError, match="attend_across_episodes"):
        tiny(attend_across_episodes=False)
    with pytest.raises(ValueError, match="burn_in \\+ horizon must be below window"):
        tiny(burn_in=8)
