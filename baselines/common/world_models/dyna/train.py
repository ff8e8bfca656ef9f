"""Training: the ensemble, then an actor-critic on what it imagines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from metabench import TrainingData, TrainingRun

from ...actor_critic.learner import Learner, choose_rate
from ...actor_critic.losses import Info, Transitions
from ...actor_critic.networks import ActorCritic
from ...optimisation import log_at_intervals
from ..ensemble import Ensemble
from ..train import train_ensemble
from .config import DynaConfig, DynaContextConfig
from .imagination import FIELDS, Augmentation, Imagination, Store

CriticLoss: TypeAlias = Callable[[ActorCritic, Transitions, Transitions], tuple[Tensor, Info]]
"""Of networks, logged and imagined transitions: what is added to the critics' loss, and what to log."""


@dataclass
class Trained:
    """What training returns."""

    ensemble: Ensemble
    networks: ActorCritic


def make_networks(
    ensemble: Ensemble, config: DynaConfig | DynaContextConfig, told: int
) -> ActorCritic:
    """Untrained ones that are told `told` numbers of the task; raises `MethodError` if the backbone cannot act."""
    return ActorCritic(ensemble.spaces.observation_dim + 1 + told, ensemble.spaces, config)


def train_policy(
    config: DynaConfig | DynaContextConfig,
    data: TrainingData,
    run: TrainingRun,
    *,
    augment: Callable[[Ensemble], Augmentation] | None = None,
    told: int | None = None,
    beside: CriticLoss | None = None,
) -> Trained:
    """Train model and policy; the policy is the last one, nothing is selected.

    Args:
        config: of both.
        data: of the training tasks.
        run: the training.
        augment: makes the augmentation of branches in the trained ensemble; None leaves them as they are.
        told: how many numbers that augmentation tells; None: the ensemble's codes are told.
        beside: a loss of the critics beside their own.
    """
    run.torch_seed("initialisation")
    ensemble = Ensemble(data.spaces, config)
    networks = make_networks(ensemble, config, ensemble.code_dim if told is None else told)
    train_ensemble(ensemble, data, run)
    ensemble.requires_grad_(False)
    learner = Learner(networks.to(run.device), config)
    augmentation = None if augment is None else augment(ensemble)
    imagination = Imagination(ensemble, config, data.fitting.to(run.device), augmentation)
    real, imagined = Store(config.rounds_kept), Store(config.rounds_kept)
    logged = round(config.real_share * config.policy_batch)
    for update in run.steps(
        "policy", config.policy_updates, learner=learner, real=real, imagined=imagined
    ):
        if (update - 1) % config.imagine_every == 0:
            for store, found in zip(
                (real, imagined), imagination.imagine(networks, run, update), strict=True
            ):
                store.add(found)
        generator = run.generator("transitions", update)
        first = real.draw(generator, logged)
        second = imagined.draw(generator, config.policy_batch - logged)
        loss, more = (None, {}) if beside is None else beside(networks, first, second)
        rate = choose_rate(config, update, config.policy_updates)
        info = learner.update(join_transitions(first, second), update, rate, loss)
        log_at_intervals(run, info | more, update, config.policy_updates, config.log_interval)
    return Trained(ensemble, networks.eval())


def join_transitions(first: Transitions, second: Transitions) -> Transitions:
    """One batch of two."""
    return Transitions(
        **{name: torch.cat([getattr(first, name), getattr(second, name)]) for name in FIELDS}
    )
