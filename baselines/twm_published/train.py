"""The published schedule without its environment: pretraining in three stages, then updates of everything.

A stage is a function with one loop; each draws its randomness from the run by its own name and the update's number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from metabench import Spaces, TrainingData, TrainingRun

from ..common.optimisation import descend
from ..twm_plus.actor_critic import ActorCritic
from ..twm_plus.config import TWMConfig
from ..twm_plus.model.world_model import WorldModel
from ..twm_plus.training.gradient_steps import PolicyOptimizers, make_adam, update_in_imagination
from ..twm_plus.training.published_updates import (
    pair_steps,
    update_on_sequences,
    update_policy_on_sequences,
)
from .config import TWMPublishedConfig
from .sequences import LoggedSteps


@dataclass(frozen=True)
class Learner:
    """What learns, the steps that it learns from, and the four optimisers.

    Attributes:
        config: sizes, losses and budget.
        shared: the same as networks and updates take it.
        model: the world model.
        policy: actor and critic.
        steps: the logged steps.
        observation: optimises the observation model.
        dynamics: optimises the dynamics.
        policy_optimizers: optimise actor and critic.
    """

    config: TWMPublishedConfig
    shared: TWMConfig
    model: WorldModel
    policy: ActorCritic
    steps: LoggedSteps
    observation: torch.optim.Adam
    dynamics: torch.optim.Adam
    policy_optimizers: PolicyOptimizers


def make_learner(
    config: TWMPublishedConfig, data: TrainingData, spaces: Spaces, run: TrainingRun
) -> Learner:
    """Untrained networks that know the scales of `data`; raises `DataError` if rewards overflow or steps are few."""
    run.torch_seed("initialise")
    shared = config.make_shared()
    model, policy = WorldModel(shared, spaces), ActorCritic(shared, spaces)
    model.measure(data)
    model.to(run.device)
    policy.to(run.device)
    return Learner(
        config,
        shared,
        model,
        policy,
        LoggedSteps(config, data, run.device),
        make_adam(shared, model.observation, config.observation_learning_rate),
        make_adam(shared, model.dynamics, config.dynamics_learning_rate),
        PolicyOptimizers.make(shared, policy),
    )


def train_everything(learner: Learner, run: TrainingRun) -> None:
    """All stages, one after another."""
    pretrain_observation_model(learner, run)
    pretrain_dynamics(learner, run)
    pretrain_policy(learner, run)
    update_everything(learner, run)
    learner.model.requires_grad_(False).eval()
    learner.policy.requires_grad_(False).eval()


def pretrain_observation_model(learner: Learner, run: TrainingRun) -> None:
    """Encoder and decoder on single observations, without the consistency loss."""
    stage, total = "observation-model", learner.config.observation_updates
    model, optimizer = learner.model, learner.observation
    for update in run.steps(stage, total, model=model.observation, optimizer=optimizer):
        observations = learner.steps.draw_observations(run.generator(stage, update))
        loss, info = model.observation_loss(observations)
        descend(optimizer, loss, clip=model.config.model_clip)
        _log(learner, run, update, total, info)


def pretrain_dynamics(learner: Learner, run: TrainingRun) -> None:
    """The dynamics on frozen encodings; all sequences are as likely."""
    stage, total = "dynamics", learner.config.dynamics_updates
    model, optimizer = learner.model, learner.dynamics
    for update in run.steps(stage, total, model=model.dynamics, optimizer=optimizer):
        model.train()
        sequences = learner.steps.draw_uniform(run.generator(stage, update))
        info = update_on_sequences(model, sequences, optimizer, None)
        _log(learner, run, update, total, info)


def pretrain_policy(learner: Learner, run: TrainingRun) -> None:
    """The critic learns values of what was logged; the actor grows more random, and clones nothing."""
    stage, total = "policy-pretraining", learner.config.pretraining_updates
    model, policy, optimizers = learner.model, learner.policy, learner.policy_optimizers
    model.eval()
    parts: dict[str, Any] = {
        "policy": policy,
        "actor": optimizers.actor,
        "critic": optimizers.critic,
    }
    for update in run.steps(stage, total, **parts):
        sequences = learner.steps.draw_uniform(run.generator(stage, update))
        info = update_policy_on_sequences(learner.shared, model, policy, optimizers, sequences)
        _log(learner, run, update, total, info)


def update_everything(learner: Learner, run: TrainingRun) -> None:
    """Dynamics, observation model, then critic and actor in imagination from the same sequences, update by update."""
    stage, total = "everything", learner.config.updates
    model, policy, optimizers = learner.model, learner.policy, learner.policy_optimizers
    parts: dict[str, Any] = {
        "model": model,
        "policy": policy,
        "observation": learner.observation,
        "dynamics": learner.dynamics,
        "actor": optimizers.actor,
        "critic": optimizers.critic,
        "starts": learner.steps.starts,
    }
    for update in run.steps(stage, total, **parts):
        sequences = learner.steps.draw_balanced(run.generator(stage, update))
        model.train()
        info = update_on_sequences(model, sequences, learner.dynamics, learner.observation)
        model.eval()  # imagination runs without dropout
        # One real transition, the paper's context; more would be known to the model and not to the actor.
        pairs = pair_steps(sequences, learner.config.starts)
        info |= update_in_imagination(learner.shared, model, policy, optimizers, pairs)
        del info["disagreement"]  # of one head with itself
        real_reward = model.transform_rewards(sequences.rewards).mean()
        _log(learner, run, update, total, info | {"real_reward": real_reward})


def _log(
    learner: Learner, run: TrainingRun, update: int, total: int, info: Mapping[str, Tensor]
) -> None:
    if update % learner.config.log_interval == 0 or update == total:
        run.log(**{name: float(value.detach()) for name, value in info.items()})
