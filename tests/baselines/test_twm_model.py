"""The world model of twm-plus: published sizes, what tokens see, memories, losses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from metabench_baselines.twm_plus.actor_critic import ActorCritic
from metabench_baselines.twm_plus.model.attention import relative_shift
from metabench_baselines.twm_plus.model.observation_model import Latents
from metabench_baselines.twm_plus.model.transformer import TransformerXL
from metabench_baselines.twm_plus.model.world_model import Sequences, WorldModel
from metabench_baselines.twm_plus.presets import PRESETS

from metabench import Spaces

from .twm_setting import CONTINUOUS, tiny


def count(module):
    return sum(p.numel() for p in module.parameters())


def transformer(layers=3, memory=4, step_tokens=3, across=True, dropout=0.0, seed=0):
    torch.manual_seed(seed)
    return TransformerXL(
        16, layers, 2, 32, dropout, memory, step_tokens, head_scale=False, across_episodes=across
    ).eval()


def sequences(batch=2, steps=6, spaces=CONTINUOUS, padding=0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    episodes = torch.zeros(batch, steps, dtype=torch.int64)
    episodes[:, :padding] = -1
    actions = torch.rand(batch, steps, spaces.action_dim, generator=generator) * 2 - 1
    if spaces.discrete:
        actions = torch.nn.functional.one_hot(actions.argmax(-1), spaces.num_actions).float()
    return Sequences(
        observations=torch.randn(batch, steps + 1, spaces.observation_dim, generator=generator),
        actions=actions,
        rewards=torch.randn(batch, steps, generator=generator),
        terminated=torch.zeros(batch, steps, dtype=torch.bool),
        ended=torch.zeros(batch, steps, dtype=torch.bool),
        episodes=episodes,
        next_known=torch.ones(batch, steps, dtype=torch.bool),
    )


def test_size_s_has_about_1_7_million_parameters():
    spaces = Spaces(20, 200, action_low=(-1.0,) * 6, action_high=(1.0,) * 6)
    policy = ActorCritic(PRESETS["cpu"], spaces)
    assert 1.6e6 < count(WorldModel(PRESETS["cpu"], spaces)) + count(policy.actor) + count(policy.critic) < 1.8e6


@pytest.mark.parametrize(("reward", "discount"), [(True, False), (True, True), (False, True), (False, False)])
def test_a_step_has_two_to_four_tokens(reward, discount):
    model = WorldModel(tiny(reward_input=reward, discount_input=discount), CONTINUOUS)
    encoded = model.encode(sequences(steps=5), sample=False)
    each = 2 + reward + discount
    assert encoded.tokens.shape == (2, 5 * each, model.config.width)
    hidden = model.dynamics(encoded.tokens[:, : each * 4 + 2], encoded.steps.episodes)  # k (T - 1) + 2 tokens
    assert hidden.shape == (2, 5, 2, model.config.width)


def test_relative_shift_puts_scores_in_their_places():
    """Against an explicit loop: the score for distance d stands at column m - 1 - d."""
    rows, columns = 3, 8
    for stride in (1, 2):
        scores = torch.randn(2, rows, columns)
        shifted = relative_shift(scores, stride)
        for i in range(rows):
            place = columns - 1 - stride * (rows - 1 - i)
            for j in range(place + 1):
                assert torch.equal(shifted[:, i, j], scores[:, i, columns - 1 - (place - j)])


@torch.no_grad()
def test_attention_is_transformer_xl_attention():
    """One block, computed anew token by token from the formula with content and position biases."""
    model = transformer(layers=1, memory=9)
    block = model.blocks[0]
    tokens = torch.randn(1, 6, 16)
    output = model(tokens, torch.zeros(1, 6, dtype=torch.int64))[0]
    width, heads, size = 16, 2, 8
    query, key, value = (tokens[0] @ block.project.weight.T).chunk(3, dim=-1)
    frequencies = 10_000.0 ** (-torch.arange(0, width, 2) / width)
    for i in range(6):
        parts = []
        for h in range(heads):
            own = slice(h * size, (h + 1) * size)
            scores = []
            for j in range(i + 1):
                angle = (i - j) * frequencies
                position = (torch.cat([angle.sin(), angle.cos()]) @ block.project_positions.weight.T)[own]
                content = (query[i, own] + model.content_bias[h]) @ key[j, own]
                scores.append((content + (query[i, own] + model.position_bias[h]) @ position) / math.sqrt(width))
            parts.append(torch.stack(scores).softmax(0) @ value[: i + 1, own])
        hidden = block.attention_norm(tokens[0, i] + block.combine(torch.cat(parts)))
        inner = torch.nn.functional.silu(block.widen(hidden))
        expected = block.feedforward_norm(hidden + block.narrow(inner))
        assert torch.allclose(output[i], expected, atol=1e-5)


@torch.no_grad()
def test_no_token_sees_later_ones():
    model, episodes = transformer(), torch.zeros(1, 15, dtype=torch.int64)
    tokens = torch.randn(1, 15, 16)
    before = model(tokens, episodes)
    for k in (0, 5, 14):
        changed = tokens.clone()
        changed[:, k] += 1.0
        after = model(changed, episodes)
        assert torch.equal(after[:, :k], before[:, :k])
        assert not torch.allclose(after[:, k], before[:, k], atol=1e-3)


@torch.no_grad()
def test_no_token_sees_steps_before_the_window():
    model, steps = transformer(layers=1, memory=4), 12
    tokens = torch.randn(1, 3 * steps, 16)
    episodes = torch.zeros(1, 3 * steps, dtype=torch.int64)
    before = model(tokens, episodes)
    changed = tokens.clone()
    changed[:, 6:9] += 1.0  # step 2
    difference = (model(changed, episodes) - before).abs().amax(dim=-1)[0].unflatten(0, (steps, 3)).amax(dim=1)
    assert (difference[2:7] > 1e-4).all(), "its own step, and the four after it"
    assert (difference[7:] == 0).all()
    deep = transformer(layers=2, memory=4)
    difference = (deep(changed, episodes) - deep(tokens, episodes)).abs().amax(dim=-1)[0].unflatten(0, (steps, 3))
    assert (difference.amax(dim=1)[11:] == 0).all(), "two blocks reach twice as far"


@torch.no_grad()
@pytest.mark.parametrize("across", [True, False])
def test_earlier_episodes_are_seen_only_if_configured(across):
    model = transformer(across=across)
    tokens = torch.randn(1, 15, 16)
    episodes = torch.tensor([[0] * 6 + [1] * 9])
    changed = tokens.clone()
    changed[:, :6] += 1.0
    same = torch.equal(model(changed, episodes)[:, 6:], model(tokens, episodes)[:, 6:])
    assert same != across


@torch.no_grad()
def test_padding_is_never_seen():
    model = transformer()
    tokens = torch.randn(1, 15, 16)
    episodes = torch.tensor([[-1] * 6 + [0] * 9])
    changed = tokens.clone()
    changed[:, :6] += 1.0
    assert torch.equal(model(changed, episodes)[:, 6:], model(tokens, episodes)[:, 6:])
    assert torch.allclose(model(tokens, episodes)[:, 6:], model(tokens[:, 6:], episodes[:, 6:]), atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("across", [True, False])
@pytest.mark.parametrize("pieces", [[1] * 60, [2, 1] * 20, [1, 3] * 15, [7, 11, 3, 1, 38]])
@pytest.mark.parametrize("pinned", [False, True])
def test_a_memory_changes_nothing(across, pieces, pinned):
    """Token by token or in pieces, long after the window has begun to slide: equal to one pass over all."""
    model, batch = transformer(across=across), 4
    tokens = torch.randn(batch, 60, 16)
    episodes = (torch.arange(60) // 25).expand(batch, -1).clone()
    episodes[1, :9] = -1
    support = None
    if pinned:
        padded = torch.tensor([[0] * 6, [-1] * 3 + [0] * 3])
        unseen = torch.zeros(batch, 6, dtype=torch.bool)
        unseen[3] = True
        _, support = model.pin(torch.randn(2, 6, 16), padded, unseen)
    full = model(tokens, episodes, pinned=support)
    memory = model.empty_memory(batch, model.reach + max(pieces) + 2)
    parts, first = [], 0
    for piece in pieces:
        part = slice(first, first + piece)
        parts.append(model(tokens[:, part], episodes[:, part], memory=memory, pinned=support))
        first += piece
    assert torch.allclose(torch.cat(parts, dim=1), full, atol=1e-5)
    assert torch.allclose(model(tokens, episodes, slice(1, None, 3), pinned=support), full[:, 1::3], atol=1e-5)
    if pinned:
        alone = model(tokens[3:], episodes[3:])
        assert torch.allclose(full[3:], alone, atol=1e-5), "a sequence that sees no support"
        assert not torch.allclose(full[:1], model(tokens[:1], episodes[:1]), atol=1e-3)


@torch.no_grad()
def test_pinned_support_stays_as_near_as_it_was():
    """The outputs of equal windows are equal, however much of the episode went by between support and window."""
    model = transformer(layers=1, memory=4)
    zeros = torch.zeros(1, 60, dtype=torch.int64)
    _, support = model.pin(torch.randn(1, 6, 16), zeros[:, :6], torch.zeros(1, 6, dtype=torch.bool))
    window = torch.randn(1, 15, 16)
    tokens = torch.cat([window, torch.randn(1, 30, 16), window], dim=1)
    output = model(tokens, zeros, pinned=support)
    assert torch.allclose(output[:, 14], output[:, 59], atol=1e-5)


def test_latents_are_one_hot_and_their_gradient_passes_through():
    latents = Latents(3, 5)
    logits = torch.randn(20_000, 15) * torch.tensor(0.0) + torch.randn(15)
    logits.requires_grad_(True)
    sample = latents.sample(logits)
    chances = latents.probabilities(logits)
    assert torch.allclose(latents.split(sample.detach()).sum(-1), torch.ones(20_000, 3), atol=1e-5)
    assert np.allclose(sample.mean(0).detach(), chances[0].detach(), atol=0.015)
    weights = torch.randn(15)
    gradient = torch.autograd.grad((sample * weights).sum(), logits, retain_graph=True)[0]
    assert torch.allclose(gradient, torch.autograd.grad((chances * weights).sum(), logits)[0])
    assert torch.equal(latents.split(latents.mode(logits)).argmax(-1), latents.split(logits).argmax(-1))
    uniform = latents.entropy(torch.zeros(1, 15))
    assert uniform.item() == pytest.approx(1.0)


def test_the_best_discount_prediction_is_gamma():
    logit = torch.linspace(2.0, 7.0, 50_001, dtype=torch.float64)
    label = torch.full_like(logit, 0.99)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logit, label, reduction="none")
    assert logit[loss.argmin()].sigmoid().item() == pytest.approx(0.99, abs=1e-4)
    for target, expected in (("soft", 0.9), ("binary", 0.9 * 0.99)):
        model = WorldModel(tiny(discount_target=target, discount=0.99), CONTINUOUS)
        prediction = model.dynamics.predict(torch.zeros(1, 16))
        prediction.discount_logit.data.fill_(math.log(9.0))
        assert model.dynamics.predict_discount(prediction).item() == pytest.approx(expected)


def test_the_losses_of_the_dynamics_are_the_formulas_and_leave_the_encoder_alone():
    model = WorldModel(tiny(dropout=0.0), CONTINUOUS)
    steps = sequences(padding=2)
    steps.terminated[0, -1] = True
    steps.next_known[1, 3] = False
    encoded = model.encode(steps, sample=False)
    loss, parts, prediction = model.dynamics_loss(encoded)
    loss.backward()
    assert all(p.grad is None for p in model.observation.parameters())
    assert all(p.grad is not None for p in model.dynamics.transformer.parameters())
    cross, reward, discount = [], [], []
    gamma = model.config.discount
    for b in range(2):
        for t in range(2, 6):
            chances = encoded.logits[b, t + 1].view(4, 8).softmax(-1)
            if not (b == 1 and t == 3):
                per_head = [-(chances * p[b, t].view(4, 8).log_softmax(-1)).sum() for p in prediction.latent_logits]
                cross.append(torch.stack(per_head).mean())
            reward.append((prediction.reward[b, t] - steps.rewards[b, t]) ** 2 / 2)
            label, chance = gamma * (not steps.terminated[b, t]), prediction.discount_logit[b, t].sigmoid()
            discount.append(-label * chance.log() - (1 - label) * (1 - chance).log())
    expected = [torch.stack(values).mean() for values in (cross, reward, discount)]
    assert torch.allclose(torch.stack([parts[n] for n in ("latent", "reward", "discount")]), torch.stack(expected))
    assert loss.item() == pytest.approx((expected[0] + 10 * expected[1] + 50 * expected[2]).item(), rel=1e-5)


@pytest.mark.parametrize("order", ["dynamics-first", "encoder-first"])
@pytest.mark.parametrize("form", ["hinge", "linear"])
def test_the_losses_of_the_observation_model_are_the_formulas(order, form):
    model = WorldModel(tiny(consistency_order=order, entropy_form=form, entropy_threshold=0.9), CONTINUOUS)
    steps = sequences()
    _, _, prediction = model.dynamics_loss(model.encode(steps, sample=True))
    torch.manual_seed(3)
    _, parts = model.joint_observation_loss(steps, prediction)
    logits = model.observation.encode(steps.observations)[:, 1:]
    encoder = logits.unflatten(-1, (4, 8)).log_softmax(-1)
    prior = prediction.latent_logits.unflatten(-1, (4, 8)).log_softmax(-1)
    first, second = (prior, encoder[None]) if order == "dynamics-first" else (encoder[None], prior)
    cross = -(first.exp() * second).sum((-1, -2)).mean()
    assert parts["consistency"].item() == pytest.approx(0.01 * cross.item(), rel=1e-4)
    entropy = (-(encoder.exp() * encoder).sum(-1).mean() / math.log(8)).item()
    assert parts["entropy"].item() == pytest.approx(5 * (max(0, 0.9 - entropy) if form == "hinge" else -entropy), 1e-4)
