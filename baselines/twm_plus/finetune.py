"""Fine-tuning on support: the dynamics' heads on its steps, then actor and critic in imagination from there."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from metabench import Episode, Spaces

from ..common.optimisation import descend
from .actor_critic import ActorCritic
from .config import TWMConfig
from .model.world_model import Encoded, WorldModel
from .support import make_episode_sequences, make_pinned_support
from .training.batches import WindowBatch, find_startable_steps
from .training.gradient_steps import PolicyOptimizers, update_in_imagination

LARGEST = 16
"""Windows of support that are used, evenly spread: an adaptation must end in seconds."""


def fine_tune(
    config: TWMConfig,
    model: WorldModel,
    actor_critic: ActorCritic,
    episodes: Sequence[Episode],
    spaces: Spaces,
    device: Any,
) -> ActorCritic:
    """A copy of `actor_critic` for the task of `episodes`; `model` and `actor_critic` stay as they are.

    The transformer is not changed, so that all lanes can share it. The budget is a fixed number of updates. All
    randomness is of a fixed seed: the result depends on the episodes only.
    """
    batch = make_support_batch(config, episodes, spaces, device)
    tuned_model, tuned = copy.deepcopy(model), copy.deepcopy(actor_critic).requires_grad_(True)
    heads = torch.nn.ModuleList(
        [
            tuned_model.dynamics.latent_heads,
            tuned_model.dynamics.reward_head,
            tuned_model.dynamics.discount_head,
        ]
    ).requires_grad_(True)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(0)
        windows = tuned_model.encode(batch.windows, sample=False)
        hidden = read_outputs(tuned_model, batch, windows).flatten(0, 1)
        optimizer = torch.optim.Adam(heads.parameters(), lr=config.finetune_learning_rate, eps=1e-5)
        for _ in range(config.finetune_model_updates):
            loss, _ = tuned_model.prediction_loss(tuned_model.dynamics.predict(hidden), [windows])
            descend(optimizer, loss, clip=config.model_clip)
        optimizers = PolicyOptimizers.make(config, tuned, config.finetune_learning_rate)
        for _ in range(config.finetune_policy_updates):
            update_in_imagination(config, tuned_model, tuned, optimizers, batch)
    return tuned.requires_grad_(False)


@torch.no_grad()
def read_outputs(model: WorldModel, batch: WindowBatch, windows: Encoded) -> Tensor:
    """Outputs at the windows' action tokens, `(B, T, width)`, which the heads' updates do not change."""
    pinned = None
    if batch.support is not None:
        _, pinned = model.pin(batch.support, model.encode(batch.support.segments, sample=False))
    return model.dynamics.read_at_actions(windows.tokens, batch.windows.episodes, pinned)


def make_support_batch(
    config: TWMConfig, episodes: Sequence[Episode], spaces: Spaces, device: Any
) -> WindowBatch:
    """Windows that cover the episodes one after another, at most `LARGEST` of them, and their pinned segments."""
    places = [
        (episode, start, min(len(episode), start + config.window))
        for episode in episodes
        for start in range(0, len(episode), config.window)
    ]
    places = places[:: -(-len(places) // LARGEST)]
    owners, starts, stops = (list(part) for part in zip(*places, strict=True))
    windows = make_episode_sequences(owners, starts, stops, spaces, device)
    passed = (windows.episodes >= 0).cumsum(dim=1) - 1
    timesteps = torch.as_tensor(starts, device=passed.device)[:, None] + passed
    startable = find_startable_steps(windows, timesteps, config, spaces)
    support = (
        make_pinned_support([episodes] * len(places), config, spaces, device, shared=True)
        if config.segments
        else None
    )
    return WindowBatch(windows, support, startable)
