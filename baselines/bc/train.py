"""Training: batches of single transitions of all fitting tasks."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from metabench import TrainingData, TrainingRun, Windows

from ..common.optimisation import descend
from .config import BCConfig
from .model import BCNetwork

VALIDATION_TRANSITIONS = 4096
"""Largest number of transitions that the validation loss is averaged over; they are drawn once."""


def action_loss(network: BCNetwork, batch: Windows) -> tuple[Tensor, dict[str, Tensor]]:
    """Mean squared error of action features, or cross-entropy of discrete actions, averaged over the batch."""
    predicted = network(batch.observations, batch.timesteps)  # (B, action_dim)
    compare = functional.cross_entropy if network.discrete else functional.mse_loss
    loss = compare(predicted, batch.actions)
    return loss, {"loss": loss.detach()}


def train_network(config: BCConfig, data: TrainingData, run: TrainingRun) -> BCNetwork:
    """Fit the network to the fitting part; the loss on the validation part is logged and chooses nothing."""
    run.torch_seed("initialisation")
    network = BCNetwork(data.spaces, config.width, config.depth)
    network.normalise_by(*data.fitting.observation_statistics)
    network.to(run.device)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.updates)
    fitting = data.fitting.to(run.device)
    held_out = draw_held_out(data, run)

    for update in run.steps(
        "policy", config.updates, network=network, optimizer=optimizer, schedule=schedule
    ):
        generator = run.generator("batch", update)
        index = generator.integers(fitting.num_transitions, size=config.batch_size)
        loss, info = action_loss(network, fitting.transitions(index))
        descend(optimizer, loss)
        schedule.step()
        if update % config.log_interval == 0 or update == config.updates:
            metrics = {"loss": info["loss"].item()}
            if held_out is not None:
                with torch.no_grad():
                    _, info = action_loss(network, held_out)
                metrics["validation_loss"] = info["loss"].item()
            run.log(**metrics)
    return network.eval()


def draw_held_out(data: TrainingData, run: TrainingRun) -> Windows | None:
    """Transitions of the validation part, the same at every update; None if it is empty."""
    total = data.validation.num_transitions
    if not total:
        return None
    index = run.generator("validation").permutation(total)[:VALIDATION_TRANSITIONS]
    return data.validation.to(run.device).transitions(index)
