"""The outer loop: the loss after steps on a support, of other transitions of its task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metabench import Array, TrainingData, TrainingRun

from ..common.optimisation import cosine_factor, descend, log_at_intervals
from ..common.training_tasks import choose_training_tasks
from .adaptation import InnerRates, Transitions, adapt, measure_loss, weigh_actions
from .config import MacawLiteConfig
from .model import FilmNetwork


@dataclass
class Trained:
    """What training returns.

    Attributes:
        network: with what is adapted, before any step.
        rates: of the steps.
    """

    network: FilmNetwork
    rates: InnerRates


def train_network(config: MacawLiteConfig, data: TrainingData, run: TrainingRun) -> Trained:
    """Train on the fitting tasks; nothing is selected.

    Raises:
        MethodError: there is one task only.
    """
    chosen = choose_training_tasks(data, "meta-training")
    fitting = chosen.to(run.device)
    run.torch_seed("initialisation")
    network = FilmNetwork(data.spaces, config.width, config.depth)
    network.scales.fit(chosen)
    network.to(run.device)
    rates = InnerRates(network, config.inner_rate).to(run.device)
    optimizer = torch.optim.Adam(
        [*network.parameters(), *rates.parameters()], lr=config.learning_rate, fused=True
    )
    for update in run.steps(
        "policy", config.updates, network=network, rates=rates, optimizer=optimizer
    ):
        support, query = draw_batch(config, fitting, network, run.generator("batch", update))
        loss, info = outer_loss(config, network, rates, support, query)
        rate = config.learning_rate * cosine_factor(update, config.updates)
        descend(optimizer, loss, clip=1.0, learning_rate=rate)
        log_at_intervals(run, info, update, config.updates, config.log_interval)
    return Trained(network.eval(), rates.eval())


def outer_loss(
    config: MacawLiteConfig,
    network: FilmNetwork,
    rates: InnerRates,
    support: Transitions,
    query: Transitions,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The query's weighted error, before any step and after those on the support (MACAW, algorithm 1)."""
    weights = weigh_actions(network, query, config)
    before = measure_loss(network, query, weights, network.start(len(weights))).mean()
    if not config.meta_training or not config.gradient_steps:
        return before, {"loss_before": before.detach()}
    fast, losses = adapt(network, rates, support, config)
    after = measure_loss(network, query, weights, fast).mean()
    info = {
        "loss_before": before.detach(),
        "loss_after": after.detach(),
        "support_loss": losses[0].detach().mean(),
    }
    return after + config.unadapted_weight * before, info


def draw_batch(
    config: MacawLiteConfig,
    data: TrainingData,
    network: FilmNetwork,
    generator: np.random.Generator,
) -> tuple[Transitions, Transitions]:
    """Supports of a few episodes of each task of a batch, and queries of all of its transitions."""
    tasks = generator.integers(data.num_tasks, size=config.tasks_per_update)
    support = data.transitions(choose_support(config, data, tasks, generator))
    query = data.sample_task_transitions(generator, tasks, config.query_transitions)
    return _read(support, network), _read(query, network)


def choose_support(
    config: MacawLiteConfig, data: TrainingData, tasks: Array, generator: np.random.Generator
) -> Array:
    """`(B, N)` indices of transitions, those of row i of one to `support_episodes` episodes of `tasks[i]`."""
    first, last = data.task_offsets[tasks][:, None], data.task_offsets[tasks + 1][:, None]
    shape = (len(tasks), config.support_transitions)
    count = generator.integers(1, config.support_episodes + 1, len(tasks))
    candidates = generator.integers(first, last, (len(tasks), config.support_episodes))
    which = generator.integers(0, count[:, None], shape)
    episodes = np.take_along_axis(candidates, which, 1)
    step = generator.integers(0, data.lengths[episodes])
    return np.asarray(data.columns.offsets[episodes] + step)


def _read(batch: Any, network: FilmNetwork) -> Transitions:
    return Transitions(
        batch.observations,
        batch.timesteps,
        batch.actions,
        batch.returns_to_go.to(torch.float32) / network.scales.get_buffer("reward"),
    )
