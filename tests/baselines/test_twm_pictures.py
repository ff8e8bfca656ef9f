"""Pictures of twm-plus: attention that adds up and looks at nothing later, imagination that is the model's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from metabench_baselines.twm_plus import TWMPlus
from metabench_baselines.twm_plus.config import TWMConfig
from metabench_baselines.twm_plus.inspect.diagnostics import draw_windows, drop_context, measure_open_loop
from metabench_baselines.twm_plus.inspect.pictures import (
    draw_attention,
    draw_imagined_episode,
    draw_open_loop_errors,
    imagine_with_each_head,
    record_attention,
)
from metabench_baselines.twm_plus.model.world_model import Sequences, Support, WorldModel
from metabench_baselines.twm_plus.presets import PUBLISHED_FRAMES
from metabench_baselines.twm_plus.training.batches import gather_windows
from metabench_baselines.twm_plus.training.imagined_rollouts import read_context

from metabench import HeatMap, ImageStrip, LinePlot, Spaces, TrainingData, TrainingRun, load_data
from metabench.data.columns import Columns

from .twm_setting import tiny


@pytest.fixture(scope="module")
def data():
    return load_data("tiny", "medium")


def model_of(config, data):
    torch.manual_seed(0)
    model = WorldModel(config, data.spaces)
    model.measure(data)
    return model.eval()


def steps_of(data, episodes, starts, length):
    return gather_windows(data, data.to("cpu"), np.array(episodes), np.array(starts), length)[0]


def support_of(data, config, episodes):
    segments = steps_of(data, episodes, [0] * len(episodes), config.segment_steps)
    segments.ended[:, -1] = True
    return Support(segments, len(episodes), torch.zeros(1, len(episodes), dtype=torch.bool))


def test_attention_adds_up_and_sees_nothing_later_nor_beyond_its_window(data):
    config = tiny(memory=4)
    model, steps = model_of(config, data), 12
    weights, pinned = record_attention(model, steps_of(data, [0], [0], steps), support_of(data, config, [1, 2]))
    each = model.dynamics.step_tokens
    assert weights.shape == (config.layers, config.heads, steps, 2 * config.segment_steps + steps, each)
    assert pinned == 2 * config.segment_steps
    assert np.allclose(weights.sum(axis=(-2, -1)), 1.0, atol=1e-5)
    own = weights[..., pinned:, :].sum(axis=-1)
    query, key = np.indices((steps, steps))
    seen = (key <= query) & (key >= query - config.memory)
    assert (own[..., seen] > 0).all()
    assert (own[..., ~seen] == 0).all()
    assert (weights[..., np.arange(steps), pinned + np.arange(steps), 2:] == 0).all(), "outcomes come after the action"
    assert (weights[..., :pinned, :] > 0).all()


def test_watching_changes_nothing_and_leaves_no_hook(data):
    config = tiny()
    model, window = model_of(config, data), steps_of(data, [0], [0], 6)
    before = read_context(model, window, None, sample=False).hidden
    maps = draw_attention(model, window, None)
    assert torch.equal(read_context(model, window, None, sample=False).hidden, before)
    assert not model.dynamics.transformer.dropout._forward_pre_hooks
    assert [type(each) for each in maps] == [HeatMap, HeatMap, LinePlot]
    assert np.allclose(maps[0].values.sum(axis=1), 1.0, atol=1e-5)
    shares = sum(series.y for series in maps[2].panels["this episode"])
    assert np.allclose(shares, 1.0, atol=1e-5)


def test_one_head_imagines_what_the_diagnostics_do(data):
    model, window = model_of(tiny(ensemble=1), data), steps_of(data, [3], [2], 10)
    states, rewards = imagine_with_each_head(model, window, 4)
    errors, reward_errors, expected = measure_open_loop(model, window, 4)
    truth = model.observation.scale(window.observations)[0, 5:]
    assert np.allclose(rewards[0], expected[:, 0], atol=1e-6)
    assert np.allclose(states[0], truth + errors[:, 0], atol=1e-5)
    assert np.allclose(rewards[0] - window.rewards[0, 4:].numpy(), reward_errors[:, 0], atol=1e-6)


def test_the_plot_has_what_was_logged_in_its_own_units_and_the_spread_of_the_heads(data):
    model, window = model_of(tiny(ensemble=3), data), steps_of(data, [3], [0], 10)
    picture = draw_imagined_episode(model, window, 4)
    real, imagined = picture.panels["reward"]
    assert np.array_equal(real.y, window.rewards[0])
    assert (real.reference, len(real.x), list(imagined.x)) == (True, 10, [5, 6, 7, 8, 9, 10])
    assert (imagined.low <= imagined.y).all()
    assert (imagined.y <= imagined.high).all()
    assert (imagined.low < imagined.high).any()
    for place in range(data.spaces.observation_dim):
        name = f"observation {place + 1} of {data.spaces.observation_dim}"
        assert np.allclose(picture.panels[name][0].y, window.observations[0, 1:, place], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("suite", ["tiny", "tiny-discrete"])
@pytest.mark.parametrize("overrides", [{}, {"segments": 0, "reward_input": False, "ensemble": 1, "layers": 1}])
def test_a_policy_offers_the_same_pictures_for_the_same_draws(suite, overrides):
    data = load_data(suite, "medium")
    nothing = dict.fromkeys(("dynamics_updates", "joint_updates", "pretraining_updates", "policy_updates"), 1)
    policy = TWMPlus(tiny(**nothing, **overrides)).train(data, TrainingRun(0))
    first, again = (policy.pictures(data.validation, np.random.default_rng(1)) for _ in range(2))
    titles = ["What it looks at", "Imagined and real", "How far off imagination is"]
    assert [each.title for each in first][-3:] == titles
    assert ("support" in first[-3].panels) == (overrides == {})
    assert np.array_equal(first[0].values, again[0].values)
    assert [line.name for line in first[-2].panels["reward"]] == ["real", "imagined"]


def test_errors_of_imagination_are_of_the_same_steps_whatever_came_before():
    draws, episodes, steps = np.random.default_rng(0), 6, 40
    columns = Columns(
        draws.normal(size=(episodes * (steps + 1), 3)).astype(np.float32),
        draws.uniform(-1, 1, size=(episodes * steps, 2)).astype(np.float32),
        draws.normal(size=episodes * steps).astype(np.float32),
        np.arange(episodes + 1) * steps,
        np.zeros(episodes, bool),
        np.zeros(episodes, np.int64),
    )
    long = TrainingData(columns, Spaces(3, steps, action_low=(-1.0, -1.0), action_high=(1.0, 1.0)))
    model = model_of(tiny(), long)
    state, reward = draw_open_loop_errors(model, long, np.random.default_rng(1)).panels.values()
    names = ["predicting the mean", "after 0 real steps", "after 16 real steps"]
    assert [line.name for line in state] == [line.name for line in reward] == names
    windows = draw_windows(long, 31, np.random.default_rng(1), "cpu")
    of_states, of_rewards, _ = measure_open_loop(model, windows, 16)
    assert np.allclose(state[2].y, of_states.square().mean(dim=(1, 2)).sqrt(), atol=1e-5)
    assert np.allclose(reward[2].y, of_rewards.square().mean(dim=1).sqrt(), atol=1e-5)
    _, bare, _ = measure_open_loop(model, drop_context(windows, 16), 0)
    assert np.allclose(reward[1].y, bare.square().mean(dim=1).sqrt(), atol=1e-5)
    last = windows.rewards[:, 16:]
    assert np.allclose(reward[0].y, (last - last.mean()).square().mean(dim=0).sqrt(), atol=1e-5)


def test_frames_are_shown_as_frames():
    spaces = Spaces(4 * 64 * 64, 6, num_actions=2)
    small = {"width": 16, "layers": 1, "heads": 2, "feedforward": 16, "latent_groups": 2, "latent_classes": 4}
    heads = dict.fromkeys(
        ("latent_head_widths", "reward_head_widths", "discount_head_widths", "observation_widths"), ()
    )
    model = WorldModel(TWMConfig(**PUBLISHED_FRAMES, **small, **heads), spaces).eval()
    ones = torch.ones(1, 5, dtype=torch.bool)
    frames = torch.rand(1, 6, spaces.observation_dim)
    window = Sequences(frames, torch.zeros(1, 5, 2), torch.zeros(1, 5), ~ones, ~ones, torch.zeros(1, 5).long(), ones)
    picture = draw_imagined_episode(model, window, 2)
    assert isinstance(picture, ImageStrip)
    assert picture.images.shape == (2, 3, 64, 64)
    newest = frames[0, 3:].reshape(3, 4, 64, 64)[:, -1].numpy()
    assert np.array_equal(picture.images[0], (newest * 255).round().astype(np.uint8))
