"""The world model goes on learning, from the training tasks' data: contexts and queries of one task at a time."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from metabench import Array, Spaces, TrainingData, TrainingRun

from ..common.optimisation import RecentLosses, cosine_factor, descend
from ..common.planning.rows import Rows
from .config import OSWMMetaConfig
from .model import OSWMWorldModel
from .reader import mark_used_slots, pad_to_slots

STAGE = "training-tasks"

EPISODES = 3
"""Most episodes that a context is drawn from: as many as a support has."""

CHECKS = 64
"""Contexts of validation tasks that the curve's losses are measured with."""


def train_on_tasks(
    model: OSWMWorldModel, config: OSWMMetaConfig, data: TrainingData, run: TrainingRun
) -> None:
    """Train in place on the fitting tasks; the curve holds losses on the validation tasks."""
    model.to(run.device).train()
    optimizer = torch.optim.AdamW(
        model.parameters(), config.learning_rate, weight_decay=config.weight_decay
    )
    recent = RecentLosses()
    for update in run.steps(STAGE, config.updates, model=model, optimizer=optimizer, recent=recent):
        generator = run.generator(STAGE, update)
        loss, _ = meta_training_loss(
            model, config, data.fitting, config.tasks, generator, run.device
        )
        rate = config.learning_rate * cosine_factor(update, config.updates)
        descend(optimizer, loss, clip=config.gradient_clip, learning_rate=rate)
        recent.values.append(float(loss.detach()))
        if update % config.log_interval == 0 or update == config.updates:
            metrics = {"loss": recent.take()}
            if data.validation.num_episodes:
                generator = run.generator(
                    STAGE, "check"
                )  # the same contexts and queries every time
                with torch.no_grad():
                    check, _ = meta_training_loss(
                        model, config, data.validation, CHECKS, generator, run.device
                    )
                metrics["validation_loss"] = float(check)
            run.log(**metrics)
    model.eval()


def meta_training_loss(
    model: OSWMWorldModel,
    config: OSWMMetaConfig,
    data: TrainingData,
    count: int,
    generator: np.random.Generator,
    device: str,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Sum of the losses of changes, rewards and ends in `count` tasks drawn at random."""
    context, queries = draw_rows(data, count, config.largest_context, config.queries, generator)
    state_used, action_used = (
        flags.to(device) for flags in mark_used_slots(model.config, data.spaces, count)
    )
    given = model.condition(pad_to_slots(context, model.config, device), state_used, action_used)
    return model.query_loss(given, pad_to_slots(queries, model.config, device))


def draw_rows(
    data: TrainingData, count: int, most: int, queries: int, generator: np.random.Generator
) -> tuple[Rows, Rows]:
    """Contexts of `count` tasks, and as many times `queries` transitions of other episodes of the same tasks.

    Half of the contexts are what an episode begins with, of any length, as without support; the other half are rows of
    up to three episodes.
    """
    contexts, asked = [], []
    for task in generator.integers(data.num_tasks, size=count):
        first, last = data.task_offsets[task : task + 2]
        episodes = generator.permutation(np.arange(first, last))
        if generator.random() < 0.5:
            begin = int(data.columns.offsets[episodes[0]])
            index = begin + np.arange(
                generator.integers(0, min(most, int(data.lengths[episodes[0]])) + 1)
            )
            used = 1
        else:
            used = int(generator.integers(1, min(EPISODES, len(episodes)) + 1))
            index = np.concatenate([_list_steps(data, episode) for episode in episodes[:used]])
            index = generator.permutation(index)[:most]
        contexts.append(index)
        others = episodes[used:] if len(episodes) > used else episodes
        chosen = others[generator.integers(len(others), size=queries)]
        asked.append(
            data.columns.offsets[chosen]
            + (generator.random(queries) * data.lengths[chosen]).astype(np.int64)
        )
    longest = max(1, max(len(index) for index in contexts))
    valid = np.arange(longest) < np.array([len(index) for index in contexts])[:, None]
    index = np.stack([np.pad(index, (0, longest - len(index))) for index in contexts])
    return _gather_rows(data, index, valid), _gather_rows(
        data, np.stack(asked), np.ones((count, queries), bool)
    )


def _list_steps(data: TrainingData, episode: int) -> Array:
    return np.arange(data.columns.offsets[episode], data.columns.offsets[episode + 1])


def _gather_rows(data: TrainingData, index: Array, valid: Array) -> Rows:
    steps = data.transitions(index)
    episodes = data.transition_episodes[index]
    ends = data.columns.terminated[episodes] & (index == data.columns.offsets[episodes + 1] - 1)
    return Rows(
        *(
            torch.as_tensor(values)
            for values in (
                steps.observations,
                steps.actions,
                steps.next_observations,
                steps.rewards,
                ends,
                valid,
            )
        )
    )


def measure_one_step_errors(
    model: OSWMWorldModel,
    data: TrainingData,
    spaces: Spaces,
    generator: np.random.Generator,
    contexts: tuple[int, ...],
) -> dict[str, float]:
    """Root mean squared error of the predicted change, in units of no change's, with contexts of so many rows.

    Below 1 the model is better than predicting that nothing changes; rewards are in units of their own deviation.
    """
    errors = {}
    for most in contexts:
        context, queries = draw_rows(data, CHECKS, most, 64, generator)
        keep = torch.arange(context.valid.shape[1]) < most
        context = Rows(
            context.observations,
            context.actions,
            context.next_observations,
            context.rewards,
            context.ends,
            context.valid & keep,
        )
        with torch.no_grad():
            given = model.condition(
                pad_to_slots(context, model.config), *mark_used_slots(model.config, spaces, CHECKS)
            )
            asked = pad_to_slots(queries, model.config)
            seen = model(given, asked.observations, asked.actions)
        wrong = (seen.next_observations - asked.next_observations).square().mean((0, 1))
        still = (asked.observations - asked.next_observations).square().mean((0, 1))
        moving = still > 0
        errors[f"change_error_after_{most}"] = float((wrong[moving] / still[moving]).mean().sqrt())
        variance = queries.rewards.var().clamp(min=1e-12)
        errors[f"reward_error_after_{most}"] = float(
            ((seen.rewards - queries.rewards).square().mean() / variance).sqrt()
        )
    return errors
