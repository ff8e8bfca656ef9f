"""The shared transformer: causality, prompts, padding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from metabench_baselines.common.decision_transformer.config import TransformerConfig
from metabench_baselines.common.decision_transformer.model import PromptedTransformer
from metabench_baselines.common.decision_transformer.policy import Segment, choose_random_prompt

from metabench import Episode, Spaces

SPACES = Spaces(3, 6, action_low=(-1.0, 0.0), action_high=(1.0, 0.5))


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
    spaces = SPACES
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
    spaces = SPACES
    model = PromptedTransformer(config(window=8), spaces, 4, "token").eval()
    steps = batch(spaces)
    padded = {
        name: torch.cat([torch.full_like(value[:, :2], 7 if value.dtype.is_floating_point else 0), value], dim=1)
        for name, value in steps.items()
    }
    padded["mask"][:, :2] = False
    with torch.no_grad():
        assert torch.allclose(model(padded, None)[0][:, 2:], model(steps, None)[0], atol=1e-5)


def test_the_position_table_is_zero_and_not_trained():
    model = PromptedTransformer(config(), SPACES, 0, "token")
    table = model.transformer.backbone.wpe.weight
    assert not table.requires_grad
    assert not table.any()


def test_random_prompts_lie_inside_their_episode():
    episode = Episode(np.zeros((4, 3), np.float32), np.zeros((3, 2), np.float32), np.zeros(3, np.float32), True, False)
    generator = np.random.default_rng(0)
    starts = {choose_random_prompt(2)([episode], generator).start for _ in range(50)}
    assert starts == {0, 1}
    assert choose_random_prompt(5)([episode], generator) == Segment(episode, 0, 3)
