"""The prompted transformer: training against plain GPT-2."""

import time
from collections.abc import Callable

import pytest
import torch
from metabench_baselines.common.decision_transformer.train import build_networks, policy_loss
from metabench_baselines.meta_dt.config import build_presets
from torch import nn
from transformers import GPT2Config, GPT2Model

from metabench import load_suite


@pytest.mark.parametrize("prompted", [False, True])
def test_training_step(benchmark: Callable, report: Callable, prompted: bool) -> None:
    spaces = load_suite("point-robot").spaces
    config = build_presets("point-robot")["paper"]
    networks = build_networks(config, spaces, config.code_dim)
    optimizer = torch.optim.AdamW(networks.transformer.parameters(), lr=1e-4)
    batch, window, length = 64, config.window, config.prompt_length

    def windows(count: int) -> dict[str, torch.Tensor]:
        return {
            "returns": torch.randn(batch, count),
            "observations": torch.randn(batch, count, spaces.observation_dim),
            "actions": torch.rand(batch, count, spaces.action_dim),
            "timesteps": torch.arange(count).expand(batch, count),
            "mask": torch.ones(batch, count, dtype=torch.bool),
            "codes": torch.randn(batch, count, config.code_dim),
        }

    steps, prompt = windows(window), windows(length) if prompted else None

    def update() -> None:
        optimizer.zero_grad()
        loss, _ = policy_loss(config, networks, steps, prompt)
        loss.backward()
        optimizer.step()

    tokens = 4 * window + (3 * length if prompted else 0) - 1
    plain = GPT2Model(
        GPT2Config(
            vocab_size=1, n_positions=tokens, n_embd=config.width, n_layer=config.layers, n_head=config.heads,
            activation_function="relu", bos_token_id=None, eos_token_id=None,
        )
    )  # fmt: skip
    plain_optimizer = torch.optim.AdamW(plain.parameters(), lr=1e-4)
    inputs = nn.Parameter(torch.randn(batch, tokens, config.width))

    def plain_update() -> None:
        plain_optimizer.zero_grad()
        plain(inputs_embeds=inputs, use_cache=False).last_hidden_state.square().mean().backward()
        plain_optimizer.step()

    plain_seconds = []
    ours = []
    for update_one, seconds in ((update, ours), (plain_update, plain_seconds)) * 6:
        began = time.perf_counter()
        update_one()
        seconds.append(time.perf_counter() - began)
    benchmark.pedantic(update, rounds=3)
    report(
        f"training step of meta-dt ({'with' if prompted else 'without'} prompt, {tokens} tokens, batch {batch}): "
        f"{min(ours) / min(plain_seconds):.2f} times the plain GPT-2 of the same size; aim: at most 1.25"
    )
