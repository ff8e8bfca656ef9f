"""Training, stage by stage: first the world model, then, with it frozen, the policy.

World model: the observation model alone, the dynamics on its frozen encodings, both together. Policy: a behaviour
policy cloned from logged actions, actor and critic on logged sequences, actor and critic in imagination. A stage is a
function with one loop; each draws its randomness from the run by its own name and the number of the update.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from metabench import TrainingRun

from ...common.optimisation import descend
from ..actor_critic import ActorCritic
from ..config import TWMConfig
from ..model.world_model import WorldModel
from .batches import BatchSource
from .gradient_steps import (
    PolicyOptimizers,
    follow_actor,
    make_adam,
    update_in_imagination,
    update_on_logged,
    update_world_model,
)
from .losses import behaviour_loss


def train_world_model(
    config: TWMConfig, model: WorldModel, source: BatchSource, run: TrainingRun
) -> None:
    """Fit the observation model, then the dynamics on frozen encodings, then both together; freeze them."""
    model.train()
    observation = make_adam(config, model.observation, config.observation_learning_rate)
    dynamics = make_adam(config, model.dynamics, config.dynamics_learning_rate)
    train_observation_model(config, model, observation, source, run)
    train_dynamics(config, model, dynamics, source, run)
    train_jointly(config, model, dynamics, observation, source, run)
    model.requires_grad_(False).eval()


def train_observation_model(
    config: TWMConfig,
    model: WorldModel,
    optimizer: torch.optim.Adam,
    source: BatchSource,
    run: TrainingRun,
) -> None:
    """Encoder and decoder on single transitions."""
    stage, updates = "observation-model", config.observation_updates
    for update in run.steps(stage, updates, model=model.observation, optimizer=optimizer):
        # The schedule goes on in the joint stage, so that the step size does not jump between the two.
        set_step_size(
            config,
            optimizer,
            config.observation_learning_rate,
            update,
            updates + config.joint_updates,
        )
        batch = source.transitions(run.generator(stage, update), config.observation_batch)
        loss, info = model.observation_loss(batch.next_observations)
        descend(optimizer, loss, clip=config.model_clip)
        _log(config, run, update, updates, info)


def train_dynamics(
    config: TWMConfig,
    model: WorldModel,
    optimizer: torch.optim.Adam,
    source: BatchSource,
    run: TrainingRun,
) -> None:
    """The dynamics on windows and their support, as the observation model encodes them now."""
    stage, updates, sampler = "dynamics", config.dynamics_updates, source.sampler
    for update in run.steps(
        stage, updates, model=model.dynamics, optimizer=optimizer, sampler=sampler
    ):
        set_step_size(
            config, optimizer, config.dynamics_learning_rate, update, updates + config.joint_updates
        )
        batch = source.draw(run.generator(stage, update))
        info = update_world_model(model, batch, optimizer, None)
        _log(config, run, update, updates, info)


def train_jointly(
    config: TWMConfig,
    model: WorldModel,
    dynamics: torch.optim.Adam,
    observation: torch.optim.Adam,
    source: BatchSource,
    run: TrainingRun,
) -> None:
    """Both at once, with the consistency loss; their schedules go on where the stages before left them."""
    stage, updates = "joint", config.joint_updates
    parts: dict[str, Any] = {
        "model": model,
        "dynamics": dynamics,
        "observation": observation,
        "sampler": source.sampler,
    }
    for update in run.steps(stage, updates, **parts):
        for optimizer, rate, before in (
            (observation, config.observation_learning_rate, config.observation_updates),
            (dynamics, config.dynamics_learning_rate, config.dynamics_updates),
        ):
            set_step_size(config, optimizer, rate, before + update, before + updates)
        batch = source.draw(run.generator(stage, update))
        info = update_world_model(model, batch, dynamics, observation)
        _log(config, run, update, updates, info)


def train_policy(
    config: TWMConfig, model: WorldModel, policy: ActorCritic, source: BatchSource, run: TrainingRun
) -> None:
    """Learn the behaviour policy, then actor and critic on logged sequences and in imagination; freeze them."""
    if policy.behaviour is not None:
        train_behaviour_policy(config, model, policy, source, run)
    optimizers = PolicyOptimizers.make(config, policy)
    pretrain_policy(config, model, policy, optimizers, source, run)
    train_in_imagination(config, model, policy, optimizers, source, run)
    policy.requires_grad_(False).eval()


def train_behaviour_policy(
    config: TWMConfig, model: WorldModel, policy: ActorCritic, source: BatchSource, run: TrainingRun
) -> None:
    """Clone logged actions from latents alone: what the actor begins from and is held to."""
    assert policy.behaviour is not None
    stage, updates = "behaviour-policy", config.behaviour_updates
    optimizer = make_adam(config, policy.behaviour, config.behaviour_learning_rate)
    for update in run.steps(stage, updates, policy=policy.behaviour, optimizer=optimizer):
        batch = source.transitions(run.generator(stage, update), config.behaviour_batch)
        loss, info = behaviour_loss(model, policy, batch)
        descend(optimizer, loss, clip=config.policy_clip)
        _log(config, run, update, updates, info)


def pretrain_policy(
    config: TWMConfig,
    model: WorldModel,
    policy: ActorCritic,
    optimizers: PolicyOptimizers,
    source: BatchSource,
    run: TrainingRun,
) -> None:
    """Actor and critic on logged sequences."""
    stage, updates = "policy-pretraining", config.pretraining_updates
    parts: dict[str, Any] = {
        "policy": policy,
        "actor": optimizers.actor,
        "critic": optimizers.critic,
        "sampler": source.sampler,
    }
    for update in run.steps(stage, updates, **parts):
        batch = source.draw(run.generator(stage, update))
        info = update_on_logged(config, model, policy, optimizers, batch)
        _log(config, run, update, updates, info)


def train_in_imagination(
    config: TWMConfig,
    model: WorldModel,
    policy: ActorCritic,
    optimizers: PolicyOptimizers,
    source: BatchSource,
    run: TrainingRun,
) -> None:
    """Actor and critic in imagination; if configured, a running average of the actor takes its place in the end."""
    stage, updates = "policy", config.policy_updates
    parts: dict[str, Any] = {
        "policy": policy,
        "actor": optimizers.actor,
        "critic": optimizers.critic,
        "sampler": source.sampler,
    }
    average = None
    if config.actor_average:
        # From one update to the next the actor's score jumps by tens of points; its average's does not.
        average = copy.deepcopy(policy.actor).requires_grad_(False)
        parts["average"] = average
    for update in run.steps(stage, updates, **parts):
        batch = source.draw(run.generator(stage, update))
        info = update_in_imagination(config, model, policy, optimizers, batch)
        if average is not None:
            follow_actor(average, policy.actor, config.actor_average)
        _log(config, run, update, updates, info)
    if average is not None:
        policy.actor.load_state_dict(average.state_dict())


def set_step_size(
    config: TWMConfig, optimizer: torch.optim.Optimizer, rate: float, update: int, updates: int
) -> None:
    """Set the step size of the `update`-th of `updates` updates, which is `rate` for the first."""
    if config.model_schedule == "linear":
        rate *= 1.0 - (update - 1) / updates
    for group in optimizer.param_groups:
        group["lr"] = rate


def _log(
    config: TWMConfig, run: TrainingRun, update: int, updates: int, info: Mapping[str, Tensor]
) -> None:
    if update % config.log_interval == 0 or update == updates:
        run.log(**{name: float(value.detach()) for name, value in info.items()})
