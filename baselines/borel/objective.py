"""The belief's loss: from every prefix of a trajectory all of it must be told."""

from __future__ import annotations

import torch
from torch import Tensor

from ..common.task_inference.encoder import Context
from .config import BorelConfig
from .model import BeliefEncoder, OutcomeDecoder


def belief_loss(
    encoder: BeliefEncoder, decoder: OutcomeDecoder, trajectories: Context, config: BorelConfig
) -> tuple[Tensor, dict[str, Tensor]]:
    """The evidence lower bound of the trajectories given each prefix, with its sign turned, by step (VariBAD, eq. 8).

    Prefixes and decoded steps are drawn at random, both without their sums' expectation changing.

    Args:
        encoder: of prefixes.
        decoder: of steps.
        trajectories: `(B, N)` steps, padded at their ends; weights are 1 at real ones.
        config: how many of each, and the weights.
    """
    beliefs = encoder.read(trajectories)  # (B, N + 1, 2 latent_dim)
    lengths = trajectories.weights.sum(-1, keepdim=True)  # (B, 1)
    prefixes = draw_places(lengths + 1, config.prefixes)  # (B, P)
    decoded = draw_places(lengths, config.decoded)  # (B, D)
    mean, log_variance = _pick(beliefs, prefixes).chunk(2, dim=-1)  # (B, P, latent_dim)
    latent = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
    observations, actions, rewards, changes = (
        _pick(values, decoded)
        for values in (
            trajectories.observations,
            trajectories.actions,
            trajectories.rewards,
            trajectories.changes,
        )
    )
    reward, change = decoder(latent, observations, actions, changes)
    reward_error = (reward - rewards.unsqueeze(1)).square().mean()
    change_error = (change - changes.unsqueeze(1)).square().mean()
    divergence = measure_divergences(beliefs)  # (B, N)
    divergence = (divergence * trajectories.weights).sum() / trajectories.weights.sum()
    # Errors are means over a trajectory's steps; the bound has their sum for each prefix.
    weight = config.belief_divergence_weight / lengths.mean()
    loss = reward_error + config.change_weight * change_error + weight * divergence
    info = {"reward_error": reward_error, "change_error": change_error, "divergence": divergence}
    return loss, {name: value.detach() for name, value in info.items()}


def draw_places(counts: Tensor, number: int) -> Tensor:
    """`(B, number)` whole numbers from 0 to below `(B, 1)` counts, uniform, with replacement."""
    places = (torch.rand(len(counts), number, device=counts.device) * counts).long()
    return torch.minimum(places, counts.long() - 1)


def measure_divergences(beliefs: Tensor) -> Tensor:
    """How far each belief is from the one a step before, `(B, N)`: Gaussian KL divergences of `(B, N + 1, 2 k)`."""
    mean, log_variance = beliefs.chunk(2, dim=-1)
    before, now = log_variance[:, :-1], log_variance[:, 1:]
    moved = (mean[:, 1:] - mean[:, :-1]).square()
    return 0.5 * (before - now - 1 + (now.exp() + moved) * (-before).exp()).sum(-1)


def _pick(values: Tensor, places: Tensor) -> Tensor:
    """Rows `(B, P)` of `(B, N, size)`, as `(B, P, size)`."""
    return values.gather(1, places.unsqueeze(-1).expand(-1, -1, values.shape[-1]))
