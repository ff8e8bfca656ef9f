"""The objective `elsewhere`: codes must predict transitions of other episodes of their task."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from metabench import Array, TrainingData, TrainingRun

from ..common.optimisation import cosine_factor, descend
from ..meta_dt.config import MetaDTConfig
from ..meta_dt.encoder import Transitions
from ..meta_dt.model import TaskTable, WorldModel, gather, squared_errors

TABLE_STAGE = "task-table"

FIRST_STEPS, LATER_STEPS = 16, 12
"""Of a long episode an update reads so many first steps, and so many that stand for all later ones."""


def train_task_table(config: MetaDTConfig, model: WorldModel, data: TrainingData, run: TrainingRun) -> TaskTable:
    """Fit a free code for each task of `data`, with decoders, to all its transitions."""
    run.torch_seed("initialise", TABLE_STAGE)
    table = TaskTable(config, data.spaces, data.num_tasks).to(run.device)
    optimizer = torch.optim.Adam(table.parameters(), lr=2 * config.model_learning_rate)
    total = max(1, config.model_updates // 2)
    for update in run.steps(TABLE_STAGE, total, table=table, optimizer=optimizer):
        index = run.generator(TABLE_STAGE, update).integers(data.num_transitions, size=16 * config.model_batch_size)
        codes = table.codes(torch.as_tensor(data.columns.tasks[data.transition_episodes[index]], device=run.device))
        reward, change = squared_errors(table.decoders, gather(model, data, index), codes)
        loss = (reward + change).mean()
        factor = cosine_factor(update, total, last=0.01)
        descend(optimizer, loss, learning_rate=2 * config.model_learning_rate * factor)
        if update % max(1, total // 10) == 0:
            run.log(loss=float(loss.detach()))
    return table.requires_grad_(False).eval()


def elsewhere_loss(
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
    steps, weights = steps_to_read(generator, data.lengths[context], sampled=model.encoder.reads_support)
    transitions = gather_steps(model, data, context, steps)
    if table is not None and replaced is not None and replaced.any():
        sources = data.columns.tasks[context][:, None]
        transitions = _relabelled(config, table, transitions, replaced, tasks, sources)
    device = transitions["rewards"].device
    counted = None if weights is None else torch.as_tensor(weights, device=device)
    all_evidence = model.encoder.evidence(transitions, counted)
    all_evidence = all_evidence.view(len(episodes), 1 + count, -1, model.encoder.evidence_dim)
    evidence = all_evidence[:, 0]  # before each step read, and after the last
    lengths = data.lengths[context[:: 1 + count]]
    position = (generator.random((len(episodes), prefixes)) * (lengths[:, None] + 1)).astype(np.int64)
    earlier = (steps[:: 1 + count, None] < position[..., None]).sum(axis=-1)
    chosen = torch.gather(
        evidence, 1, torch.as_tensor(earlier, device=device)[..., None].expand(-1, -1, evidence.shape[-1])
    )
    if count:
        ends = torch.as_tensor((steps < data.lengths[context][:, None]).sum(axis=-1))
        totals = all_evidence.flatten(0, 1)[torch.arange(len(ends)), ends].view(len(episodes), 1 + count, -1)[:, 1:]
        used = generator.integers(count + 1, size=(len(episodes), prefixes, 1)) > np.arange(count)
        chosen = chosen + torch.einsum("bpc,bce->bpe", torch.as_tensor(used, dtype=totals.dtype, device=device), totals)
    codes = model.encoder.code(chosen)
    elsewhere = data.sample_same_task(generator, episodes, prefixes)
    if replaced is not None:
        anywhere = data.sample_episodes(generator, elsewhere.size).reshape(elsewhere.shape)
        elsewhere = np.where(replaced[:: 1 + count, None], anywhere, elsewhere)
    step = (generator.random(elsewhere.shape) * data.lengths[elsewhere]).astype(np.int64)
    target = gather(model, data, data.columns.offsets[elsewhere] + step)
    if table is not None and replaced is not None and replaced.any():
        sources = data.columns.tasks[elsewhere]
        target = _relabelled(config, table, target, replaced[:: 1 + count], tasks[:: 1 + count], sources)
    return model.loss(target, codes)


def steps_to_read(generator: np.random.Generator, lengths: Array, sampled: bool) -> tuple[Array, Array | None]:
    """Which steps of episodes of `(B,)` lengths a code is made from, and how many each stands for.

    Short episodes are read whole. Of long ones, if `sampled`, the first steps are read whole, since a code of few
    steps must be exact; what follows is cut into equal stretches, and one step drawn from each stands for all of
    its stretch: the expected sum of evidence before any step is the true one. The step before each drawn one is read
    for the change of its reward only, and stands for none.

    Returns:
        `(B, n)` steps in ascending order, an episode's length or more in padding; and `(B, n)` float32 numbers of
        steps that they stand for, None if no episode is sampled.
    """
    longest = int(lengths.max())
    if not sampled or longest <= FIRST_STEPS + 2 * LATER_STEPS:
        return np.broadcast_to(np.arange(longest), (len(lengths), longest)), None
    later = np.maximum(lengths[:, None] - FIRST_STEPS, LATER_STEPS)
    edges = FIRST_STEPS + np.arange(LATER_STEPS + 1) * later // LATER_STEPS
    size = np.diff(edges, axis=1)
    drawn = edges[:, :-1] + (generator.random(size.shape) * size).astype(np.int64)
    pairs = np.stack([drawn - 1, drawn], axis=2).reshape(len(lengths), -1)
    first = np.broadcast_to(np.arange(FIRST_STEPS), (len(lengths), FIRST_STEPS))
    steps = np.concatenate([first, pairs], axis=1)
    stands_for = np.concatenate([np.ones_like(first), np.stack([0 * size, size], axis=2).reshape(pairs.shape)], axis=1)
    return steps, np.where(steps < lengths[:, None], stands_for, 0).astype(np.float32)


def gather_steps(model: WorldModel, data: TrainingData, episodes: Array, steps: Array) -> Transitions:
    """Transitions `(B, n, size)` at `(B, n)` steps of `(B,)` episodes; steps beyond an end are the last."""
    within = np.minimum(steps, data.lengths[episodes][:, None] - 1)
    return gather(model, data, data.columns.offsets[episodes][:, None] + within)


def _relabelled(
    config: MetaDTConfig, table: TaskTable, transitions: Transitions, replaced: Array, tasks: Array, sources: Array
) -> Transitions:
    """Rows `replaced` `(B,)` as they would have been in `tasks` `(B,)`; `sources` `(B, 1 or n)` logged them."""
    device = transitions["rewards"].device
    rows = torch.as_tensor(np.flatnonzero(replaced), device=device)
    part = {name: value[rows] for name, value in transitions.items()}
    steps = part["rewards"].shape[1]
    codes = table.codes(torch.as_tensor(tasks, device=device)[rows])[:, None].expand(-1, steps, -1)
    own = None
    if config.keep_residuals:
        own = table.codes(torch.as_tensor(sources, device=device)[rows]).expand(-1, steps, -1)
    part = table.decoders.relabelled(part, codes, own)
    return {name: value.index_copy(0, rows, part[name]) for name, value in transitions.items()}
