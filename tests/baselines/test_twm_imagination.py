"""Imagination of twm-plus: equal to recomputing and quicker, weights, advantages, likelihoods, balanced sampling."""

from __future__ import annotations

import time

import pytest
import torch
from metabench_baselines.twm_plus.training.imagined_rollouts import (
    begin_at,
    choose_starts,
    disagreement,
    imagine,
    read_context,
)

from metabench import load_data

from .twm_setting import setting


@pytest.fixture(scope="module")
def data():
    return load_data("tiny", "medium").fitting


@torch.no_grad()
def recomputed(model, context, rows, steps, rollouts, until):
    """Outputs at the first `until` imagined action tokens, from whole sequences and without any memory."""
    tokens, each = model.dynamics, model.dynamics.step_tokens
    outputs = []
    encoded = context.encoded
    for n, (row, step) in enumerate(zip(rows.tolist(), steps.tolist(), strict=True)):
        first = max(0, step - model.config.memory)
        real = encoded.tokens[row, first * each : step * each]
        gamma = model.config.discount
        later = tokens.embed_steps(
            rollouts.latents[:-1, n][None],
            rollouts.inputs[:, n][None],
            rollouts.rewards[:, n][None],
            rollouts.steps.discounts[:, n][None],
        )[0]
        assert gamma > 0
        whole = torch.cat([real, later])[None, : (step - first + until) * each]
        known = encoded.steps.episodes[row, first:step]
        episodes = torch.cat([known, torch.zeros(until, dtype=torch.int64)])[None]
        pinned = None
        if context.pinned is not None:
            group = row * context.pinned.groups // len(encoded.tokens)
            one = [[part[group : group + 1] for part in parts] for parts in _layers(context.pinned)]
            pinned = type(context.pinned)(*one, context.pinned.unseen[row : row + 1])
        outputs.append(model.dynamics(whole, episodes, pinned)[0, step - first :, 1])
    return torch.stack(outputs, dim=1)


def _layers(pinned):
    return pinned.keys, pinned.values, pinned.bias


@pytest.mark.parametrize("overrides", [{}, {"segments": 0}, {"policy_input": "latent"}, {"discount_input": False}])
def test_imagination_equals_recomputing(data, overrides):
    """Every imagined output, from starts with little and much context, with support seen and hidden."""
    config, model, policy, batch = setting(data, layers=1, **overrides)
    context = read_context(model, batch.windows, batch.support, sample=True)
    rows = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
    steps = torch.tensor([0, 3, 2, 7, 5, 1, 6, 4])
    start = begin_at(model, context, rows, steps, 6)
    rollouts = imagine(config, model, policy, start, 6)
    expected = recomputed(model, context, rows, steps, rollouts, 6)
    assert torch.allclose(rollouts.hidden, expected, atol=1e-5)
    assert torch.allclose(rollouts.rewards, model.dynamics.predict(expected).reward, atol=1e-5)


@pytest.mark.slow
def test_imagination_is_five_times_quicker_than_recomputing(data):
    """Ratio within one run: 15 steps after a full window, one by one with the memory and from whole sequences."""
    config, model, policy, batch = setting(data, memory=40, width=32, segments=0, window=20)
    context = read_context(model, batch.windows, None, sample=True)
    rows, steps = torch.arange(4).repeat(8), torch.full((32,), 19)

    def cached():
        return imagine(config, model, policy, begin_at(model, context, rows, steps, 15), 15)

    rollouts = cached()
    real = context.encoded.tokens[rows, : 19 * 4]
    gamma = torch.full_like(rollouts.rewards, config.discount)
    parts = [x.transpose(0, 1) for x in (rollouts.latents[:-1], rollouts.inputs, rollouts.rewards, gamma)]

    @torch.no_grad()
    def anew():
        for step in range(15):
            for half in (1, 2):  # the action's output, and that at the next latent
                later = model.dynamics.embed_steps(*(x[:, : step + half] for x in parts))
                whole = torch.cat([real, later], dim=1)
                episodes = torch.zeros(32, whole.shape[1] // 4, dtype=torch.int64)
                hidden = model.dynamics(whole, episodes)[:, -1]
            model.dynamics.predict(hidden[:, 1])

    def seconds(work):
        began = time.process_time()
        work()
        return time.process_time() - began

    # In turn: other programs slow down both alike, and seldom all the time.
    times = [(seconds(anew), seconds(cached)) for _ in range(6)]
    assert min(slow for slow, _ in times) > 5 * min(quick for _, quick in times)


def test_weights_are_the_cumulative_discount(data):
    config, model, policy, batch = setting(data)
    model.dynamics.discount_head[-1].weight.zero_()
    model.dynamics.discount_head[-1].bias.fill_(float(torch.logit(torch.tensor(0.99, dtype=torch.float64))))
    context = read_context(model, batch.windows, batch.support, sample=True)
    rows, steps = choose_starts(batch.startable, 8, 2)
    rollouts = imagine(config, model, policy, begin_at(model, context, rows, steps, 12), 12)
    expected = (0.99 ** torch.arange(12))[:, None].expand(12, 8)
    assert torch.allclose(rollouts.steps.weights, expected, atol=1e-4)
    assert not rollouts.steps.cut.any()


def test_rollouts_that_are_over_start_anew(data):
    config, model, policy, batch = setting(
        data, restart_below=0.1, segments=0, attend_across_episodes=False, policy_input="latent"
    )
    model.dynamics.discount_head[-1].weight.zero_()
    model.dynamics.discount_head[-1].bias.zero_()  # every discount is one half: over after four steps
    context = read_context(model, batch.windows, None, sample=True)
    rows, steps = choose_starts(batch.startable, 6)
    start = begin_at(model, context, rows, steps, 9)
    rollouts = imagine(config, model, policy, start, 9)
    assert rollouts.steps.cut.any(dim=1).tolist() == [False, False, False, True] * 2 + [False]
    assert rollouts.steps.weights[:, 0].tolist() == [1, 0.5, 0.25, 0.125] * 2 + [1]
    for latent in rollouts.latents[4]:
        assert (latent == start.latents).all(dim=1).any()
    again = model.dynamics(
        model.dynamics.embed_steps(*(x.transpose(0, 1) for x in _second_episodes(rollouts))), torch.zeros(6, 4).long()
    )
    assert torch.allclose(again[:, :, 1].transpose(0, 1), rollouts.hidden[4:8], atol=1e-5), "the past is out of sight"


def _second_episodes(rollouts):
    part = slice(4, 8)
    discounts = torch.where(rollouts.steps.cut, 0.0, rollouts.steps.discounts)
    return rollouts.latents[part], rollouts.inputs[part], rollouts.rewards[part], discounts[part]


def test_starts_lie_in_the_groups_own_windows():
    startable = torch.zeros(6, 5, dtype=torch.bool)
    startable[0, 2], startable[3], startable[4, 1:3] = True, True, True
    rows, steps = choose_starts(startable, 9, 3)
    assert rows.tolist() == [0, 0, 0, 3, 3, 3, 4, 4, 4]
    assert startable[rows, steps].all()
    assert len(set(steps[3:6].tolist())) == 3, "different ones, as long as there are any"


def test_disagreement_is_the_mean_distance_from_the_mean_table(data):
    _, model, _, _ = setting(data, ensemble=3)
    prediction = model.dynamics.predict(torch.randn(5, 16))
    tables = prediction.latent_logits.unflatten(-1, (4, 8)).softmax(-1)
    distances = [(tables[k] - tables.mean(0)).flatten(1).square().sum(1).sqrt() for k in range(3)]
    assert torch.allclose(disagreement(model, prediction), torch.stack(distances).mean(0), atol=1e-6)
    _, single, _, _ = setting(data, ensemble=1)
    assert torch.all(disagreement(single, single.dynamics.predict(torch.randn(5, 16))) == 0)


def test_imagined_rewards_lose_the_penalty(data):
    config, model, policy, batch = setting(data, disagreement_penalty=2.0)
    context = read_context(model, batch.windows, batch.support, sample=True)
    rows, steps = choose_starts(batch.startable, 8, 2)
    rollouts = imagine(config, model, policy, begin_at(model, context, rows, steps, 3), 3)
    assert torch.allclose(rollouts.steps.rewards, rollouts.rewards - 2.0 * rollouts.disagreement)
    assert (rollouts.disagreement > 0).all()
