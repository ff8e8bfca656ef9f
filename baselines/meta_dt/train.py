"""Training the world model, and what its codes and errors give to the transformer's training."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from metabench import Array, TrainingData, TrainingRun, Windows

from ..common.decision_transformer.train import ChooseSegments
from ..common.optimisation import RecentLosses, cosine_factor, descend
from ..meta_dt_plus.objective import elsewhere_loss, gather_steps, train_task_table
from .config import MetaDTConfig
from .model import TaskTable, WorldModel, dataset_evidence, gather, squared_errors

STAGE = "world-model"


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
        return elsewhere_loss(config, model, part, generator, table)

    recent = RecentLosses()
    interval = max(1, config.model_updates // 50)
    for update in run.steps(STAGE, config.model_updates, model=model, optimizer=optimizer, recent=recent):
        loss = loss_on(fitting, run.generator(STAGE, update), table)
        factor = cosine_factor(update, config.model_updates, last=0.01) if config.model_decay else 1.0
        descend(optimizer, loss, clip=1.0, learning_rate=config.model_learning_rate * factor)
        recent.values.append(float(loss.detach()))
        if update % interval == 0 or update == config.model_updates:
            metrics = {"loss": recent.take()}
            if data.validation.num_episodes:
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
    for first in range(0, data.num_transitions, 8192):
        index = np.arange(first, min(first + 8192, data.num_transitions))
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
    lengths = held_out.lengths[episodes]
    checked = [n for n in (0, 1, 4, 16, 64) if n <= int(lengths.max())]
    steps = np.broadcast_to(np.arange(max(checked)), (len(episodes), max(checked)))
    evidence = model.encoder.evidence(gather_steps(model, held_out, episodes, steps))
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
    for count in checked:
        position = torch.as_tensor(np.minimum(count, lengths))
        codes = model.encoder.code(evidence[torch.arange(len(episodes)), position])
        report[f"after_{count}_steps"] = float(squared_errors(model.decoders, target, codes)[0].mean().sqrt()) * unit
        if others is not None and count:
            report[f"after_{count}_steps_of_another_task"] = (
                float(squared_errors(model.decoders, target, codes[others])[0].mean().sqrt()) * unit
            )
    return report
