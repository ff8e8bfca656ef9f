"""Training an MDN-RNN: its loss and its loop."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from metabench import TrainingData, TrainingRun

from ...actor_critic.losses import Info
from ...optimisation import cosine_factor, descend
from .networks import MdnRnn
from .sequences import Sequences, draw_sequences

JUDGED = 64
"""Sequences of validation tasks that the model is measured on."""


def train_mdn_rnn(network: MdnRnn, data: TrainingData, run: TrainingRun) -> None:
    """Fit scales and networks on `data.fitting`; a stage `model` of the run. The network is the last one.

    What it misses of validation tasks is logged, and nothing is chosen by it.
    """
    config, fitting = network.config, data.fitting.to(run.device)
    network.scales.fit(data.fitting, config.reach)
    network.to(run.device)
    held_out = draw_sequences(
        data.validation.to(run.device), config, run.generator("held-out"), JUDGED
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate, fused=True)
    for update in run.steps("model", config.updates, network=network, optimizer=optimizer):
        batch = draw_sequences(fitting, config, run.generator("model", update), config.batch)
        loss, info = mixture_loss(network, batch)
        rate = cosine_factor(update, config.updates) if config.learning_rate_decay else 1.0
        descend(
            optimizer,
            loss,
            clip=config.gradient_clip,
            learning_rate=config.learning_rate * rate,
        )
        if update % config.judged_every == 0 or update == config.updates:
            with torch.no_grad():
                _, judged = mixture_loss(network, held_out)
            run.log(
                **{name: value.item() for name, value in info.items()},
                **{f"held_out_{name}": value.item() for name, value in judged.items()},
            )
    network.eval()


def mixture_loss(network: MdnRnn, batch: Sequences) -> tuple[Tensor, Info]:
    """Negative log-likelihoods of changes and rewards, and of ends; means over steps, sums over outcomes.

    Each outcome's is weighed by its own variance to the power `variance_weight`: else what can be known exactly has
    gradients thousands of times those of the rest.

    Returns:
        The loss, and what to log: without the weights the negative log-likelihood of an outcome, and the squared error
        of means.
    """
    scales = network.scales
    outcome = scales.scale_outcome(batch.observations, batch.next_observations, batch.rewards)
    rewards = network.scale_reward(batch.rewards)
    before = torch.cat([torch.zeros_like(rewards[:1]), rewards[:-1]])
    hidden, _ = network.read(batch.observations, batch.actions, before, batch.fresh)
    mixture, ends = network.say(hidden)
    surprise = -mixture.measure_density(outcome)  # (T, B, D)
    weight = mixture.find_variance().detach() ** network.config.variance_weight
    ended = functional.binary_cross_entropy_with_logits(ends, batch.ends)
    loss = (surprise * weight).mean((0, 1)).sum() + ended
    error = (mixture.find_mean() - outcome).square()
    return loss, {
        "loss": loss.detach(),
        "surprise": surprise.detach().mean(),
        "error": error.detach().mean(),
        "reward_error": error[..., -1].detach().mean(),
    }
