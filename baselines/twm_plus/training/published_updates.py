"""The published updates: on sequences that run on past the ends of episodes, whose first step is context only."""

from __future__ import annotations

from dataclasses import fields

import torch
from torch import Tensor

from ...common.optimisation import descend
from ..actor_critic import ActorCritic
from ..config import TWMConfig
from ..model.dynamics import HeadPrediction
from ..model.world_model import Encoded, Sequences, WorldModel
from .batches import WindowBatch
from .gradient_steps import PolicyOptimizers
from .imagined_rollouts import choose_starts, read_context
from .losses import PolicyTrajectories, critic_loss, estimate_values


def update_on_sequences(
    model: WorldModel,
    windows: Sequences,
    dynamics: torch.optim.Optimizer,
    observation: torch.optim.Optimizer | None,
) -> dict[str, Tensor]:
    """Update the dynamics and then, if its optimiser is given, the observation model; returns what is logged.

    The first step of a window is context: it has no loss, but what it predicts serves the consistency of the next
    observation. That after the last step is predicted, but not decoded.
    """
    encoded = model.encode(windows, sample=True)
    prediction = model.dynamics.predict(
        model.dynamics.read_at_actions(encoded.tokens, windows.episodes)
    )
    counted = Encoded(
        encoded.logits[:, 1:],
        encoded.latents[:, 1:],
        encoded.tokens,
        _take_steps(windows, slice(1, None)),
        encoded.rewards[:, 1:],
    )
    later = HeadPrediction(
        prediction.latent_logits[:, :, 1:].flatten(1, 2),
        prediction.reward[:, 1:].flatten(),
        prediction.discount_logit[:, 1:].flatten(),
    )
    loss, info = model.prediction_loss(later, [counted])
    descend(dynamics, loss, clip=model.config.model_clip)
    if observation is not None:
        before = _take_steps(windows, slice(None, -1))
        earlier = HeadPrediction(
            prediction.latent_logits[:, :, :-1],
            prediction.reward[:, :-1],
            prediction.discount_logit[:, :-1],
        )
        loss, more = model.joint_observation_loss(before, earlier)
        descend(observation, loss, clip=model.config.model_clip)
        info |= more
    return info


def update_policy_on_sequences(
    config: TWMConfig,
    model: WorldModel,
    policy: ActorCritic,
    optimizers: PolicyOptimizers,
    windows: Sequences,
) -> dict[str, Tensor]:
    """On real sequences the critic regresses GAE returns, the actor grows more random; returns what is logged.

    A continuous actor's entropy is that of the action within its bounds, estimated from samples: that before the bounds
    grows without end, until the squashed action is never anything but a bound.
    """
    if policy.reads_hidden:
        context = read_context(model, windows, None, sample=True)
        latents, hidden = context.encoded.latents, context.hidden
    else:  # the transformer need not run
        with torch.no_grad():
            latents = hidden = model.latents.sample(
                model.observation.encode(model.observation.scale(windows.observations))
            )
    rewards = model.transform_rewards(windows.rewards)
    steps = PolicyTrajectories(
        features=policy.make_features(latents, hidden).transpose(0, 1),
        actions=windows.actions.transpose(0, 1),
        rewards=rewards.T,
        discounts=(config.discount * (~windows.ended)).T,
        cut=windows.ended.T,
        weights=torch.ones_like(rewards.T),
    )
    values, advantages = estimate_values(config, policy, steps)
    value_loss, info = critic_loss(policy, steps, values, advantages)
    descend(optimizers.critic, value_loss, clip=config.policy_clip)
    features = steps.features[:-1]
    if policy.discrete:
        _, entropy = policy.likelihood(features, steps.actions)
    else:
        _, raw = policy.act(features, policy.draw_noise(tuple(features.shape[:-1])))
        entropy = -policy.likelihood(features, raw)[0] / policy.coordinates
    descend(
        optimizers.actor, -config.actor_entropy_weight * entropy.mean(), clip=config.policy_clip
    )
    return info | {"actor_entropy": entropy.mean()}


def pair_steps(windows: Sequences, count: int) -> WindowBatch:
    """`count` pairs of steps that follow each other in a window; imagination begins at the second of each.

    So it knows one real transition: the paper's.
    """
    pairs = torch.ones_like(windows.ended[:, 1:])
    rows, first = choose_starts(pairs, count)
    parts = {}
    for field in fields(windows):
        tensor: Tensor = getattr(windows, field.name)
        length = 3 if field.name == "observations" else 2
        parts[field.name] = tensor[
            rows[:, None], first[:, None] + torch.arange(length, device=tensor.device)
        ]
    startable = torch.zeros_like(parts["ended"])
    startable[:, 1] = True
    return WindowBatch(Sequences(**parts), None, startable)


def _take_steps(windows: Sequences, steps: slice) -> Sequences:
    """The windows without their first or last step."""
    return Sequences(
        **{field.name: getattr(windows, field.name)[:, steps] for field in fields(windows)}
    )
