"""Training: the ensemble, then an actor-critic on what it imagines."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from metabench import TrainingData, TrainingRun

from ..common.actor_critic.learner import Learner, choose_rate
from ..common.actor_critic.losses import Transitions
from ..common.actor_critic.networks import ActorCritic
from ..common.optimisation import log_at_intervals
from ..common.world_models.ensemble import Ensemble
from ..common.world_models.train import train_ensemble
from .config import MopoConfig, MopoContextConfig
from .imagination import FIELDS, Imagination, Store


@dataclass
class Trained:
    """What training returns."""

    ensemble: Ensemble
    networks: ActorCritic


def make_networks(ensemble: Ensemble, config: MopoConfig | MopoContextConfig) -> ActorCritic:
    """Untrained ones; raises `MethodError` if the backbone cannot take the actions."""
    inputs = ensemble.spaces.observation_dim + 1 + ensemble.code_dim
    return ActorCritic(inputs, ensemble.spaces, config)


def train_policy(
    config: MopoConfig | MopoContextConfig, data: TrainingData, run: TrainingRun
) -> Trained:
    """Train model and policy; the policy is the last one, nothing is selected."""
    run.torch_seed("initialisation")
    ensemble = Ensemble(data.spaces, config)
    networks = make_networks(ensemble, config)
    train_ensemble(ensemble, data, run)
    ensemble.requires_grad_(False)
    learner = Learner(networks.to(run.device), config)
    imagination = Imagination(ensemble, config, data.fitting.to(run.device))
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
        batch = join_transitions(
            real.draw(generator, logged),
            imagined.draw(generator, config.policy_batch - logged),
        )
        rate = choose_rate(config, update, config.policy_updates)
        info = learner.update(batch, update, rate)
        log_at_intervals(run, info, update, config.policy_updates, config.log_interval)
    return Trained(ensemble, networks.eval())


def join_transitions(first: Transitions, second: Transitions) -> Transitions:
    """One batch of two."""
    return Transitions(
        **{name: torch.cat([getattr(first, name), getattr(second, name)]) for name in FIELDS}
    )
