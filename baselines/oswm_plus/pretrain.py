"""Pretraining of the world model on synthetic environments: no suite's data, no suite's tasks."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from metabench import TrainingRun

from ..common.optimisation import RecentLosses, cosine_factor, descend
from ..common.planning.rows import Rows
from ..common.synthetic_prior.prior import Prior, SyntheticData
from ..fitted_models.scales import measure_scales
from .config import PretrainingConfig
from .model import OSWMWorldModel

STAGE = "pretraining"

HELD_OUT = 64
"""Synthetic environments that the curve's held-out losses are measured in."""

HELD_OUT_CONTEXTS = (0, 16, 256)
"""Context rows at which they are."""


def pretrain_world_model(config: PretrainingConfig, run: TrainingRun) -> OSWMWorldModel:
    """Train a new model; resumes where a killed run had its last checkpoint. The curve holds held-out losses."""
    run.torch_seed("initialise")
    model = OSWMWorldModel(config.model)
    model.to(run.device)
    with torch.no_grad():
        model.bars.fit(_collect_typical_targets(model, config, run))
    optimizer = torch.optim.AdamW(
        model.parameters(), config.learning_rate, weight_decay=config.weight_decay
    )
    held_out = _draw_environments(config, run, HELD_OUT, "held-out", 0)
    recent = {name: RecentLosses() for name in ("change", "reward", "end")}
    for update in run.steps(STAGE, config.updates, model=model, optimizer=optimizer, **recent):
        data = _draw_environments(config, run, config.environments, "environments", update)
        rows = draw_context_rows(config.largest_context, run.generator("context", update))
        context, queries = split_rows(
            data, rows, config.queries, _make_generator(run, "rows", update)
        )
        given = model.condition(context, data.state_used, data.action_used)
        loss, info = model.query_loss(given, queries)
        rate = config.learning_rate * cosine_factor(
            update, config.updates, last=0.01, warmup=config.warmup
        )
        descend(optimizer, loss, clip=config.gradient_clip, learning_rate=rate)
        for name, value in info.items():
            recent[name].values.append(float(value.detach()))
        if update % config.log_interval == 0:
            last = update % (10 * config.log_interval) == 0 or update == config.updates
            losses = {name: since.take() for name, since in recent.items()}
            run.log(**losses, **(evaluate_held_out(model, held_out, config, run) if last else {}))
    return model


def draw_context_rows(largest: int, generator: np.random.Generator) -> int:
    """How many rows a context has: 0 to `largest`, small ones oftener.

    A uniform number would hardly ever make a context as short as a first episode's; its cube gives half of all contexts
    an eighth of the rows or fewer. Adding a half rounds to the nearest whole number, so that 0 rows come up, too.
    """
    return int(largest * generator.random() ** 3 + 0.5)


def split_rows(
    data: SyntheticData, rows: int, queries: int, generator: torch.Generator
) -> tuple[Rows, Rows]:
    """`rows` context rows and `queries` others of each environment.

    Half of the time both are drawn from all episodes; else from different ones, as when a planner leaves what the
    context has seen.
    """
    count, total = data.rewards.shape
    order = torch.rand(count, total, generator=generator, device=data.rewards.device)
    if float(torch.rand(1, generator=generator, device=data.rewards.device)) < 0.5:
        order = order + data.episodes  # whole episodes first
    order = order.argsort(1)
    return _take_rows(data, order[:, :rows]), _take_rows(data, order[:, total - queries :])


@torch.no_grad()
def evaluate_held_out(
    model: OSWMWorldModel, data: SyntheticData, config: PretrainingConfig, run: TrainingRun
) -> dict[str, float]:
    """Losses in environments that are never trained on.

    Also the error of the mean change, of the model and of its regression alone, in units of the error of no change.
    """
    metrics = {}
    model.eval()
    for rows in HELD_OUT_CONTEXTS:
        context, queries = split_rows(
            data, rows, config.queries, _make_generator(run, "held-out-rows", rows)
        )
        given = model.condition(context, data.state_used, data.action_used)
        _, info = model.query_loss(given, queries)
        for name, value in info.items():
            metrics[f"held_out_{name}_after_{rows}"] = float(value)
        scale = measure_scales(queries, data.state_used, 1e-6).change
        scales = given.regressions.scales
        moving = scales.moving.expand_as(queries.observations)
        seen = model(given, queries.observations, queries.actions).next_observations
        _, _, guess = model.logits(given, queries.observations, queries.actions)
        regressed = queries.observations + scales.change * scales.moving * guess.value[..., :-2]
        for name, found in (("error", seen), ("regression_error", regressed)):
            wrong = ((found - queries.next_observations) / scale).square()[moving]
            metrics[f"held_out_{name}_after_{rows}"] = float(wrong.clamp(max=25.0).mean().sqrt())
    model.train()
    return metrics


def _draw_environments(
    config: PretrainingConfig, run: TrainingRun, environments: int, *purpose: int | str
) -> SyntheticData:
    prior = Prior(
        config.model.state_slots, config.model.action_slots, _make_generator(run, *purpose)
    )
    return prior.draw(environments, config.episodes, config.steps)


def _make_generator(run: TrainingRun, *purpose: int | str) -> torch.Generator:
    seed = int(run.generator(*purpose).integers(2**62))
    return torch.Generator(run.device).manual_seed(seed)


def _collect_typical_targets(
    model: OSWMWorldModel, config: PretrainingConfig, run: TrainingRun
) -> Tensor:
    """What the regression misses, as the model will meet it, for the borders of its buckets."""
    targets = []
    for part, rows in enumerate((4, 32, config.largest_context)):
        data = _draw_environments(config, run, 64, "targets", part)
        context, queries = split_rows(
            data, rows, config.queries, _make_generator(run, "target-rows", part)
        )
        given = model.condition(context, data.state_used, data.action_used)
        _, _, guess = model.logits(given, queries.observations, queries.actions)
        target, counted = model.targets(given, queries, guess)
        targets.append(target[counted > 0])
    return torch.cat(targets).cpu()


def _take_rows(data: SyntheticData, index: Tensor) -> Rows:
    def rows(values: Tensor) -> Tensor:
        if values.dim() == 2:
            return values.gather(1, index)
        return values.gather(1, index[..., None].expand(-1, -1, values.shape[2]))

    return Rows(
        rows(data.observations),
        rows(data.actions),
        rows(data.next_observations),
        rows(data.rewards),
        rows(data.ends),
        torch.ones_like(index, dtype=torch.bool),
    )
