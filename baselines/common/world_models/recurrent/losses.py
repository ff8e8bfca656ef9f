"""Following a sequence with open eyes, and what the model is charged for it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from .latents import balance_divergence
from .network import Carried, RecurrentStateSpace, Tokens, Told
from .symlog import spread_over_bins

Info = dict[str, Tensor]


@dataclass(frozen=True)
class Followed:
    """What a model makes of B sequences of L steps.

    Attributes:
        carried: its states, `(B, L, ...)`.
        posterior: `(B, L, statistics)`.
        last: its state after the last step, `(B, ...)`.
    """

    carried: Carried
    posterior: Tensor
    last: Carried


def follow(model: RecurrentStateSpace, tokens: Tokens, carried: Carried, *, draw: bool) -> Followed:
    """Read `(B, L)` tokens one after another.

    Args:
        model: that reads.
        tokens: what is seen.
        carried: the state before the first, `(B, ...)`.
        draw: stochastic states are drawn, as in training; else they are the most likely ones.
    """
    pick = model.latents.sample if draw else model.latents.choose
    states, latents, said = [], [], []
    embedded = model.embed(tokens)
    for step in range(embedded.shape[1]):
        state = model.carry(carried, tokens.actions[:, step], tokens.first[:, step])
        posterior = model.infer(state, embedded[:, step])
        carried = Carried(state, pick(posterior))
        states.append(state)
        latents.append(carried.latent)
        said.append(posterior)
    return Followed(
        Carried(torch.stack(states, 1), torch.stack(latents, 1)), torch.stack(said, 1), carried
    )


def compute_loss(
    model: RecurrentStateSpace, tokens: Tokens, carried: Carried
) -> tuple[Tensor, Info, Followed]:
    """Errors of what is told, and the balanced divergence of posterior from prior (PlaNet eq. 3; DreamerV3 eq. 4, 5).

    Args:
        model: that is trained.
        tokens: `(B, L)` steps.
        carried: its state in each stream before them.

    Returns:
        The loss, what to log, and what the model made of the steps.
    """
    config = model.config
    followed = follow(model, tokens, carried, draw=True)
    told = model.tell(followed.carried.state, followed.carried.latent)
    observed, rewarded, ended = measure_told_losses(model, told, tokens)
    states, posterior = followed.carried.state.flatten(0, 1), followed.posterior.flatten(0, 1)
    prior = model.foresee(states)  # (heads, B * L, statistics)
    divergence, plain = balance_divergence(
        model.latents, posterior.expand(len(prior), -1, -1), prior, config
    )
    loss = config.observation_weight * observed + config.reward_weight * rewarded + ended
    loss = loss + divergence.mean()
    info = {
        "loss": loss.detach(),
        "observation_loss": observed.detach(),
        "reward_loss": rewarded.detach(),
        "divergence": plain.mean(),
    }
    return loss, info, followed


def measure_told_losses(
    model: RecurrentStateSpace, told: Told, tokens: Tokens
) -> tuple[Tensor, Tensor, Tensor]:
    """Half squared errors of observations summed over coordinates, errors of rewards, cross-entropies of ends; means.

    An episode's first step has neither reward nor end.
    """
    scales = model.scales
    # In units of one-step changes: what moves little from step to step is told as finely as it moves.
    fine = scales.get_buffer("spread") / scales.get_buffer("change")
    apart = (told.observations - model.scale(tokens.observations)) * fine
    observed = 0.5 * apart.square().sum(-1).mean()
    shown = (~tokens.first).to(apart.dtype)
    total = shown.sum().clamp(min=1.0)
    wanted = model.scale_rewards(tokens.rewards)
    if model.config.two_hot:
        weights = spread_over_bins(wanted, model.get_buffer("bins"))
        missed = -(weights * told.rewards.log_softmax(-1)).sum(-1)
    else:
        missed = 0.5 * (told.rewards[..., 0] - wanted).square()
    crossed = functional.binary_cross_entropy_with_logits(told.ends, tokens.ends, reduction="none")
    return observed, (missed * shown).sum() / total, (crossed * shown).sum() / total
