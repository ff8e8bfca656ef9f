"""The losses of the recurrent state-space model against closed forms: divergences, categories, two-hot rewards."""

from __future__ import annotations

import math

import torch
from metabench_baselines.common.world_models.recurrent.config import DREAMER, TINY_RECURRENT
from metabench_baselines.common.world_models.recurrent.latents import balance_divergence, make_latents
from metabench_baselines.common.world_models.recurrent.symlog import (
    average_bins,
    make_bins,
    spread_over_bins,
    symexp,
    symlog,
)
from metabench_baselines.planet.config import PlanetConfig


def test_divergences_are_those_of_the_closed_forms():
    """By torch's own distributions; halves teach one side each, and below the free nats nothing."""
    torch.manual_seed(0)
    normal = torch.distributions.Normal
    for form, statistics in ({"latent_dim": 3}, 6), ({**DREAMER, "groups": 2, "classes": 3}, 6):
        config = PlanetConfig(**{**TINY_RECURRENT, **form})
        latents = make_latents(config)
        assert latents.statistics == statistics
        left, right = torch.randn(2, 5, statistics)
        if config.latent == "gaussian":
            one, two = (
                normal(each[:, :3], torch.nn.functional.softplus(each[:, 3:]) + config.least_deviation)
                for each in (left, right)
            )
        else:
            mixed = [0.99 * each.view(5, 2, 3).softmax(-1) + 0.01 / 3 for each in (left, right)]
            one, two = (torch.distributions.Categorical(each) for each in mixed)
        wanted = torch.distributions.kl_divergence(one, two).sum(-1)
        torch.testing.assert_close(latents.diverge(left, right), wanted, atol=1e-5, rtol=1e-4)


def test_the_divergence_is_balanced_and_has_free_nats():
    latents = make_latents(PlanetConfig(latent_dim=3))
    said = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(0))
    posterior, prior = said[0].clone().requires_grad_(), said[1].clone().requires_grad_()
    gradients = {}
    for weights in ((1.0, 1.0), (1.0, 0.1)):
        config = PlanetConfig(latent_dim=3, prior_weight=weights[0], posterior_weight=weights[1], free_nats=0.0)
        loss, _ = balance_divergence(latents, posterior, prior, config)
        gradients[weights] = torch.autograd.grad(loss.sum(), (posterior, prior))
    plain = torch.autograd.grad(latents.diverge(posterior, prior).sum(), (posterior, prior))
    for found, wanted in zip(gradients[1.0, 1.0], plain, strict=True):  # both halves are the divergence's own gradient
        torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(gradients[1.0, 0.1][0], 0.1 * plain[0])
    torch.testing.assert_close(gradients[1.0, 0.1][1], plain[1])
    config = PlanetConfig(latent_dim=3, free_nats=1e3)
    loss, _ = balance_divergence(latents, posterior, prior, config)
    torch.testing.assert_close(loss, torch.full((5,), 1.1e3))
    assert not torch.autograd.grad(loss.sum(), prior)[0].any()


def test_drawn_categories_have_the_mixed_frequencies_and_pass_gradients_straight_through():
    latents = make_latents(PlanetConfig(latent="categorical", groups=1, classes=4, uniform_mix=0.2))
    said = torch.tensor([[0.0, 1.0, 2.0, -1.0]], requires_grad=True)
    torch.manual_seed(0)
    drawn = latents.sample(said.expand(20_000, -1))
    assert set(drawn.detach().round(decimals=5).unique().tolist()) == {0.0, 1.0}
    wanted = 0.8 * said.softmax(-1) + 0.05
    torch.testing.assert_close(drawn.mean(0, keepdim=True), wanted, atol=0.02, rtol=0)
    weights = torch.tensor([1.0, 2.0, 3.0, 4.0])
    (found,) = torch.autograd.grad((latents.sample(said) * weights).sum(), said)
    (expected,) = torch.autograd.grad((wanted * weights).sum(), said)
    torch.testing.assert_close(found, expected)


def test_symmetric_logarithms_and_two_bins():
    values = torch.tensor([-50.0, -1.0, 0.0, 0.3, 7.0])
    torch.testing.assert_close(
        symlog(values), torch.tensor([-math.log(51), -math.log(2), 0, math.log(1.3), math.log(8)])
    )
    torch.testing.assert_close(symexp(symlog(values)), values)
    bins = make_bins(255)
    weights = spread_over_bins(values, bins)
    torch.testing.assert_close(weights.sum(-1), torch.ones(5))
    assert ((weights > 0).sum(-1) <= 2).all()
    torch.testing.assert_close((weights * bins).sum(-1), symlog(values), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(average_bins((weights + 1e-12).log(), bins), values, atol=1e-3, rtol=1e-3)
    assert spread_over_bins(torch.tensor([1e30]), bins)[0, -1] == 1.0  # what is beyond the bins is in the last one
