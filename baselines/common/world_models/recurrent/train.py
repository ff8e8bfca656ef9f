"""Training a recurrent model, and measuring how far off its predictions are."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from metabench import TrainingData, TrainingRun

from ...optimisation import cosine_factor, descend, log_at_intervals
from .losses import compute_loss, follow
from .model import Imagined, RecurrentModel
from .network import AHEAD, RecurrentStateSpace
from .streams import Streams, draw_whole_streams


def train_recurrent(model: RecurrentStateSpace, data: TrainingData, run: TrainingRun) -> None:
    """Fit scales and networks on `data.fitting`; measure deviations on `data.validation`.

    A stage `model` of the run. The networks are the last ones.
    """
    config = model.config
    model.scales.fit(data.fitting, config.reach)
    model.to(run.device)
    streams = Streams(model, data.fitting)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate, eps=1e-6, fused=True)
    parts: dict[str, Any] = {"network": model, "optimizer": optimizer, "streams": streams}
    for update in run.steps("model", config.updates, **parts):
        chunk = streams.draw(run.generator("model", update))
        loss, info, followed = compute_loss(model, chunk.tokens, streams.carried)
        rate = cosine_factor(update, config.updates) if config.learning_rate_decay else 1.0
        descend(optimizer, loss, clip=config.clip, learning_rate=config.learning_rate * rate)
        streams.keep(followed.last)
        log_at_intervals(run, info, update, config.updates, config.model_log_interval)
    model.eval()
    missed = measure_missed(model.cpu(), data.validation, run)
    model.get_buffer("missed").copy_(missed)
    for ahead in (1, 5, AHEAD):
        run.summary[f"model_error_after_{ahead}_steps"] = (
            float(missed[ahead - 1, :-1].mean()) ** 0.5
        )


@torch.no_grad()
def measure_missed(model: RecurrentStateSpace, data: TrainingData, run: TrainingRun) -> Tensor:
    """`(AHEAD, S + 1)` mean squared errors of observations and rewards after so many imagined steps, on given tasks.

    In squared units of the scales, less what the heads are apart; half of a sequence is seen before.
    """
    config = model.config
    judged = RecurrentModel(model)
    generator = run.generator("held-out")
    chunk = draw_whole_streams(model, data, generator, config.held_out, 2 * AHEAD + 1)
    tokens = chunk.tokens
    seen = follow(model, tokens, model.begin((config.held_out,)), draw=False).carried
    begin = AHEAD
    state = Imagined(
        seen.state[None, :, begin],
        seen.latent[None, :, begin],
        torch.zeros(1, config.held_out, dtype=torch.int64),
    )
    units = model.scales.units
    # What is imagined is one episode: where another begins, nothing more is compared.
    there = torch.ones(config.held_out, dtype=torch.bool)
    rows, last = [], torch.zeros(len(units))
    for ahead in range(1, AHEAD + 1):
        place = begin + ahead
        told = judged(state, tokens.actions[None, :, place])
        state = told.state
        there = there & ~tokens.first[:, place]
        off = torch.cat(
            [
                told.next_observations[0] - tokens.observations[:, place],
                (told.rewards[0] - tokens.rewards[:, place])[:, None],
            ],
            1,
        )
        apart = torch.cat([told.deviations[0], told.reward_deviations[0][:, None]], 1)
        excess = (off.square() - apart.square()) / units.square()
        if there.any():
            last = excess[there].mean(0).clamp(min=0.0)
        rows.append(last)
    return torch.stack(rows)
