"""Training: observation model, dynamics, both; then actor and critic on logged sequences and in imagination."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from metabench import TrainingRun, Windows

from ..common.optimisation import descend
from .actor_critic import LAST_REWARDS, ActorCritic, Trajectories, actor_loss, criticise, mean_divergence
from .batches import Batch, BatchSource
from .config import TWMConfig
from .imagination import Context, choose_starts, imagine, read_context, start_at
from .model.world_model import WorldModel

LARGEST_EXPONENT = 3.0
"""Bounds the weight of a single cloned action."""


def adam(config: TWMConfig, module: nn.Module, learning_rate: float) -> torch.optim.Adam:
    """Adam as all parts use it: L2 penalty, epsilon 1e-5."""
    return torch.optim.Adam(module.parameters(), lr=learning_rate, eps=1e-5, weight_decay=config.weight_decay)


def train_world_model(config: TWMConfig, model: WorldModel, source: BatchSource, run: TrainingRun) -> None:
    """Fit the observation model, then the dynamics on frozen encodings, then both together."""
    model.train()
    observation = adam(config, model.observation, config.observation_learning_rate)
    observation_total = config.observation_updates + config.joint_updates
    steps = run.steps("observation-model", config.observation_updates, model=model.observation, optimizer=observation)
    for update in steps:
        slow_down(observation, config.observation_learning_rate, update, observation_total, config)
        batch = source.transitions(run.generator("observation-model", update), config.observation_batch)
        loss, losses = model.observation_loss(batch.next_observations)
        descend(observation, loss, clip=config.model_clip)
        _log(config, run, update, config.observation_updates, losses)

    dynamics = adam(config, model.dynamics, config.dynamics_learning_rate)
    dynamics_total = config.dynamics_updates + config.joint_updates
    sampler = source.sampler
    steps = run.steps("dynamics", config.dynamics_updates, model=model.dynamics, optimizer=dynamics, sampler=sampler)
    for update in steps:
        slow_down(dynamics, config.dynamics_learning_rate, update, dynamics_total, config)
        losses = update_model(model, source.draw(run.generator("dynamics", update)), dynamics, None)
        _log(config, run, update, config.dynamics_updates, losses)

    steps = run.steps(
        "joint", config.joint_updates, model=model, dynamics=dynamics, observation=observation, sampler=sampler
    )
    for update in steps:
        left = config.joint_updates - update
        slow_down(observation, config.observation_learning_rate, observation_total - left, observation_total, config)
        slow_down(dynamics, config.dynamics_learning_rate, dynamics_total - left, dynamics_total, config)
        losses = update_model(model, source.draw(run.generator("joint", update)), dynamics, observation)
        _log(config, run, update, config.joint_updates, losses)
    model.requires_grad_(False).eval()


def slow_down(optimizer: torch.optim.Optimizer, rate: float, update: int, total: int, config: TWMConfig) -> None:
    """Set the step size of the `update`-th of `total` updates, which is `rate` for the first."""
    if config.model_schedule == "linear":
        rate *= 1.0 - (update - 1) / total
    for group in optimizer.param_groups:
        group["lr"] = rate


def update_model(
    model: WorldModel, batch: Batch, dynamics: torch.optim.Optimizer, observation: torch.optim.Optimizer | None
) -> dict[str, Tensor]:
    """Update the dynamics and, if its optimiser is given, the observation model; returns the losses."""
    windows = model.encode(batch.windows, sample=True)
    segments = None if batch.support is None else model.encode(batch.support.segments, sample=True)
    loss, losses, prediction = model.dynamics_loss(windows, batch.support, segments, batch.reward_map)
    descend(dynamics, loss, clip=model.config.model_clip)
    if observation is not None:
        loss, more = model.joint_observation_loss(batch.windows, prediction)
        descend(observation, loss, clip=model.config.model_clip)
        losses |= more
    return losses


class PolicyTrainer:
    """Actor and critic with their optimisers, and updates of both kinds."""

    def __init__(self, config: TWMConfig, model: WorldModel, policy: ActorCritic, rate: float | None = None) -> None:
        """Learn `policy` from `model`, which stays as it is; `rate` replaces the configured learning rates."""
        self._config, self._model, self._policy = config, model, policy
        self.actor = adam(config, policy.actor, rate or config.actor_learning_rate)
        self.critic = adam(config, policy.critic, rate or config.critic_learning_rate)
        self.average: nn.Module | None = None

    def start_average(self) -> nn.Module:
        """From now on, follow the actor with a running average of its weights, which is returned."""
        self.average = copy.deepcopy(self._policy.actor).requires_grad_(False)
        return self.average

    def pretrain(self, batch: Batch) -> dict[str, Tensor]:
        """On logged sequences: the critic regresses GAE returns, the actor clones the logged actions.

        Where there is a behaviour policy the actor takes after that, whatever the history says.
        """
        context = read_context(self._model, batch.windows, batch.support, sample=True)
        steps = logged_trajectories(self._policy, context)
        policy = self._policy
        advantages, value_loss = criticise(self._config, policy, steps)
        descend(self.critic, value_loss, clip=self._config.policy_clip)
        if policy.behaviour is None:
            cloning = self._clone(steps, advantages)
        else:
            cloning = mean_divergence(policy, steps, policy.divergence(steps.features[:-1]))
        descend(self.actor, cloning, clip=self._config.policy_clip)
        return {"critic": value_loss, "anchor": cloning}

    def imagine(self, batch: Batch, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """In imagination from steps of `batch`; the actor stays near the data if configured."""
        config, policy = self._config, self._policy
        context = read_context(self._model, batch.windows, batch.support, sample=True)
        groups = 1 if context.pinned is None else context.pinned.groups
        rows, steps = choose_starts(batch.startable, config.starts, groups, generator)
        start = start_at(self._model, context, rows, steps, config.horizon)
        rollouts = imagine(config, self._model, policy, start, config.horizon, generator)
        logged = logged_trajectories(policy, context)
        advantages, value_loss = criticise(config, policy, rollouts.steps)
        logged_advantages, real_loss = criticise(config, policy, logged)
        descend(self.critic, value_loss + real_loss if config.critic_on_logged else value_loss, clip=config.policy_clip)
        loss, losses = actor_loss(config, policy, rollouts.steps, advantages)
        if config.anchor_weight and policy.behaviour is None:
            losses["anchor"] = self._clone(logged, logged_advantages)
            loss = loss + config.anchor_weight * losses["anchor"]
        descend(self.actor, loss, clip=config.policy_clip)
        if self.average is not None:
            for kept, now in zip(self.average.parameters(), policy.actor.parameters(), strict=True):
                kept.lerp_(now.detach(), 1.0 - config.actor_average)
        return losses | {
            "critic": value_loss,
            "imagined_reward": rollouts.rewards.mean(),
            "disagreement": rollouts.disagreement.mean(),
        }

    def _clone(self, steps: Trajectories, advantages: Tensor) -> Tensor:
        """Mean negative log-likelihood of the logged actions, a coordinate, weighted by how good they turned out."""
        likelihood, _ = self._policy.likelihood(steps.features[:-1], steps.actions)
        weights = steps.weights
        if self._config.anchor_selectivity:
            real = weights > 0
            deviation = advantages[real].std() + 1e-6
            exponent = self._config.anchor_selectivity * (advantages - advantages[real].mean()) / deviation
            weights = weights * exponent.clamp(max=LARGEST_EXPONENT).exp()
        return -(likelihood * weights).sum() / weights.sum() / self._policy.coordinates


def logged_trajectories(policy: ActorCritic, context: Context) -> Trajectories:
    """Real windows as trajectories; padding has no weight.

    An episode that the horizon cut goes on for ever with the mean of its last rewards: the critic never learns of what
    comes after the horizon, and must not be asked for it.
    """
    encoded = context.encoded
    steps = encoded.steps
    real = (steps.episodes >= 0).float()
    rewards = encoded.rewards * real
    counted = real[:, -LAST_REWARDS:].sum(dim=1, keepdim=True).clamp(min=1.0)
    after = rewards[:, -LAST_REWARDS:].sum(dim=1, keepdim=True) / counted * (policy.discount / (1.0 - policy.discount))
    cut = steps.ended & ~steps.terminated
    return Trajectories(
        features=policy.features(encoded.latents, context.hidden).transpose(0, 1),
        actions=policy.raw_actions(steps.actions).transpose(0, 1),
        rewards=torch.where(cut, rewards + after, rewards).T,
        discounts=(policy.discount * (~steps.ended)).T,
        cut=steps.ended.T,
        weights=real.T,
    )


def behaviour_loss(model: WorldModel, policy: ActorCritic, batch: Windows) -> Tensor:
    """Mean negative log-likelihood of logged actions under the behaviour policy, which sees sampled latents alone."""
    with torch.no_grad():
        logits = model.observation.encode(model.observation.scaled(batch.observations))
        latents = model.latents.sample(logits)
    return -policy.behaviour_likelihood(latents, policy.raw_actions(batch.actions)).mean()


def train_policy(
    config: TWMConfig, model: WorldModel, policy: ActorCritic, source: BatchSource, run: TrainingRun
) -> None:
    """Learn actor and critic with the world model frozen."""
    if policy.behaviour is not None:
        optimizer = adam(config, policy.behaviour, config.behaviour_learning_rate)
        steps = run.steps("behaviour-policy", config.behaviour_updates, policy=policy.behaviour, optimizer=optimizer)
        for update in steps:
            batch = source.transitions(run.generator("behaviour-policy", update), config.behaviour_batch)
            loss = behaviour_loss(model, policy, batch)
            descend(optimizer, loss, clip=config.policy_clip)
            _log(config, run, update, config.behaviour_updates, {"behaviour": loss})
    trainer = PolicyTrainer(config, model, policy)
    parts: dict[str, Any] = {
        "policy": policy,
        "actor": trainer.actor,
        "critic": trainer.critic,
        "sampler": source.sampler,
    }
    for update in run.steps("policy-pretraining", config.pretraining_updates, **parts):
        losses = trainer.pretrain(source.draw(run.generator("policy-pretraining", update)))
        _log(config, run, update, config.pretraining_updates, losses)
    if config.actor_average:
        parts["average"] = trainer.start_average()
    for update in run.steps("policy", config.policy_updates, **parts):
        losses = trainer.imagine(source.draw(run.generator("policy", update)))
        _log(config, run, update, config.policy_updates, losses)
    if trainer.average is not None:
        policy.actor.load_state_dict(trainer.average.state_dict())
    policy.requires_grad_(False).eval()


def _log(config: TWMConfig, run: TrainingRun, update: int, total: int, losses: Mapping[str, Tensor]) -> None:
    if update % config.log_interval == 0 or update == total:
        run.log(**{name: float(loss.detach()) for name, loss in losses.items()})
