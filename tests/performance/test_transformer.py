"""The prompted transformer: its training step against that of a plain GPT-2 of the published code's shapes."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from metabench_baselines.common.decision_transformer.blocks import choose_precision
from metabench_baselines.common.decision_transformer.config import TransformerConfig
from metabench_baselines.common.decision_transformer.train import (
    Batches,
    build_networks,
    choose_random_segments,
    make_optimizer,
    measure_scales,
    take_update,
)
from metabench_baselines.meta_dt.config import build_presets
from metabench_baselines.meta_dt.train import DatasetCodes
from metabench_baselines.meta_dt.world_model import WorldModel
from torch import Tensor, nn
from transformers import GPT2Config, GPT2Model

from metabench import TrainingData, load_data

AIMS = {"full": 1.5, "bfloat16": 2.0}
"""Times as many windows a second as the plain step."""

ROUNDS = 12


class PlainTransformer(nn.Module):
    """Return, observation beside its code, and action of k + K steps through GPT-2 as it comes, without positions."""

    def __init__(self, config: TransformerConfig, observation_dim: int, action_dim: int, horizon: int, code_dim: int):
        super().__init__()
        width = config.width
        sizes = {"returns": 1, "observations": observation_dim + code_dim, "actions": action_dim}
        self.embed = nn.ModuleDict({name: nn.Linear(size, width) for name, size in sizes.items()})
        sizes["observations"] = observation_dim
        self.embed_prompt = nn.ModuleDict({name: nn.Linear(size, width) for name, size in sizes.items()})
        self.time, self.prompt_time = nn.Embedding(horizon, width), nn.Embedding(horizon, width)
        self.norm = nn.LayerNorm(width)
        self.backbone = GPT2Model(
            GPT2Config(
                vocab_size=1, n_positions=3 * (config.prompt_length + config.window), n_embd=width,
                n_layer=config.layers, n_head=config.heads, n_inner=4 * width, activation_function="relu",
                resid_pdrop=config.dropout, embd_pdrop=config.dropout, attn_pdrop=config.dropout,
                bos_token_id=None, eos_token_id=None,
            )
        )  # fmt: skip
        self.backbone.wpe.weight.data.zero_()
        self.backbone.wpe.weight.requires_grad_(False)
        self.head = nn.Linear(width, action_dim)

    def forward(self, steps: dict[str, Tensor], prompt: dict[str, Tensor]) -> Tensor:
        tokens = []
        for part, embed, table in ((prompt, self.embed_prompt, self.prompt_time), (steps, self.embed, self.time)):
            embedded = [layer(part[name]) + table(part["timesteps"]) for name, layer in embed.items()]
            tokens.append(torch.stack(embedded, 2).flatten(1, 2))
        inputs = torch.cat([tokens[0], self.norm(tokens[1])], 1)
        visible = torch.cat([prompt["mask"], steps["mask"]], 1).repeat_interleave(3, 1)
        hidden = self.backbone(inputs_embeds=inputs, attention_mask=visible, use_cache=False).last_hidden_state
        return torch.tanh(self.head(hidden[:, tokens[0].shape[1] + 1 :: 3]))


def make_plain_update(config: TransformerConfig, data: TrainingData, batches: Batches) -> Callable[[int], object]:
    """An update of the published code's kind: all windows are made beforehand, all have prompts."""
    spaces, generator = data.spaces, np.random.default_rng(0)
    model = PlainTransformer(config, spaces.observation_dim, spaces.action_dim, spaces.horizon, config.code_dim)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=1e-4)
    steps, prompt = batches.draw(generator, 2048, True)
    steps["observations"] = torch.cat([steps["observations"], steps.pop("codes")], -1)
    for part in (steps, prompt):
        part["returns"], part["mask"] = part["returns"][..., None], part["mask"].float()

    def update(number: int) -> None:
        index = torch.as_tensor(generator.integers(2048, size=config.batch_size))
        windows, prompts = ({name: values[index] for name, values in part.items()} for part in (steps, prompt))
        real = windows["mask"] > 0
        loss = nn.functional.mse_loss(model(windows, prompts)[real], windows["actions"][real])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        optimizer.step()

    return update


@pytest.mark.parametrize("placement", ["features", "token"])
def test_training_step(benchmark: Callable, report: Callable, placement: str) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    data = load_data("point-robot", "medium").fitting
    config = build_presets("point-robot")["paper"].model_copy(update={"code_placement": placement})
    world_model = WorldModel(config, data.spaces)
    world_model.measure(data)
    placed = data.to(torch.device("cpu"))
    segments = choose_random_segments(placed, config.prompt_length)
    batches = Batches(config, placed, measure_scales(config, data), DatasetCodes(world_model), segments)
    updates = {"plain": make_plain_update(config, data, batches)}

    def make_update(precision: str) -> Callable[[int], object]:
        networks = build_networks(config, data.spaces, config.code_dim, config.code_placement)
        networks.transformer.use_precision(precision)
        optimizer = make_optimizer(config, networks)
        generator = np.random.default_rng(0)
        return lambda number: take_update(config, networks, optimizer, batches, generator, number)

    precisions = sorted({"full", choose_precision("auto", "cpu")})
    updates.update({precision: make_update(precision) for precision in precisions})
    seconds: dict[str, list[float]] = {name: [] for name in updates}
    for number in range(1, ROUNDS + 1):
        for name, update in updates.items():
            began = time.perf_counter()
            update(number)
            seconds[name].append(time.perf_counter() - began)
    median = {name: float(np.median(taken[2:])) for name, taken in seconds.items()}
    benchmark.pedantic(updates["full"], args=(1,), rounds=1)
    for precision in precisions:
        place = "a token" if placement == "token" else "in the observation token"
        report(
            f"training step of meta-dt, code {place}, batch {config.batch_size}, one thread, {precision}: "
            f"{config.batch_size / median[precision]:.0f} windows/s, "
            f"{median['plain'] / median[precision]:.2f} times a plain GPT-2 step of the published shapes; "
            f"aim: {AIMS[precision]}"
        )
    assert median["full"] < median["plain"]
