"""Training: the model, then an actor-critic on what it imagines."""

from __future__ import annotations

from dataclasses import dataclass

from metabench import TrainingData, TrainingRun

from ..common.actor_critic.learner import Learner, choose_rate
from ..common.actor_critic.networks import ActorCritic
from ..common.optimisation import log_at_intervals
from ..common.world_models.dyna.imagination import Store
from ..common.world_models.dyna.train import join_transitions
from ..common.world_models.recurrent.network import RecurrentStateSpace
from ..common.world_models.recurrent.train import train_recurrent
from .config import DreamerConfig
from .imagination import Imagination


@dataclass
class Trained:
    """What training returns."""

    network: RecurrentStateSpace
    networks: ActorCritic


def make_networks(network: RecurrentStateSpace, config: DreamerConfig) -> ActorCritic:
    """Untrained ones; raises `MethodError` if the backbone cannot take the actions."""
    return ActorCritic(config.state_dim + network.latents.size, network.spaces, config)


def train_policy(config: DreamerConfig, data: TrainingData, run: TrainingRun) -> Trained:
    """Train model and policy; the policy is the last one, nothing is selected."""
    run.torch_seed("initialisation")
    network = RecurrentStateSpace(data.spaces, config)
    networks = make_networks(network, config)
    train_recurrent(network, data, run)
    network.to(run.device)
    learner = Learner(networks.to(run.device), config)
    imagination = Imagination(network, config, data.fitting)
    real, imagined = Store(config.rounds_kept), Store(config.rounds_kept)
    logged = round(config.real_share * config.policy_batch)
    for update in run.steps(
        "policy",
        config.policy_updates,
        learner=learner,
        streams=imagination.streams,
        real=real,
        imagined=imagined,
    ):
        if (update - 1) % config.imagine_every == 0:
            for store, found in zip(
                (real, imagined), imagination.imagine(networks, run, update), strict=True
            ):
                store.add(found)
        generator = run.generator("transitions", update)
        batch = join_transitions(
            real.draw(generator, logged), imagined.draw(generator, config.policy_batch - logged)
        )
        rate = choose_rate(config, update, config.policy_updates)
        info = learner.update(batch, update, rate)
        log_at_intervals(run, info, update, config.policy_updates, config.log_interval)
    return Trained(network, networks.eval())
