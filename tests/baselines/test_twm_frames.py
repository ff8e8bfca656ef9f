"""The published model of frames in twm-plus: its number of parameters, convolutions, frames of the wrong shape."""

from __future__ import annotations

import pytest
import torch
from metabench_baselines.twm_plus.actor_critic import ActorCritic
from metabench_baselines.twm_plus.config import TWMConfig
from metabench_baselines.twm_plus.model.observation_model import ObservationModel
from metabench_baselines.twm_plus.model.world_model import WorldModel
from metabench_baselines.twm_plus.presets import PUBLISHED_FRAMES

from metabench import DataError, Spaces

from .twm_setting import CONTINUOUS, tiny

FRAMES = Spaces(4 * 64 * 64, 100, num_actions=4)


def count(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("actions", [4, 6])
def test_the_model_of_frames_has_exactly_the_published_number_of_parameters(actions):
    config = TWMConfig(**PUBLISHED_FRAMES, policy_input="latent")
    spaces = Spaces(4 * 64 * 64, 100, num_actions=actions)
    with torch.device("meta"):
        model, policy = WorldModel(config, spaces), ActorCritic(config, spaces)
    assert count(model.observation) == 8_234_532
    assert count(model.dynamics) == 10_777_858 + 256 * actions
    assert count(model.dynamics.transformer) == 8_543_232
    assert count(policy.actor) == 1_312_768 + 513 * actions
    assert count(policy.critic) == 1_313_281


def test_frames_go_through_convolutions_and_back():
    config = TWMConfig(**PUBLISHED_FRAMES)
    model = ObservationModel(config, FRAMES.observation_dim)
    frames = torch.randint(256, (2, 3, 4, 64, 64), dtype=torch.uint8)
    scaled = model.scale(frames)
    assert scaled.max() <= 1.0
    assert torch.equal(model.scale(frames.flatten(2)), scaled)
    logits = model.encode(scaled)
    assert logits.shape == (2, 3, 1024)
    assert model.decode(model.latents.sample(logits)).shape == scaled.shape
    decoder, _, _ = model.reconstruction_loss(scaled)
    assert 100 < decoder.item() < 10_000, "summed over the 16,384 values of an observation"
    intended = ObservationModel(
        config.model_copy(update={"decoder_initialisation": "intended"}), FRAMES.observation_dim
    )
    assert torch.equal(intended.decoder[-1].bias, torch.full((4,), 0.5))


@pytest.mark.parametrize("shape", [(2, 4, 64, 63), (2, 3, 64, 64), (2, 64, 64), (2, 17)])
def test_frames_of_another_shape_are_refused(shape):
    model = ObservationModel(TWMConfig(**PUBLISHED_FRAMES), FRAMES.observation_dim)
    with pytest.raises(DataError, match=r"frames of shape .* expected \(..., 4, 64, 64\)"):
        model.scale(torch.zeros(shape))
    with pytest.raises(DataError, match="observations of 3 values, expected 16384"):
        WorldModel(tiny(front="frames"), CONTINUOUS)
    with pytest.raises(DataError, match=r"observations of shape \(5, 4\), expected \(..., 3\)"):
        WorldModel(tiny(), CONTINUOUS).observation.scale(torch.zeros(5, 4))
