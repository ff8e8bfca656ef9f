"""The losses: codes must predict transitions of other episodes of their task, on relabelled data."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from metabench import Array, TrainingData

from ..meta_dt.model import Transitions, TransitionScales, gather_steps, gather_transitions
from ..meta_dt.world_model import compute_squared_errors, prediction_loss
from .config import MetaDTPlusConfig
from .world_model import HistoryWorldModel, TaskTable

SUPPORT_READ = 2
"""Support episodes of each episode in an update: codes read none, one or both of them."""

PREFIXES = 16
"""Codes an update makes of each episode, each after another number of its steps."""

FIRST_STEPS, LATER_STEPS = 16, 12
"""Of a long episode an update reads so many first steps, and so many that stand for all later ones."""


def table_loss(
    scales: TransitionScales,
    table: TaskTable,
    data: TrainingData,
    generator: np.random.Generator,
    batch_size: int,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Squared errors of reward and change, each transition predicted with its task's code in the table."""
    index = generator.integers(data.num_transitions, size=batch_size)  # (B,) flat
    tasks = torch.as_tensor(
        data.columns.tasks[data.transition_episodes[index]], device=scales.reward_mean.device
    )
    transitions = gather_transitions(scales, data, index)
    reward, change = compute_squared_errors(table.decoders, transitions, table.codes(tasks))
    loss = (reward + change).mean()
    return loss, {"loss": loss.detach()}


def elsewhere_loss(
    config: MetaDTPlusConfig,
    model: HistoryWorldModel,
    data: TrainingData,
    generator: np.random.Generator,
    table: TaskTable | None,
    prefixes: int = PREFIXES,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Codes of support and of an episode so far must predict transitions of *other* episodes of the task.

    With a `table`, rows of the batch are relabelled: what a code reads and predicts is then from episodes of any
    tasks, as it would have been in the code's. The order of draws is part of the results.
    """
    episodes = data.sample_episodes(generator, config.model_batch_size)  # (B,)
    support = data.sample_same_task(generator, episodes, SUPPORT_READ)
    read = np.concatenate(
        [episodes[:, None], support], axis=1
    ).ravel()  # (3B,): each episode, then its support
    tasks = data.columns.tasks[episodes]
    relabelled = None  # (B,) bool
    if table is not None:
        relabelled = generator.random(len(episodes)) < config.relabelled_context
        anything = data.sample_episodes(generator, len(read))
        read = np.where(np.repeat(relabelled, 1 + SUPPORT_READ), anything, read)

    steps, weights = choose_steps(generator, data.lengths[read])  # (3B, n)
    transitions = gather_steps(model.scales, data, read, steps)
    if table is not None and relabelled is not None and relabelled.any():
        rows, targets = (np.repeat(x, 1 + SUPPORT_READ) for x in (relabelled, tasks))
        transitions = _relabel_rows(
            config, table, transitions, rows, targets, data.columns.tasks[read][:, None]
        )
    evidence = _read_prefixes(model, data, generator, transitions, read, steps, weights, prefixes)
    codes = model.encoder.compute_codes(evidence)  # (B, prefixes, code_dim)

    elsewhere = data.sample_same_task(
        generator, episodes, prefixes
    )  # (B, prefixes), one for each code
    if relabelled is not None:
        anywhere = data.sample_episodes(generator, elsewhere.size).reshape(elsewhere.shape)
        elsewhere = np.where(relabelled[:, None], anywhere, elsewhere)
    step = (generator.random(elsewhere.shape) * data.lengths[elsewhere]).astype(np.int64)
    target = gather_transitions(model.scales, data, data.columns.offsets[elsewhere] + step)
    if table is not None and relabelled is not None and relabelled.any():
        target = _relabel_rows(
            config, table, target, relabelled, tasks, data.columns.tasks[elsewhere]
        )
    return prediction_loss(model, target, codes)


def _read_prefixes(
    model: HistoryWorldModel,
    data: TrainingData,
    generator: np.random.Generator,
    transitions: Transitions,
    read: Array,
    steps: Array,
    weights: Array | None,
    prefixes: int,
) -> Tensor:
    """Evidence `(B, prefixes, evidence_dim)` after a random number of an episode's steps and 0 to 2 support episodes.

    Args:
        model: the world model.
        data: what is read.
        generator: the randomness.
        transitions: `(3B, n, size)`, each episode before its support.
        read: `(3B,)` episodes.
        steps: `(3B, n)` which of their steps the transitions are.
        weights: `(3B, n)` how many steps each stands for; None: one.
        prefixes: codes an episode.
    """
    device = transitions["rewards"].device
    stands_for = None if weights is None else torch.as_tensor(weights, device=device)
    evidence = model.encoder.gather_evidence(transitions, stands_for)  # (3B, n + 1, evidence_dim)
    evidence = evidence.view(
        len(read) // (1 + SUPPORT_READ), 1 + SUPPORT_READ, -1, model.encoder.evidence_dim
    )
    batch = len(evidence)

    own = evidence[:, 0]  # (B, n + 1, evidence_dim) before each step read, and after the last
    own_steps, own_lengths = steps[:: 1 + SUPPORT_READ], data.lengths[read[:: 1 + SUPPORT_READ]]
    position = (generator.random((batch, prefixes)) * (own_lengths[:, None] + 1)).astype(np.int64)
    earlier = (own_steps[:, None] < position[..., None]).sum(
        axis=-1
    )  # (B, prefixes): steps read before `position`
    place = torch.as_tensor(earlier, device=device)[..., None].expand(-1, -1, own.shape[-1])
    chosen = torch.gather(own, 1, place)  # (B, prefixes, evidence_dim)

    ends = torch.as_tensor(
        (steps < data.lengths[read][:, None]).sum(axis=-1)
    )  # (3B,): steps that are no padding
    totals = evidence.flatten(0, 1)[torch.arange(len(ends)), ends]
    totals = totals.view(batch, 1 + SUPPORT_READ, -1)[
        :, 1:
    ]  # (B, 2, evidence_dim) after whole support episodes
    used = generator.integers(SUPPORT_READ + 1, size=(batch, prefixes, 1)) > np.arange(SUPPORT_READ)
    counted = torch.as_tensor(used, dtype=totals.dtype, device=device)  # (B, prefixes, 2)
    return chosen + torch.einsum("bpc,bce->bpe", counted, totals)


def choose_steps(generator: np.random.Generator, lengths: Array) -> tuple[Array, Array | None]:
    """Which steps of episodes of `(B,)` lengths a code is made from, and how many each stands for.

    Short episodes are read whole. Of long ones the first steps are read whole, since a code of few
    steps must be exact; what follows is cut into equal stretches, and one step drawn from each stands for all of
    its stretch: the expected sum of evidence before any step is the true one. The step before each drawn one is read
    for the change of its reward only, and stands for none.

    Returns:
        `(B, n)` steps in ascending order, an episode's length or more in padding; and `(B, n)` float32 numbers of
        steps that they stand for, None if no episode is sampled.
    """
    longest = int(lengths.max())
    if longest <= FIRST_STEPS + 2 * LATER_STEPS:
        return np.broadcast_to(np.arange(longest), (len(lengths), longest)), None
    later = np.maximum(lengths[:, None] - FIRST_STEPS, LATER_STEPS)
    edges = (
        FIRST_STEPS + np.arange(LATER_STEPS + 1) * later // LATER_STEPS
    )  # (B, 13) where stretches begin and end
    size = np.diff(edges, axis=1)  # (B, 12)
    drawn = edges[:, :-1] + (generator.random(size.shape) * size).astype(np.int64)
    pairs = np.stack([drawn - 1, drawn], axis=2).reshape(len(lengths), -1)  # (B, 24)
    pairs_stand_for = np.stack([0 * size, size], axis=2).reshape(pairs.shape)
    first = np.broadcast_to(np.arange(FIRST_STEPS), (len(lengths), FIRST_STEPS))
    steps = np.concatenate([first, pairs], axis=1)
    stands_for = np.concatenate([np.ones_like(first), pairs_stand_for], axis=1)
    return steps, np.where(steps < lengths[:, None], stands_for, 0).astype(np.float32)


def _relabel_rows(
    config: MetaDTPlusConfig,
    table: TaskTable,
    transitions: Transitions,
    chosen: Array,
    tasks: Array,
    sources: Array,
) -> Transitions:
    """Rows `chosen` `(B,)` as they would have been in `tasks` `(B,)`; tasks `sources` `(B, 1 or n)` logged them."""
    device = transitions["rewards"].device
    rows = torch.as_tensor(np.flatnonzero(chosen), device=device)
    part = {name: value[rows] for name, value in transitions.items()}  # (rows, n, size)
    steps = part["rewards"].shape[1]
    codes = table.codes(torch.as_tensor(tasks, device=device)[rows])[:, None].expand(-1, steps, -1)
    own = None
    if config.keep_residuals:
        own = table.codes(torch.as_tensor(sources, device=device)[rows]).expand(-1, steps, -1)
    part = table.decoders.relabel(part, codes, own)
    return {name: value.index_copy(0, rows, part[name]) for name, value in transitions.items()}
