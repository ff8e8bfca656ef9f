"""Pretraining as published, on synthetic environments: no suite's data, no suite's tasks."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from metabench import TrainingRun

from ..common.optimisation import RecentLosses, descend
from .config import PublishedWorldModelConfig
from .model import PublishedWorldModel, SlotNormalisation
from .prior import PublishedData, PublishedPrior

STAGE = "pretraining"

ROWS = 1_001
"""Rows of each environment: the first are the context, all others queries."""

CONTEXTS = np.arange(500, 1_000)
"""Sizes of contexts."""

CONTEXT_WEIGHTS = (1_000.0 - CONTEXTS) ** -0.4
"""How often each is drawn, in proportion."""

EPOCHS, WARM_EPOCHS = 50, 12
"""What the learning rate counts in."""

GRADIENT_CLIP = 1.0
"""Largest norm of the gradient."""

HELD_OUT = 8
"""Synthetic environments that are never trained on."""

HELD_OUT_CONTEXT = 809
"""Rows of their contexts: the mean of the sizes in training."""


def pretrain_published_model(
    config: PublishedWorldModelConfig, run: TrainingRun, stage: str = STAGE
) -> PublishedWorldModel:
    """Train a new model; goes on where a killed run had its last checkpoint. The curve holds a held-out loss.

    A run that trains several tells them apart by `stage`.
    """
    run.torch_seed("initialise")
    model = PublishedWorldModel(config).to(run.device)
    optimizer = torch.optim.AdamW(model.parameters(), config.learning_rate, weight_decay=0.0)
    held_out = draw_environments(config, run, HELD_OUT, "held-out")
    recent = RecentLosses()
    for update in run.steps(
        stage, config.pretraining_updates, model=model, optimizer=optimizer, recent=recent
    ):
        data = draw_environments(config, run, config.environments, "environments", update)
        rows = draw_context_size(run.generator("context", update))
        loss, info = pretraining_loss(model, data, rows)
        rate = config.learning_rate * learning_rate_share(update, config.pretraining_updates)
        descend(optimizer, loss, clip=GRADIENT_CLIP, learning_rate=rate)
        recent.values.append(info["loss"].item())
        if update % config.log_interval == 0 or update == config.pretraining_updates:
            with torch.no_grad():
                _, apart = pretraining_loss(model, held_out, HELD_OUT_CONTEXT)
            run.log(loss=recent.take(), held_out_loss=apart["loss"].item())
    return model.eval()


def draw_environments(
    config: PublishedWorldModelConfig, run: TrainingRun, environments: int, *purpose: int | str
) -> PublishedData:
    """Transitions of new environments, the same for the same seed and purpose, on the run's device."""
    generator = torch.Generator().manual_seed(int(run.generator(*purpose).integers(2**62)))
    prior = PublishedPrior(
        generator, config.state_slots, config.action_slots, config.defects, config.momentum
    )
    return prior.draw(environments, ROWS).to(run.device)


def pretraining_loss(
    model: PublishedWorldModel, data: PublishedData, rows: int
) -> tuple[Tensor, dict[str, Tensor]]:
    """Mean squared error of the queries after a context of `rows` rows, over all output slots, used or not.

    As published, normalisation reads the queries, too.
    """
    inputs, outputs = (
        SlotNormalisation.measure(data.inputs),
        SlotNormalisation.measure(data.outputs),
    )
    given = model.read(data.inputs[:, :rows], data.outputs[:, :rows], scales=(inputs, outputs))
    predicted = model.predict_normalised(given, data.inputs[:, rows:])
    loss = functional.mse_loss(predicted, outputs.normalise(data.outputs[:, rows:]))
    return loss, {"loss": loss}


def draw_context_size(generator: np.random.Generator) -> int:
    """From 500 to 999 rows, large contexts oftener."""
    return int(generator.choice(CONTEXTS, p=CONTEXT_WEIGHTS / CONTEXT_WEIGHTS.sum()))


def learning_rate_share(update: int, updates: int) -> float:
    """Linear warm-up and half a cosine, of the largest learning rate, for updates from 1 on.

    As published it is one epoch ahead: it begins at 2 of 12 warm epochs, and at the end has turned upwards again.
    """
    epoch = 2.0 + EPOCHS * (update - 1) / updates
    if epoch < WARM_EPOCHS:
        return epoch / WARM_EPOCHS
    return 0.5 + 0.5 * math.cos(math.pi * (epoch - WARM_EPOCHS) / (EPOCHS - WARM_EPOCHS))
