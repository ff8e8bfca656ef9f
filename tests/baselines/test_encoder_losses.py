"""Losses that context encoders learn by: against plain loops, and what their gradients reach."""

from __future__ import annotations

import pytest
import torch
from metabench_baselines.common.task_inference.encoder import Context, ContextEncoder
from metabench_baselines.common.task_inference.objective import metric_loss
from metabench_baselines.csro.config import CsroConfig
from metabench_baselines.csro.objective import InformationObjective
from metabench_baselines.unicorn.config import UnicornConfig
from metabench_baselines.unicorn.objective import ReconstructionObjective

from metabench import Spaces


def test_the_metric_loss_is_what_a_loop_over_pairs_gives():
    generator = torch.Generator().manual_seed(0)
    codes = torch.randn(6, 3, generator=generator)
    tasks = torch.tensor([0, 1, 0, 2, 2, 2])
    near, far = [], []
    for first in range(6):
        for second in range(first + 1, 6):
            squared = float(((codes[first] - codes[second]) ** 2).mean())
            if tasks[first] == tasks[second]:
                near.append((squared + 1e-3) ** 0.5)
            else:
                far.append(1 / (squared + 0.1))
    expected = sum(near) / (len(near) + 1e-3) + sum(far) / (len(far) + 1e-3)
    assert metric_loss(codes, tasks).item() == pytest.approx(expected, rel=1e-5)


def make_context(encoder_dim: int = 2, batch: int = 3, count: int = 5) -> Context:
    generator = torch.Generator().manual_seed(1)

    def draw(*shape):
        return torch.randn(*shape, generator=generator)

    return Context(
        draw(batch, count, encoder_dim),
        draw(batch, count, 2),
        draw(batch, count, 1),
        draw(batch, count, encoder_dim),
        torch.ones(batch, count),
        torch.arange(batch),
    )


SPACES = Spaces(2, 5, action_low=(-1.0, -1.0), action_high=(1.0, 1.0))


def test_the_bound_of_information_teaches_the_encoder_and_not_its_own_predictor():
    config = CsroConfig(encoder_width=8, metric_weight=1e-9)
    torch.manual_seed(0)
    encoder, objective = ContextEncoder(SPACES, config), InformationObjective(SPACES, config)
    context = make_context()
    embeddings = encoder.embed(context)
    inputs = torch.cat([context.observations, context.actions], -1)
    objective.bound_information(embeddings, inputs).backward()
    assert all(each.grad is None for each in objective.parameters())
    assert any(each.grad.any() for each in encoder.parameters())


def test_embeddings_that_ignore_state_and_action_carry_no_information():
    config = CsroConfig(encoder_width=8)
    torch.manual_seed(0)
    objective = InformationObjective(SPACES, config)
    context = make_context()
    inputs = torch.cat([context.observations, context.actions], -1)
    constant = torch.ones(3, 5, config.code_dim)
    assert objective.bound_information(constant, inputs).item() == 0


def test_relabelled_contexts_keep_the_task_of_their_outcomes():
    """What is replaced are states and actions; the reconstruction is still judged on the logged transitions."""
    config = UnicornConfig(encoder_width=8, relabelled=0.5)
    torch.manual_seed(0)
    encoder, objective = ContextEncoder(SPACES, config), ReconstructionObjective(SPACES, config)
    context = make_context(batch=4, count=200)
    seen = objective.relabel(encoder, context)
    changed = (seen.observations != context.observations).any(-1)
    assert changed.float().mean().item() == pytest.approx(0.5, abs=0.1)
    other = context.observations.roll(1, 0)
    assert torch.equal(seen.observations[changed], other[changed])
    assert torch.equal(seen.rewards[~changed], context.rewards[~changed])
    assert torch.equal(seen.tasks, context.tasks)
