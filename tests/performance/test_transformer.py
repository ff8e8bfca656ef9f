"""The prompted transformer: acting with the exact cache against lane by lane without, training against plain GPT-2."""

import os
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from metabench_baselines.decision_transformer.policy import Actor
from metabench_baselines.decision_transformer.train import Scales, batch_loss, build_networks
from metabench_baselines.meta_dt.config import presets
from torch import nn
from transformers import GPT2Config, GPT2Model

from metabench import Spaces, Step, load_suite

LANES = 200


@pytest.fixture(params=[1, os.cpu_count()], ids=lambda count: f"{count} threads")
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Both sides of a ratio get as many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def steps_of(spaces: Spaces, lanes: int, horizon: int) -> list[Step]:
    generator = np.random.default_rng(0)
    return [
        Step(
            generator.standard_normal((lanes, spaces.observation_dim)).astype(np.float32),
            spaces.uniform_actions(generator, (lanes,)) if timestep else spaces.null_actions(lanes),
            np.zeros(lanes, np.float32),
            np.full(lanes, timestep),
            np.ones(lanes, bool),
            np.ones(lanes, bool),
        )
        for timestep in range(horizon)
    ]


def lane_of(step: Step, lane: int) -> Step:
    return Step(*(getattr(step, name)[lane : lane + 1] for name in Step.__dataclass_fields__))


def test_acting(benchmark: Callable, report: Callable, threads: int) -> None:
    spaces = load_suite("point-robot").spaces
    config = presets("point-robot", plus=False)["paper"]
    networks = build_networks(config, spaces, config.code_dim)
    scales = Scales(np.zeros(2, np.float32), np.ones(2, np.float32), 1.0, 1.0)
    steps = steps_of(spaces, LANES, spaces.horizon)
    codes = torch.randn(LANES, config.code_dim)

    def act_together() -> None:
        actor = Actor(config, networks, spaces, scales)
        actor.reset(LANES, [None] * LANES)
        for step in steps:
            actor.act(step, codes)

    benchmark.pedantic(act_together, rounds=5, warmup_rounds=1)
    together = LANES * len(steps) / benchmark.stats.stats.median

    few = 5  # lanes measured one by one: each costs the same
    actor = Actor(config, networks, spaces, scales)
    began = time.perf_counter()
    for lane in range(few):
        actor.reset(1, [None])
        actor._cache = None
        for step in steps:
            actor.act(lane_of(step, lane), codes[lane : lane + 1])
    alone = few * len(steps) / (time.perf_counter() - began)
    report(
        f"acting, {threads} threads, {LANES} lanes with the cache: {together:.0f} actions/s, "
        f"{together / alone:.0f} times those of lane by lane without a cache ({alone:.0f}); aim: 30 to 50"
    )


@pytest.mark.parametrize("prompted", [False, True])
def test_training_step(benchmark: Callable, report: Callable, prompted: bool) -> None:
    spaces = load_suite("point-robot").spaces
    config = presets("point-robot", plus=False)["paper"]
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
        _, loss = batch_loss(config, networks, steps, prompt)
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
