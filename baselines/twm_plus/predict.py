"""Predicting open loop: the world model reads what happened, and then imagines under given actions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from metabench import Array, Episode, Prediction, Spaces

from .model.memory import Pinned
from .model.world_model import WorldModel

LANES_AT_ONCE = 256
"""Lanes that are imagined together: that bounds memory."""


@torch.no_grad()
def predict_episodes(
    model: WorldModel,
    spaces: Spaces,
    prefix: Sequence[Episode],
    actions: Array,
    pinned: Pinned | None,
) -> Prediction:
    """Latents are the modes of the heads' mean, rewards and probabilities of ends are means.

    Args:
        model: the model.
        spaces: the suite's.
        prefix: the episode so far of each lane.
        actions: `(lanes, h, ...)`.
        pinned: support of each lane.
    """
    device = model.get_buffer("reward_scale").device
    features = torch.as_tensor(spaces.action_features(actions), device=device)  # (lanes, h, A)
    lanes, steps = actions.shape[:2]
    observations = np.zeros((lanes, steps, spaces.observation_dim), np.float32)
    rewards, ends = np.zeros((lanes, steps), np.float32), np.zeros((lanes, steps), np.float32)
    by_length: dict[int, list[int]] = {}
    for lane, episode in enumerate(prefix):
        by_length.setdefault(len(episode), []).append(lane)
    for members in by_length.values():
        for first in range(0, len(members), LANES_AT_ONCE):
            part = members[first : first + LANES_AT_ONCE]
            support = None if pinned is None else pinned.select(torch.tensor(part, device=device))
            found = _imagine(
                model, spaces, [prefix[lane] for lane in part], features[part], support
            )
            for whole, column in zip((observations, rewards, ends), found, strict=True):
                whole[part] = column.cpu().numpy()
    return Prediction(observations, rewards, ends)


def _imagine(
    model: WorldModel,
    spaces: Spaces,
    prefix: Sequence[Episode],
    actions: Tensor,
    pinned: Pinned | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Observations, rewards and ends of lanes whose prefixes are of one length."""
    dynamics, device = model.dynamics, actions.device
    unread = [_embed_prefixes(model, spaces, prefix, device)]  # (lanes, tokens, width)
    each = dynamics.step_tokens
    memory = dynamics.transformer.empty_memory(
        len(prefix), unread[0].shape[1] + each * actions.shape[1]
    )
    columns: list[tuple[Tensor, Tensor, Tensor]] = []
    for features in actions.unbind(1):
        tokens = torch.cat([*unread, dynamics.embed_actions(features)[:, None]], dim=1)
        episodes = torch.zeros(tokens.shape[:2], dtype=torch.int64, device=device)
        hidden = dynamics.transformer(tokens, episodes, slice(-1, None), memory, pinned)[:, 0]
        said = dynamics.predict(hidden)
        latents = model.latents.mode(model.latents.probabilities(said.latent_logits).mean(dim=0))
        outcome = dynamics.embed_outcomes(said.reward, dynamics.predict_discount(said))
        unread = [torch.stack([*outcome, dynamics.embed_latents(latents)], dim=1)]
        seen = model.observation.decode(latents)
        columns.append(
            (
                seen * model.observation.get_buffer("deviation")
                + model.observation.get_buffer("mean"),
                model.restore_rewards(said.reward),
                1.0 - model.predict_going_on(said),
            )
        )
    observations, rewards, ends = (torch.stack(part, 1) for part in zip(*columns, strict=True))
    return observations, rewards, ends


def _embed_prefixes(
    model: WorldModel, spaces: Spaces, prefix: Sequence[Episode], device: torch.device
) -> Tensor:
    """Tokens of all steps, as acting reads them, and of the latent after them: `(lanes, n, width)`."""
    dynamics = model.dynamics
    arrays: Mapping[str, Array] = {
        "observations": np.stack([episode.observations for episode in prefix]),
        "actions": spaces.action_features(np.stack([episode.actions for episode in prefix])),
        "rewards": np.stack([episode.rewards for episode in prefix]),
    }
    given = {name: torch.as_tensor(array, device=device) for name, array in arrays.items()}
    latents = model.latents.mode(
        model.observation.encode(model.observation.scale(given["observations"]))
    )
    last = dynamics.embed_latents(latents[:, -1:])
    if latents.shape[1] == 1:
        return last
    rewards = model.transform_rewards(given["rewards"])
    discounts = torch.full_like(rewards, model.config.discount)
    steps = dynamics.embed_steps(latents[:, :-1], given["actions"], rewards, discounts)
    return torch.cat([steps, last], dim=1)
