"""The shared transformer: causality, prompts, padding."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from metabench_baselines.common.decision_transformer.blocks import choose_precision, draw_kept, run_blocks
from metabench_baselines.common.decision_transformer.config import TransformerConfig
from metabench_baselines.common.decision_transformer.model import CausalTransformer, PromptedTransformer
from metabench_baselines.common.decision_transformer.policy import Segment, choose_random_prompt
from metabench_baselines.common.decision_transformer.train import Networks, policy_loss
from metabench_baselines.prompt_dt import PromptDT

from metabench import Episode, Spaces, TrainingRun, load_data
from metabench.errors import CancelledError

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


def make_backbone(heads=2, dropout=0.0, width=16):
    torch.manual_seed(0)
    backbone = CausalTransformer(config(heads=heads, dropout=dropout, width=width), 30).backbone.double()
    for parameter in backbone.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.3)  # as GPT-2 begins, attention would hardly matter
    return backbone


def gradients_of(backbone, outputs, inputs, weights):
    wanted = [inputs, *(parameter for parameter in backbone.parameters() if parameter.requires_grad)]
    return torch.autograd.grad((outputs * weights).sum(), wanted)


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("padded", [False, True])
def test_blocks_and_their_gradients_are_those_of_gpt2(heads, padded):
    backbone = make_backbone(heads)
    visible = torch.ones(3, 12, dtype=torch.bool)
    visible[1, :5] = not padded
    read = torch.tensor([6, 8, 11])
    inputs = torch.randn(3, 12, 16, dtype=torch.double, requires_grad=True)
    weights = torch.randn(3, 3, 16, dtype=torch.double)
    theirs = backbone(inputs_embeds=inputs, attention_mask=visible.long(), use_cache=False).last_hidden_state[:, read]
    ours = run_blocks(backbone, inputs, visible, read, torch.double)
    everything = run_blocks(backbone, inputs, visible, None, torch.double)
    assert torch.allclose(ours, theirs, atol=1e-12)
    assert torch.allclose(everything[:, read], theirs, atol=1e-12)
    expected = gradients_of(backbone, theirs, inputs, weights)
    for outputs in (ours, everything[:, read]):
        found = gradients_of(backbone, outputs, inputs, weights)
        for gradient, other in zip(found, expected, strict=True):
            assert torch.allclose(gradient, other, atol=1e-10)


@pytest.mark.slow
def test_gradients_with_dropout_are_those_of_finite_differences():
    backbone = make_backbone(dropout=0.3, width=4)
    visible = torch.ones(2, 5, dtype=torch.bool)
    layer = backbone.h[1]
    weights = [layer.attn.c_attn.weight, layer.mlp.c_fc.weight, backbone.h[0].attn.c_proj.weight]

    def run(inputs, *weights):
        torch.manual_seed(1)  # drops the same each time
        return run_blocks(backbone, inputs, visible, torch.tensor([1, 4]), torch.double)

    inputs = torch.randn(2, 5, 4, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(run, (inputs, *weights))
    backbone.eval()
    kept = run(inputs)
    assert torch.equal(kept, run_blocks(backbone, inputs, visible, torch.tensor([1, 4]), torch.double))


def test_dropout_drops_its_share_and_keeps_the_mean():
    torch.manual_seed(0)
    like = torch.zeros(())
    kept = draw_kept(torch.Size((1001, 999)), 0.1, like)
    assert kept.unique().tolist() == pytest.approx([0, 1 / 0.9], rel=1e-4)
    assert (kept == 0).double().mean().item() == pytest.approx(0.1, abs=1e-3)
    assert kept.mean().item() == pytest.approx(1, abs=1e-3)
    # Four elements share a random number; none may tell of another.
    dropped = (kept.flatten()[:999_996].view(-1, 4) == 0).double()
    assert (torch.corrcoef(dropped.T) - torch.eye(4)).abs().max() < 0.01
    torch.manual_seed(0)
    assert torch.equal(kept, draw_kept(kept.shape, 0.1, like))


def train_steps(fast, steps=10):
    """Losses of some steps: with our blocks and a fused optimizer, or with GPT-2's forward pass and a plain one."""
    torch.manual_seed(0)
    settings = config(dropout=0.0, width=32)
    networks = Networks(PromptedTransformer(settings, SPACES, 4, "token"), None)
    causal = networks.transformer.transformer
    if not fast:

        def run_whole(tokens, visible, read):
            result = causal.backbone(inputs_embeds=tokens, attention_mask=visible.long(), use_cache=False)
            return result.last_hidden_state[:, read]

        causal.forward = run_whole
    trained = [parameter for parameter in networks.transformer.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-3, fused=fast)
    losses = []
    for step in range(steps):
        loss, _ = policy_loss(settings, networks, batch(SPACES, seed=step), batch(SPACES, steps=2, seed=100 + step))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 0.25)
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_training_is_that_of_gpt2s_own_forward_pass():
    fast, plain = train_steps(True), train_steps(False)
    assert fast == pytest.approx(plain, abs=1e-5)
    assert abs(plain[0] - plain[-1]) > 1e-2, "the steps must have changed something"


def test_reduced_precision_is_for_training_alone_and_near():
    model = PromptedTransformer(config(dropout=0.0), SPACES, 4, "token")
    steps = batch(SPACES)
    full, _ = model(steps, None)
    model.use_precision("bfloat16")
    reduced, _ = model(steps, None)
    assert torch.allclose(reduced, full, atol=0.02)
    assert not torch.equal(reduced, full)
    assert torch.equal(model.eval()(steps, None)[0], full)
    reduced.square().sum().backward()
    assert model.transformer.backbone.h[0].mlp.c_fc.weight.grad.dtype == torch.float32


def test_precision_is_what_was_asked_for():
    assert choose_precision("full", "cpu") == "full"
    assert choose_precision("bfloat16", "cpu") == "bfloat16"
    assert choose_precision("auto", "cpu") in ("full", "bfloat16")
    with pytest.raises(ValueError, match="precision"):
        config(precision="half")


@pytest.mark.slow
def test_a_resumed_training_equals_an_uninterrupted_one_in_the_precision_it_began_with(tmp_path):
    data = load_data("tiny", "medium")
    presets = PromptDT.presets("tiny")["tiny"].model_copy(update={"dropout": 0.1})
    method, other = (PromptDT(presets.model_copy(update={"precision": name})) for name in ("bfloat16", "full"))
    whole = TrainingRun(0)
    method.train(data, whole)
    calls = itertools.count(1)
    with pytest.raises(CancelledError):
        method.train(data, TrainingRun(0, folder=tmp_path, cancelled=lambda: next(calls) >= 5))
    # As `auto` would choose on a processor without bfloat16.
    resumed = TrainingRun(0, folder=tmp_path)
    other.train(data, resumed)
    assert resumed.curve == whole.curve
    assert resumed.summary == whole.summary
    assert whole.summary["precision"] == "bfloat16"
    full = TrainingRun(0)
    other.train(data, full)
    assert full.curve != whole.curve
