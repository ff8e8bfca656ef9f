"""The shared transformer: exact caching, causality, prompts, padding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from metabench_baselines.decision_transformer.config import TransformerConfig
from metabench_baselines.decision_transformer.model import PromptedTransformer
from metabench_baselines.decision_transformer.policy import Actor, Segment, random_prompt
from metabench_baselines.decision_transformer.train import Scales, build_networks

from metabench import Episode, Spaces, Step

SPACES = {
    "continuous": Spaces(3, 6, action_low=(-1.0, 0.0), action_high=(1.0, 0.5)),
    "discrete": Spaces(3, 6, num_actions=4),
}


def config(**overrides):
    fields = {"width": 16, "layers": 2, "heads": 2, "dropout": 0.1, "window": 6, "prompt_length": 2}
    return TransformerConfig(**{**fields, **overrides})


def batch(spaces, lanes=5, steps=6, code_dim=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {
        "returns": torch.randn(lanes, steps, generator=generator),
        "observations": torch.randn(lanes, steps, spaces.observation_dim, generator=generator),
        "actions": torch.randn(lanes, steps, spaces.action_dim, generator=generator),
        "timesteps": torch.arange(steps).expand(lanes, steps),
        "mask": torch.ones(lanes, steps, dtype=torch.bool),
        "codes": torch.randn(lanes, steps, code_dim, generator=generator),
    }


@pytest.mark.parametrize("placement", ["token", "features", "sum"])
@pytest.mark.parametrize("prompted", [False, True])
def test_actions_depend_on_the_past_and_never_on_the_future(placement, prompted):
    spaces = SPACES["continuous"]
    model = PromptedTransformer(config(), spaces, 4, placement).eval()
    steps = batch(spaces)
    prompt = batch(spaces, steps=2, seed=1) if prompted else None
    with torch.no_grad():
        before, _ = model(steps, prompt)
        for name in ("returns", "observations", "codes"):
            changed = {**steps, name: steps[name].clone()}
            changed[name][:, 3] += 3.0
            after, _ = model(changed, prompt)
            assert torch.allclose(after[:, :3], before[:, :3], atol=1e-6), name
            assert not torch.equal(after[:, 3], before[:, 3]), name
            assert not torch.equal(after[:, 5], before[:, 5]), f"{name}: the past must matter"
        changed = {**steps, "actions": steps["actions"].clone()}
        changed["actions"][:, 3] += 3.0
        after, _ = model(changed, prompt)
        assert torch.allclose(after[:, :4], before[:, :4], atol=1e-6)
        assert not torch.equal(after[:, 4:], before[:, 4:])


def test_padding_on_the_left_changes_nothing():
    spaces = SPACES["continuous"]
    model = PromptedTransformer(config(window=8), spaces, 4, "token").eval()
    steps = batch(spaces)
    padded = {
        name: torch.cat([torch.full_like(value[:, :2], 7 if value.dtype.is_floating_point else 0), value], dim=1)
        for name, value in steps.items()
    }
    padded["mask"][:, :2] = False
    with torch.no_grad():
        assert torch.allclose(model(padded, None)[0][:, 2:], model(steps, None)[0], atol=1e-5)


@pytest.mark.parametrize("kind", SPACES)
@pytest.mark.parametrize("prompted", ["none", "all", "some"])
@pytest.mark.parametrize("target", ["typical-best", "predicted"])
def test_cached_acting_equals_recomputing_the_window(kind, prompted, target):
    """With the horizon inside the window both ways see the same steps: the cache must be exact."""
    spaces, lanes = SPACES[kind], 5
    torch.manual_seed(0)
    settings = config(target_return=target)
    networks = build_networks(settings, spaces, code_dim=4)
    scales = Scales(np.zeros(3, np.float32), np.ones(3, np.float32), 2.0, 1.5)
    generator = np.random.default_rng(0)
    episode = Episode(
        generator.normal(size=(7, 3)).astype(np.float32),
        spaces.uniform_actions(generator, (6,)),
        generator.normal(size=6).astype(np.float32),
        False,
        True,
    )
    prompts = [Segment(episode, 1 + lane % 3, 2) if prompted != "none" else None for lane in range(lanes)]
    if prompted == "some":
        prompts[1] = prompts[3] = None
        prompts[2] = Segment(episode, 0, 1)
    cached, windowed = (Actor(settings, networks, spaces, scales) for _ in range(2))
    cached.reset(lanes, prompts)
    windowed.reset(lanes, prompts)
    assert cached._cache is not None
    windowed._cache = None
    previous = spaces.null_actions(lanes)
    for timestep in range(6):
        step = Step(
            generator.normal(size=(lanes, 3)).astype(np.float32),
            previous,
            (generator.normal(size=lanes) * (timestep > 0)).astype(np.float32),
            np.full(lanes, timestep),
            np.ones(lanes, bool),
            np.ones(lanes, bool),
        )
        codes = torch.as_tensor(generator.normal(size=(lanes, 4)), dtype=torch.float32)
        first, second = cached.act(step, codes), windowed.act(step, codes)
        assert np.allclose(first, second, atol=1e-5)
        previous = spaces.uniform_actions(generator, (lanes,))


def test_the_window_slides_over_long_episodes():
    """Beyond K steps only the last K count: what came before is forgotten exactly."""
    spaces = Spaces(3, 12, action_low=(-1.0,), action_high=(1.0,))
    torch.manual_seed(0)
    settings = config(window=4, dropout=0.0)
    networks = build_networks(settings, spaces)
    scales = Scales(np.zeros(3, np.float32), np.ones(3, np.float32), 1.0, 0.0)
    outputs = []
    for start in (0.0, 5.0):
        actor = Actor(settings, networks, spaces, scales)
        actor.reset(2, [None, None])
        generator = np.random.default_rng(1)
        for timestep in range(12):
            observation = generator.normal(size=(2, 3)).astype(np.float32) + (start if timestep < 8 else 0.0)
            action = generator.uniform(-1, 1, size=(2, 1)).astype(np.float32)
            step = Step(
                observation.astype(np.float32),
                action if timestep else spaces.null_actions(2),
                np.zeros(2, np.float32),
                np.full(2, timestep),
                np.ones(2, bool),
                np.ones(2, bool),
            )
            features = actor.act(step, None)
        outputs.append(features)
    assert np.allclose(outputs[0], outputs[1], atol=1e-6)


def test_the_position_table_is_zero_and_not_trained():
    model = PromptedTransformer(config(), SPACES["continuous"], 0, "token")
    table = model.transformer.backbone.wpe.weight
    assert not table.requires_grad
    assert not table.any()


def test_random_prompts_lie_inside_their_episode():
    episode = Episode(np.zeros((4, 3), np.float32), np.zeros((3, 2), np.float32), np.zeros(3, np.float32), True, False)
    generator = np.random.default_rng(0)
    starts = {random_prompt(2)([episode], generator).start for _ in range(50)}
    assert starts == {0, 1}
    assert random_prompt(5)([episode], generator) == Segment(episode, 0, 3)
