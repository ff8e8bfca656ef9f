"""Three stages: a model of rewards, beliefs, then actor and critics on observation and belief."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from metabench import TrainingData, TrainingRun

from ..common.actor_critic.learner import Learner, choose_rate
from ..common.actor_critic.networks import ActorCritic
from ..common.optimisation import descend, log_at_intervals
from ..common.task_inference.encoder import Scales
from ..common.training_tasks import choose_training_tasks
from .config import BorelConfig
from .model import BeliefEncoder, OutcomeDecoder, RewardModel
from .objective import belief_loss
from .trajectories import BeliefSteps, Trajectories

REWARD_BATCH, REWARD_RATE = (16, 32), 1e-3
"""Tasks and transitions of each in a batch for the model of rewards, and its Adam's rate."""


@dataclass
class Trained:
    """What training returns.

    Attributes:
        scales: of the training data.
        encoder: beliefs of what was seen.
        networks: actor and critics on observation, time and belief.
    """

    scales: Scales
    encoder: BeliefEncoder
    networks: ActorCritic


def train_networks(config: BorelConfig, data: TrainingData, run: TrainingRun) -> Trained:
    """Train on the fitting tasks; nothing is selected.

    Raises:
        MethodError: there is one task only.
    """
    chosen = choose_training_tasks(data, "a belief over tasks")
    fitting = chosen.to(run.device)
    run.torch_seed("initialisation")
    scales = Scales(data.spaces)
    scales.fit(chosen)
    encoder = BeliefEncoder(data.spaces, config)
    decoder = OutcomeDecoder(data.spaces, config)
    inputs = data.spaces.observation_dim + 1 + 2 * config.latent_dim
    networks = ActorCritic(inputs, data.spaces, config)
    for module in (scales, encoder, decoder, networks):
        module.to(run.device)
    rewards = train_rewards(config, fitting, scales, run) if config.relabelled else None
    trajectories = Trajectories(config, fitting, scales, rewards)
    train_beliefs(config, fitting.num_tasks, trajectories, encoder, decoder, run)
    steps = BeliefSteps(config, fitting, trajectories, encoder, run.generator("kept"))
    learner = Learner(networks, config)
    for update in run.steps("policy", config.updates, learner=learner):
        batch = steps.draw(run.generator("steps", update), config.batch_size, scales)
        info = learner.update(batch, update, choose_rate(config, update, config.updates))
        log_at_intervals(run, info, update, config.updates, config.log_interval)
    return Trained(scales.eval(), encoder.eval(), networks.eval())


def train_rewards(
    config: BorelConfig, data: TrainingData, scales: Scales, run: TrainingRun
) -> RewardModel:
    """Regress logged rewards on transition and training task."""
    run.torch_seed("rewards")
    model = RewardModel(data.spaces, data.num_tasks, config.decoder_width).to(run.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=REWARD_RATE, fused=True)
    tasks, transitions = REWARD_BATCH
    for update in run.steps("rewards", config.reward_updates, model=model, optimizer=optimizer):
        generator = run.generator("rewards", update)
        batch = data.sample_task_transitions(
            generator, generator.integers(data.num_tasks, size=tasks), transitions
        )
        context = scales.make_context(batch, torch.ones_like(batch.rewards))
        predicted = model(context.observations, context.actions, context.changes, context.tasks)
        loss = (predicted - context.rewards).square().mean()
        rate = choose_rate(config, update, config.reward_updates)
        descend(optimizer, loss, learning_rate=REWARD_RATE * rate)
        info = {"model_error": loss.detach()}
        log_at_intervals(run, info, update, config.reward_updates, config.log_interval)
    return model


def train_beliefs(
    config: BorelConfig,
    num_tasks: int,
    trajectories: Trajectories,
    encoder: BeliefEncoder,
    decoder: OutcomeDecoder,
    run: TrainingRun,
) -> None:
    """Learn encoder and decoders by the trajectories of a few tasks at each update."""
    optimizer = torch.optim.Adam(
        [*encoder.parameters(), *decoder.parameters()],
        lr=config.belief_learning_rate,
        fused=True,
    )
    for update in run.steps(
        "belief", config.belief_updates, encoder=encoder, decoder=decoder, optimizer=optimizer
    ):
        generator = run.generator("trajectories", update)
        tasks = generator.integers(num_tasks, size=config.tasks_per_update)
        path = trajectories.draw(generator, tasks.repeat(config.trajectories_per_task))
        loss, info = belief_loss(encoder, decoder, trajectories.read(path), config)
        rate = choose_rate(config, update, config.belief_updates)
        descend(optimizer, loss, clip=1.0, learning_rate=config.belief_learning_rate * rate)
        info["belief_loss"] = loss.detach()
        log_at_intervals(run, info, update, config.belief_updates, config.log_interval)
