"""Acting with the cache and the sliding window: equal to a full pass over prompt and last K steps, at every step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from metabench_baselines.common.decision_transformer.config import TransformerConfig
from metabench_baselines.common.decision_transformer.policy import Actor, Segment
from metabench_baselines.common.decision_transformer.sliding import CPU_LANES
from metabench_baselines.common.decision_transformer.train import Scales, build_networks

from metabench import Episode, Spaces, Step

pytestmark = pytest.mark.slow


CODE_DIM = 4
SCALES = Scales(np.full(3, 0.2, np.float32), np.full(3, 1.5, np.float32), 2.0, 1.5)


def spaces_of(kind, horizon):
    if kind == "discrete":
        return Spaces(3, horizon, num_actions=4)
    return Spaces(3, horizon, action_low=(-1.0, 0.0), action_high=(1.0, 0.5))


def config(**overrides):
    fields = {"width": 16, "layers": 3, "heads": 1, "dropout": 0.1, "window": 4, "prompt_length": 3}
    return TransformerConfig(**{**fields, **overrides})


def episode_of(spaces, length=9):
    generator = np.random.default_rng(1)
    return Episode(
        generator.normal(size=(length + 1, 3)).astype(np.float32),
        spaces.uniform_actions(generator, (length,)),
        generator.normal(size=length).astype(np.float32),
        False,
        True,
    )


def prompts_of(which, lanes, length, episode):
    if which == "none":
        return [None] * lanes
    full = [Segment(episode, 1 + lane % 3, length) for lane in range(lanes)]
    if which == "all":
        return full
    # Some without a prompt, some with short ones.
    return [None if lane % 3 == 1 else Segment(episode, lane % 3, 1 + lane % length) for lane in range(lanes)]


def act_episode(settings, networks, spaces, prompts, seed=0, rewarded=True):
    """Inputs of every step, and the features that the actor gives."""
    generator = np.random.default_rng(seed)
    lanes = len(prompts)
    actor = Actor(settings, networks, spaces, SCALES)
    actor.reset(lanes, prompts)
    steps, codes, features = [], [], []
    previous = spaces.null_actions(lanes)
    for timestep in range(spaces.horizon):
        steps.append(
            Step(
                generator.normal(size=(lanes, 3)).astype(np.float32),
                previous,
                (generator.normal(size=lanes) * (rewarded and timestep > 0)).astype(np.float32),
                np.full(lanes, timestep),
                np.ones(lanes, bool),
                np.ones(lanes, bool),
            )
        )
        codes.append(torch.as_tensor(generator.normal(size=(lanes, CODE_DIM)), dtype=torch.float32))
        features.append(actor.act(steps[-1], codes[-1]))
        previous = spaces.uniform_actions(generator, (lanes,))
    return steps, codes, features


@torch.no_grad()
def run_full_pass(settings, networks, spaces, segment, steps, codes, lane, now):
    """Features of one lane at step `now`, from its own prompt and the last K steps, nothing kept."""
    prompt = None
    if segment is not None:
        place = slice(segment.start, segment.start + segment.length)
        to_go = np.array([segment.episode.rewards[t:].sum() for t in range(len(segment.episode))]) / SCALES.returns
        prompt = {
            "returns": torch.as_tensor(to_go[place], dtype=torch.float32),
            "observations": torch.as_tensor(SCALES.normalise(segment.episode.observations[place])),
            "actions": torch.as_tensor(spaces.action_features(segment.episode.actions[place])),
            "timesteps": torch.arange(place.start, place.stop),
            "mask": torch.ones(segment.length, dtype=torch.bool),
        }
        prompt = {name: value[None] for name, value in prompt.items()}
    times = np.arange(max(0, now - settings.window + 1), now + 1)
    observations = torch.as_tensor(SCALES.normalise(np.stack([steps[t].observation[lane] for t in times])))[None]
    window_codes = torch.stack([codes[t][lane] for t in times])[None]
    timesteps = torch.as_tensor(times)[None]
    taken = [spaces.action_features(steps[t + 1].previous_action)[lane] for t in times[:-1]]
    actions = torch.as_tensor(np.stack([*taken, np.zeros(spaces.action_dim, np.float32)]))[None]
    if networks.achievable is not None:
        returns = networks.achievable(observations, window_codes, timesteps)
    else:
        earned = np.cumsum([step.previous_reward[lane] for step in steps])
        returns = torch.as_tensor(SCALES.target - earned[times] / SCALES.returns, dtype=torch.float32)[None]
    window = {
        "returns": returns,
        "observations": observations,
        "codes": window_codes,
        "actions": actions,
        "timesteps": timesteps,
        "mask": torch.ones(timesteps.shape, dtype=torch.bool),
    }
    return networks.transformer(window, prompt)[0][0, -1].numpy()


def assert_equal_to_full_passes(settings, kind, which, horizon, placement="token", lanes=5):
    spaces = spaces_of(kind, horizon)
    torch.manual_seed(0)
    networks = build_networks(settings, spaces, CODE_DIM, placement)
    prompts = prompts_of(which, lanes, settings.prompt_length, episode_of(spaces))
    steps, codes, features = act_episode(settings, networks, spaces, prompts)
    assert np.ptp(features[-1], axis=0).max() > 0.05, "lanes must differ"
    for now in range(horizon):
        for lane, segment in enumerate(prompts):
            expected = run_full_pass(settings, networks, spaces, segment, steps, codes, lane, now)
            assert np.allclose(features[now][lane], expected, atol=1e-5), (now, lane)


@pytest.mark.parametrize("kind", ["continuous", "discrete"])
@pytest.mark.parametrize("which", ["none", "all", "some"])
@pytest.mark.parametrize("target", ["typical-best", "predicted"])
def test_acting_within_the_window_equals_full_passes(kind, which, target):
    assert_equal_to_full_passes(config(window=6, heads=2, target_return=target), kind, which, horizon=6)


@pytest.mark.parametrize("kind", ["continuous", "discrete"])
@pytest.mark.parametrize("which", ["none", "all", "some"])
@pytest.mark.parametrize("target", ["typical-best", "predicted"])
def test_acting_far_beyond_the_window_equals_full_passes(kind, which, target):
    assert_equal_to_full_passes(config(target_return=target), kind, which, horizon=19)


@pytest.mark.parametrize("placement", ["token", "features", "sum"])
@pytest.mark.parametrize("which", ["none", "some"])
@pytest.mark.parametrize("overrides", [{"window": 1}, {"layers": 1}, {"heads": 4}, {"window": 5, "prompt_length": 4}])
def test_the_window_slides_in_networks_of_any_shape(placement, which, overrides):
    assert_equal_to_full_passes(config(**overrides), "continuous", which, horizon=11, placement=placement)


def test_many_lanes_are_computed_in_parts():
    assert_equal_to_full_passes(config(layers=2), "continuous", "some", horizon=7, lanes=CPU_LANES + 3)


def test_an_actor_starts_anew_at_every_reset():
    settings, spaces = config(), spaces_of("continuous", 9)
    torch.manual_seed(0)
    networks = build_networks(settings, spaces, CODE_DIM)
    prompts = prompts_of("some", 4, settings.prompt_length, episode_of(spaces))
    _, _, first = act_episode(settings, networks, spaces, prompts)
    actor = Actor(settings, networks, spaces, SCALES)
    for _ in range(2):
        actor.reset(4, prompts)
        steps, codes, _ = act_episode(settings, networks, spaces, prompts)
        again = [actor.act(step, code) for step, code in zip(steps, codes, strict=True)]
        assert np.array_equal(again, first)


def test_what_came_before_the_window_is_forgotten():
    """Observations, actions and codes of earlier steps leave no trace, where returns do not tell of them."""
    settings, spaces = config(), spaces_of("continuous", 12)
    torch.manual_seed(0)
    networks = build_networks(settings, spaces, CODE_DIM)
    actor = Actor(settings, networks, spaces, SCALES)
    steps, codes, features = act_episode(settings, networks, spaces, [None] * 3, rewarded=False)
    others, other_codes, _ = act_episode(settings, networks, spaces, [None] * 3, seed=9, rewarded=False)
    changed = 12 - settings.window
    actor.reset(3, [None] * 3)
    for step, code in zip(others[:changed], other_codes[:changed], strict=True):
        actor.act(step, code)
    for now in range(changed, 12):
        last = actor.act(steps[now], codes[now])
        if now < 11:
            assert not np.allclose(last, features[now], atol=1e-4)
    assert np.allclose(last, features[-1], atol=1e-6)
