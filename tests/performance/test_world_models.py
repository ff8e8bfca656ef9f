"""Synthetic environments against a Python loop, imagination against the published rate, a step of an ensemble."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from metabench_baselines.common.optimisation import descend
from metabench_baselines.common.planning.rows import Transitions, batch_transitions
from metabench_baselines.common.synthetic_prior.prior import Prior
from metabench_baselines.common.world_models.config import ContextEnsembleConfig
from metabench_baselines.common.world_models.ensemble import Ensemble
from metabench_baselines.common.world_models.policy import make_model
from metabench_baselines.common.world_models.recurrent.config import DREAMER, RecurrentConfig
from metabench_baselines.common.world_models.recurrent.losses import compute_loss
from metabench_baselines.common.world_models.recurrent.network import RecurrentStateSpace, Tokens
from metabench_baselines.oswm_plus.config import ModelConfig
from metabench_baselines.oswm_plus.model import OSWMWorldModel
from metabench_baselines.oswm_plus.reader import OSWMReader

from metabench import Spaces

AIM_OF_THE_PRIOR = 100
"""Times the transitions a second of one environment in a loop."""

PUBLISHED, AIM_OF_IMAGINATION, LANES = 23, 150, 256
"""Imagined steps a second of the published system, and the times as many in this many lanes."""

AIM_OF_A_STEP = 5.0
"""Milliseconds of a step of 1,000 lanes by 7 members, 20 observations, on two idle cores."""

AIM_OF_AN_UPDATE = 0.15
"""Seconds of a training update of a recurrent model, 16 sequences of 32 steps, on an idle core."""

SPACES = Spaces(observation_dim=4, horizon=200, num_actions=2)


@pytest.fixture(autouse=True)
def _threads() -> None:
    torch.set_num_threads(2)


def test_prior(benchmark: Callable, report: Callable) -> None:
    """The same code steps one environment of one episode, one step at a time."""
    prior = Prior(24, 8, torch.Generator().manual_seed(0))
    steps = 64
    began = time.perf_counter()
    for _ in range(3):
        prior.draw(1, 1, steps)
    single = 3 * steps / (time.perf_counter() - began)
    environments, episodes = 64, 16
    benchmark.pedantic(lambda: prior.draw(environments, episodes, steps), rounds=3)
    rate = environments * episodes * steps / benchmark.stats.stats.min
    report(f"prior: {rate:,.0f} transitions/s, {rate / single:.0f} times one environment in a loop")
    assert rate > AIM_OF_THE_PRIOR * single


def test_imagination(benchmark: Callable, report: Callable) -> None:
    """Contexts of 1,000 rows, the shipped size."""
    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    shapes = ((1000, 4), (1000, 2), (1000, 4), 1000)
    context = Transitions(*(generator.normal(size=s).astype(np.float32) for s in shapes), np.zeros(1000, bool))
    model = OSWMReader(OSWMWorldModel(ModelConfig()).eval(), SPACES).read(batch_transitions([context]))
    steps = 10

    def imagine() -> None:
        state = torch.zeros(1, LANES, 4)
        for _ in range(steps):
            state = model(state, torch.nn.functional.one_hot(torch.zeros(1, LANES, dtype=torch.long), 2).float())
            state = state.next_observations

    benchmark.pedantic(imagine, rounds=3)
    rate = LANES * steps / benchmark.stats.stats.min
    report(f"imagination, {LANES} lanes: {rate:,.0f} steps/s, {rate / PUBLISHED:.0f} times the published {PUBLISHED}")
    assert rate > AIM_OF_IMAGINATION * PUBLISHED


def test_ensemble_step(benchmark: Callable, report: Callable) -> None:
    """All seven members are asked, and told a code."""
    spaces = Spaces(observation_dim=20, horizon=200, action_low=(-1.0,) * 6, action_high=(1.0,) * 6)
    model = make_model(Ensemble(spaces, ContextEnsembleConfig(elites=7)))
    state = model.imagine_from(model.begin(1000), torch.randn(1000, 20))
    actions = torch.rand(1, 1000, 6)
    benchmark.pedantic(lambda: model(state, actions), rounds=30, warmup_rounds=3)
    report(f"ensemble step, 1,000 lanes x 7: {1e3 * benchmark.stats.stats.min:.1f} ms, aim {AIM_OF_A_STEP:.0f} idle")


@pytest.mark.parametrize("form", [{}, DREAMER], ids=["gaussian", "categorical"])
def test_recurrent_update(benchmark: Callable, report: Callable, form: dict) -> None:
    """A training update of 16 sequences of 32 steps, on one thread."""
    torch.set_num_threads(1)
    spaces, config = Spaces(20, 200, (-1.0,) * 6, (1.0,) * 6), RecurrentConfig(**form)
    model = RecurrentStateSpace(spaces, config)
    shape = (config.batch, config.length)
    first = torch.zeros(shape, dtype=torch.bool)
    seen, led, acted = torch.randn(*shape, 20), torch.randn(*shape, 20), torch.rand(*shape, 6)
    tokens = Tokens(seen, led, acted, torch.randn(shape), first, torch.zeros(shape))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)

    def update() -> None:
        loss, _, _ = compute_loss(model, tokens, model.begin((config.batch,)))
        descend(optimizer, loss, clip=config.clip)

    benchmark.pedantic(update, rounds=10, warmup_rounds=2)
    report(f"recurrent update, 16 x 32: {benchmark.stats.stats.min:.3f} s, aim {AIM_OF_AN_UPDATE} idle")
