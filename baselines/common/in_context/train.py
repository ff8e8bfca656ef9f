"""Training: contexts of the fitting tasks are drawn, and the network's loss on them lowered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch

from metabench import TrainingData, TrainingRun

from ..optimisation import RecentLosses, cosine_factor, descend
from ..training_tasks import choose_training_tasks
from .config import InContextConfig
from .network import Contexts, InContextNetwork, compute_errors

HELD_OUT = 256
"""Contexts of the validation tasks that a loss is measured on."""


class ContextSource(Protocol):
    """Draws contexts of one data set."""

    def draw(self, generator: np.random.Generator, count: int) -> Contexts:
        """`count` contexts, each of one task."""
        ...


OpenSource = Callable[[TrainingData], ContextSource]
"""Makes the source of some data, which is on the run's device."""


def train_network(
    config: InContextConfig,
    network: InContextNetwork,
    open_source: OpenSource,
    data: TrainingData,
    run: TrainingRun,
) -> None:
    """Train in place on the fitting tasks; the loss on the validation tasks is logged and chooses nothing.

    The summary says how the loss on validation tasks falls with the number of episodes in the context.

    Raises:
        MethodError: there is one task only, so that a context tells nothing.
    """
    fitting = choose_training_tasks(data, "learning in context")
    network.fit_scales(fitting)
    network.to(run.device).train()
    optimizer = torch.optim.AdamW(
        [parameter for parameter in network.parameters() if parameter.requires_grad],
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        fused=True,
    )
    source = open_source(fitting.to(run.device))
    held_out = None
    if data.validation.num_episodes:
        validation = open_source(data.validation.to(run.device))
        held_out = validation.draw(run.generator("validation"), HELD_OUT)
    recent = RecentLosses()
    for update in run.steps(
        "policy", config.updates, network=network, optimizer=optimizer, recent=recent
    ):
        contexts = source.draw(run.generator("contexts", update), config.batch_size)
        loss, info = network.compute_loss(contexts)
        rate = cosine_factor(update, config.updates, last=0.1, warmup=config.warmup)
        descend(
            optimizer,
            loss,
            clip=config.gradient_clip,
            learning_rate=config.learning_rate * rate,
        )
        network.finish_update()
        recent.values.append(loss.item())
        if update % config.log_interval == 0 or update == config.updates:
            metrics = {"loss": recent.take(), **{name: each.item() for name, each in info.items()}}
            if held_out is not None and (
                update % (10 * config.log_interval) == 0 or update == config.updates
            ):
                by_episodes = measure_losses(network, held_out)
                metrics["validation_loss"] = float(np.mean(list(by_episodes.values())))
            run.log(**metrics)
    network.eval()
    _measure_deviation(network, source.draw(run.generator("deviation"), HELD_OUT))
    if held_out is not None:
        for episodes, loss_there in measure_losses(network, held_out).items():
            run.summary[f"validation_loss_after_{episodes}_episodes"] = loss_there


@torch.no_grad()
def measure_losses(network: InContextNetwork, contexts: Contexts) -> dict[int, float]:
    """The mean loss by how many episodes the context held."""
    training = network.training
    network.eval()
    errors = compute_errors(network.spaces, network(contexts), contexts.labels).cpu().numpy()
    network.train(training)
    counted = contexts.counted.cpu().numpy()
    losses = {}
    for episodes in np.unique(contexts.known):
        there = contexts.known == episodes
        chosen = errors[:, there][counted[:, there]]
        if len(chosen):
            losses[int(episodes)] = float(chosen.mean())
    return losses


@torch.no_grad()
def _measure_deviation(network: InContextNetwork, contexts: Contexts) -> None:
    """Keep how far continuous actions of the training data lie from their predictions."""
    if not network.spaces.discrete:
        errors = (network(contexts) - contexts.labels)[contexts.counted]
        network.deviation.copy_(errors.square().mean(0).sqrt())
