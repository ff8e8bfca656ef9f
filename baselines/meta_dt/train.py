"""Training the world model, and what its codes and errors give to the transformer's training."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metabench import Array, TrainingData, TrainingRun, Windows

from ..decision_transformer.schedule import RecentLosses
from ..decision_transformer.train import ChooseSegments
from .config import MetaDTConfig
from .model import TaskTable, Transitions, WorldModel, dataset_evidence, gather, squared_errors

STAGE = "world-model"
TABLE_STAGE = "task-table"


def train_world_model(config: MetaDTConfig, model: WorldModel, data: TrainingData, run: TrainingRun) -> None:
    """Train in place on the fitting tasks; logs the loss there and on the validation tasks."""
    fitting = data.fitting
    model.measure(fitting)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.model_learning_rate)
    table = None
    if config.objective == "elsewhere" and config.relabelled_context > 0:
        table = train_task_table(config, model, fitting, run)

    def loss_on(part: TrainingData, generator: np.random.Generator, table: TaskTable | None) -> Tensor:
        if config.objective == "next":
            return _next_loss(config, model, part, generator)
        return _elsewhere_loss(config, model, part, generator, table)

    recent = RecentLosses()
    interval = max(1, config.model_updates // 50)
    for update in run.steps(STAGE, config.model_updates, model=model, optimizer=optimizer, recent=recent):
        if config.model_decay:
            share = 0.505 + 0.495 * math.cos(math.pi * update / config.model_updates)
            optimizer.param_groups[0]["lr"] = config.model_learning_rate * share
        loss = loss_on(fitting, run.generator(STAGE, update), table)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        recent.values.append(float(loss.detach()))
        if update % interval == 0 or update == config.model_updates:
            metrics = {"loss": recent.take()}
            if data.validation_tasks:
                with torch.no_grad():
                    check = loss_on(data.validation, run.generator(STAGE, "check"), None)
                metrics["validation_loss"] = float(check)
            run.log(**metrics)


def _next_loss(config: MetaDTConfig, model: WorldModel, data: TrainingData, generator: np.random.Generator) -> Tensor:
    """The published objective: predict the transition that follows the h transitions that the code reads."""
    index = generator.integers(data.num_transitions, size=config.model_batch_size)
    episodes = data.transition_episodes[index]
    position = index - data.columns.offsets[episodes]
    codes = _codes_at(model, data, episodes, position)
    return model.loss(gather(model, data, index), codes)


def _codes_at(model: WorldModel, data: TrainingData, episodes: Array, position: Array) -> Tensor:
    """Codes `(B, code_dim)` before step `position` of each episode, from that episode only."""
    horizon = model.config.context_horizon if model.config.history == "recent" else int(position.max())
    starts = np.maximum(position - horizon, 0)
    count = position - starts
    steps = starts[:, None] + np.minimum(np.arange(max(horizon, 1)), np.maximum(count - 1, 0)[:, None])
    transitions = gather(model, data, data.columns.offsets[episodes][:, None] + steps)
    evidence = model.encoder.evidence(transitions)
    return model.encoder.code(evidence[torch.arange(len(episodes)), torch.as_tensor(count)])


def _elsewhere_loss(
    config: MetaDTConfig,
    model: WorldModel,
    data: TrainingData,
    generator: np.random.Generator,
    table: TaskTable | None,
    prefixes: int = 16,
) -> Tensor:
    """Codes of support and of an episode so far must predict transitions of *other* episodes of the task."""
    episodes = data.sample_episodes(generator, config.model_batch_size)
    count = 2 if model.encoder.reads_support else 0
    tasks = np.repeat(data.columns.tasks[episodes], 1 + count)
    context = np.concatenate([episodes[:, None], data.sample_same_task(generator, episodes, count)], axis=1).ravel()
    replaced = None
    if table is not None:
        replaced = np.repeat(generator.random(len(episodes)) < config.relabelled_context, 1 + count)
        context = np.where(replaced, data.sample_episodes(generator, len(context)), context)
    transitions, all_lengths = _episode_transitions(model, data, context)
    if table is not None and replaced is not None and replaced.any():
        transitions = _relabelled(table, transitions, replaced, tasks)
    all_evidence = model.encoder.evidence(transitions).view(len(episodes), 1 + count, -1, model.encoder.evidence_dim)
    evidence = all_evidence[:, 0]  # (B, T + 1, evidence)
    lengths = all_lengths.reshape(len(episodes), 1 + count)[:, 0]
    position = (generator.random((len(episodes), prefixes)) * (lengths[:, None] + 1)).astype(np.int64)
    chosen = torch.gather(
        evidence, 1, torch.as_tensor(position, device=evidence.device)[..., None].expand(-1, -1, evidence.shape[-1])
    )
    if count:
        ends = torch.as_tensor(all_lengths)
        totals = all_evidence.flatten(0, 1)[torch.arange(len(ends)), ends].view(len(episodes), 1 + count, -1)[:, 1:]
        used = generator.integers(count + 1, size=(len(episodes), prefixes, 1)) > np.arange(count)
        chosen = chosen + torch.einsum(
            "bpc,bce->bpe", torch.as_tensor(used, dtype=totals.dtype, device=totals.device), totals
        )
    codes = model.encoder.code(chosen)
    elsewhere = data.sample_same_task(generator, episodes, prefixes)
    if replaced is not None:
        anywhere = data.sample_episodes(generator, elsewhere.size).reshape(elsewhere.shape)
        elsewhere = np.where(replaced[:: 1 + count, None], anywhere, elsewhere)
    step = (generator.random(elsewhere.shape) * data.lengths[elsewhere]).astype(np.int64)
    target = gather(model, data, data.columns.offsets[elsewhere] + step)
    if table is not None and replaced is not None and replaced.any():
        target = _relabelled(table, target, replaced[:: 1 + count], tasks[:: 1 + count])
    return model.loss(target, codes)


def _episode_transitions(model: WorldModel, data: TrainingData, episodes: Array) -> tuple[Transitions, Array]:
    """Whole episodes `(B, T, size)`, short ones padded by their last step, and their lengths `(B,)`."""
    lengths = data.lengths[episodes]
    steps = np.minimum(np.arange(int(lengths.max())), lengths[:, None] - 1)
    return gather(model, data, data.columns.offsets[episodes][:, None] + steps), lengths


def _relabelled(table: TaskTable, transitions: Transitions, replaced: Array, tasks: Array) -> Transitions:
    """Rows `replaced` `(B,)` as they would have been in `tasks` `(B,)`."""
    rows = torch.as_tensor(np.flatnonzero(replaced), device=transitions["rewards"].device)
    codes = table.codes(torch.as_tensor(tasks, device=rows.device)[rows])[:, None]
    part = {name: value[rows] for name, value in transitions.items()}
    part = table.decoders.relabelled(part, codes.expand(-1, part["rewards"].shape[1], -1))
    return {name: value.index_copy(0, rows, part[name]) for name, value in transitions.items()}


def train_task_table(config: MetaDTConfig, model: WorldModel, data: TrainingData, run: TrainingRun) -> TaskTable:
    """Fit a free code for each task of `data`, with decoders, to all its transitions."""
    run.torch_seed("initialise", TABLE_STAGE)
    table = TaskTable(config, data.spaces, data.num_tasks).to(run.device)
    optimizer = torch.optim.Adam(table.parameters(), lr=2 * config.model_learning_rate)
    total = max(1, config.model_updates // 2)
    for update in run.steps(TABLE_STAGE, total, table=table, optimizer=optimizer):
        optimizer.param_groups[0]["lr"] = config.model_learning_rate * (
            1.01 + 0.99 * math.cos(math.pi * update / total)
        )
        index = run.generator(TABLE_STAGE, update).integers(data.num_transitions, size=16 * config.model_batch_size)
        codes = table.codes(torch.as_tensor(data.columns.tasks[data.transition_episodes[index]], device=run.device))
        reward, change = squared_errors(table.decoders, gather(model, data, index), codes)
        loss = (reward + change).mean()
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
        if update % max(1, total // 10) == 0:
            run.log(loss=float(loss.detach()))
    return table.requires_grad_(False).eval()


class DatasetCodes:
    """Task codes of training windows from a frozen world model: evidence is computed once a data set."""

    def __init__(self, config: MetaDTConfig, model: WorldModel) -> None:
        """Keep the model; evidence is computed on first use of a data set."""
        self._config, self._model = config, model
        self._kept: dict[int, tuple[TrainingData, Array, Array]] = {}

    def __call__(
        self, data: TrainingData, windows: Windows, starts: Array, supported: bool, generator: np.random.Generator
    ) -> Tensor:
        """Codes `(B, K, code_dim)`; supported windows have support episodes where the encoder reads support."""
        before, after = self.evidence(data)
        episodes = np.asarray(windows.episodes.cpu() if isinstance(windows.episodes, Tensor) else windows.episodes)
        timesteps = np.asarray(windows.timesteps.cpu() if isinstance(windows.timesteps, Tensor) else windows.timesteps)
        evidence = before[data.columns.offsets[episodes][:, None] + timesteps]
        if supported and self._model.encoder.reads_support:
            most = self._config.support_episodes
            support = data.sample_same_task(generator, episodes, most)
            used = np.arange(most) < generator.integers(1, most + 1, size=(len(episodes), 1))
            evidence = evidence + (after[support] * used[..., None]).sum(axis=1)[:, None]
        device = next(self._model.parameters()).device
        with torch.no_grad():
            return self._model.encoder.code(torch.as_tensor(evidence, device=device))

    def evidence(self, data: TrainingData) -> tuple[Array, Array]:
        """`dataset_evidence` of `data`, kept."""
        if id(data) not in self._kept:
            self._kept[id(data)] = (data, *dataset_evidence(self._model, data))
        return self._kept[id(data)][1:]


def complementary_segments(
    config: MetaDTConfig, codes: DatasetCodes, model: WorldModel, data: TrainingData
) -> ChooseSegments:
    """Segments of episodes by the world model's error along them, computed once."""
    before, _ = codes.evidence(data)
    error = np.zeros(data.num_transitions)
    for first in range(0, data.num_transitions, 65536):
        index = np.arange(first, min(first + 65536, data.num_transitions))
        with torch.no_grad():
            code = model.encoder.code(torch.as_tensor(before[index], device=next(model.parameters()).device))
            error[index] = model.surprise(gather(model, data, index), code).cpu().numpy()
    sums = np.concatenate([[0.0], np.cumsum(error)])
    offsets, lengths = data.columns.offsets, data.lengths
    longest, length = int(lengths.max()), config.prompt_length
    starts = np.arange(max(longest - length, 0) + 1)
    scores = np.zeros((data.num_episodes, len(starts)))  # error sum of the segment that begins there; 0 if too late
    latest = np.maximum(lengths - length, 0)
    valid = starts <= latest[:, None]
    begin = (offsets[:-1, None] + starts)[valid]
    end = np.minimum(offsets[:-1, None] + starts + length, offsets[1:, None])[valid]
    scores[valid] = sums[end] - sums[begin] + 1e-12
    best = scores.argmax(axis=1)
    cumulative = np.cumsum(scores, axis=1)

    def choose(generator: np.random.Generator, episodes: Array) -> Array:
        if config.segment_choice == "largest-error":
            return np.asarray(best[episodes])
        threshold = generator.random((len(episodes), 1)) * cumulative[episodes, -1:]
        return np.asarray((cumulative[episodes] < threshold).sum(axis=1))

    return choose


@torch.no_grad()
def diagnose_world_model(
    config: MetaDTConfig, model: WorldModel, data: TrainingData, run: TrainingRun
) -> dict[str, Any]:
    """How much the codes know of held-out training tasks: reward error at *other* places of the same task.

    Root mean squared errors in reward units, after 1, 4, 16 ... steps of one episode, beside two controls: predicting
    the mean reward of the training data, and the codes of another task.
    """
    held_out = data.validation
    generator = run.generator("diagnose", STAGE)
    episodes = generator.integers(held_out.num_episodes, size=512)
    transitions, lengths = _episode_transitions(model, held_out, episodes)
    evidence = model.encoder.evidence(transitions)
    elsewhere = held_out.sample_same_task(generator, episodes, 1)[:, 0]
    step = (generator.random(len(elsewhere)) * held_out.lengths[elsewhere]).astype(np.int64)
    target = gather(model, held_out, held_out.columns.offsets[elsewhere] + step)
    unit = float(model.scales.reward_deviation)
    tasks = held_out.columns.tasks[episodes]
    others = (
        np.array([generator.permutation(np.flatnonzero(tasks != task))[0] for task in tasks])
        if held_out.num_tasks > 1
        else None
    )
    report: dict[str, Any] = {"mean_reward": float(target["rewards"].pow(2).mean().sqrt()) * unit}
    for steps in [n for n in (0, 1, 4, 16, 64) if n <= int(lengths.max())]:
        position = torch.as_tensor(np.minimum(steps, lengths))
        codes = model.encoder.code(evidence[torch.arange(len(episodes)), position])
        report[f"after_{steps}_steps"] = float(squared_errors(model.decoders, target, codes)[0].mean().sqrt()) * unit
        if others is not None and steps:
            report[f"after_{steps}_steps_of_another_task"] = (
                float(squared_errors(model.decoders, target, codes[others])[0].mean().sqrt()) * unit
            )
    return report
