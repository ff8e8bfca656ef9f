"""The program that the methods share: encoder by its objective, then actor and critics on observation and code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metabench import Array, TrainingData, TrainingRun

from ..actor_critic.learner import Learner, choose_rate
from ..actor_critic.losses import Transitions
from ..actor_critic.networks import ActorCritic
from ..optimisation import descend, log_at_intervals
from ..training_tasks import choose_training_tasks
from .config import TaskInferenceConfig
from .encoder import Context, ContextEncoder, Scales, average
from .objective import EncoderObjective

CODE_TRANSITIONS = 1024
"""Of each training task, that its code for exploring is the mean over."""


@dataclass
class Trained:
    """What training returns.

    Attributes:
        scales: of the training data.
        encoder: of transitions.
        networks: actor and critics.
        codes: `(tasks, code_dim)` of the training tasks; the policy may explore by them.
    """

    scales: Scales
    encoder: ContextEncoder
    networks: ActorCritic
    codes: Tensor


def train_networks(
    config: TaskInferenceConfig, objective: EncoderObjective, data: TrainingData, run: TrainingRun
) -> Trained:
    """Train encoder and actor-critic on the fitting tasks.

    Raises:
        MethodError: there is one task only, so that there is nothing to tell apart.
    """
    chosen = choose_training_tasks(data, "a context encoder")
    fitting = chosen.to(run.device)
    run.torch_seed("initialisation")
    scales = Scales(data.spaces)
    scales.fit(chosen)
    encoder = ContextEncoder(data.spaces, config)
    networks = ActorCritic(data.spaces.observation_dim + 1 + config.code_dim, data.spaces, config)
    for module in (scales, encoder, networks, objective):
        module.to(run.device)
    learner = Learner(networks, config)
    optimizer = torch.optim.Adam(
        [*encoder.parameters(), *objective.parameters()],
        lr=config.encoder_learning_rate,
        fused=True,
    )
    batches = Batches(config, fitting, scales)
    parts: dict[str, Any] = {
        "encoder": encoder,
        "objective": objective,
        "encoder_optimizer": optimizer,
    }

    def learn_encoder(context: Context, rate: float) -> dict[str, Tensor]:
        loss, info = objective.compute_loss(encoder, context)
        descend(optimizer, loss, learning_rate=config.encoder_learning_rate * rate)
        return info | {"encoder_loss": loss.detach()}

    for update in run.steps("encoder", config.encoder_first, **parts):
        rate = choose_rate(config, update, config.encoder_first)
        info = learn_encoder(batches.draw_context(run, "context", update), rate)
        log_at_intervals(run, info, update, config.encoder_first, config.log_interval)

    learning = {} if config.encoder_first else parts
    for update in run.steps("policy", config.updates, learner=learner, **learning):
        rate = choose_rate(config, update, config.updates)
        context = batches.draw_context(run, "context", update)
        info = {} if config.encoder_first else learn_encoder(context, rate)
        with torch.no_grad():  # values never reach the encoder
            codes = average(encoder.embed(context), context.weights)
        info |= learner.update(
            batches.draw_transitions(run, update, context.tasks, codes), update, rate
        )
        log_at_intervals(run, info, update, config.updates, config.log_interval)

    codes = torch.stack([code for code in _encode_tasks(run, encoder, scales, fitting)])
    return Trained(scales.eval(), encoder.eval(), networks.eval(), codes)


class Batches:
    """Draws contexts and transitions of the same tasks."""

    def __init__(self, config: TaskInferenceConfig, data: TrainingData, scales: Scales) -> None:
        """Draw from `data`."""
        self._config = config
        self._data = data
        self._scales = scales

    def draw_context(self, run: TrainingRun, purpose: str, update: int) -> Context:
        """Contexts of different lengths, some of them empty; their encoder learns from all that is drawn."""
        config = self._config
        generator = run.generator(purpose, update)
        count = config.tasks_per_update
        tasks = self._draw_tasks(generator, count)
        batch = self._data.sample_task_transitions(generator, tasks, config.context_length)
        lengths = (
            np.full(count, config.context_length)
            if config.whole_contexts
            else generator.integers(1, config.context_length + 1, count)
        )
        lengths = np.where(generator.random(count) < config.empty_contexts, 0, lengths)
        weights = torch.as_tensor(
            np.arange(config.context_length) < lengths[:, None], device=run.device
        )
        return self._scales.make_context(batch, weights.to(torch.float32))

    def _draw_tasks(self, generator: np.random.Generator, count: int) -> Array:
        total = self._data.num_tasks
        if self._config.replacement:
            return generator.integers(total, size=count)
        return np.resize(generator.permutation(total), count)

    def draw_transitions(
        self, run: TrainingRun, update: int, tasks: Tensor, codes: Tensor
    ) -> Transitions:
        """As many transitions of each task, beside its code `(B, code_dim)`."""
        count = self._config.transitions_per_task
        drawn = self._data.sample_task_transitions(
            run.generator("transitions", update), tasks.cpu().numpy(), count
        )
        code = codes.unsqueeze(1).expand(-1, count, -1)
        describe = self._scales.describe_state
        return Transitions(
            describe(drawn.observations, drawn.timesteps, code).flatten(0, 1),
            drawn.actions.flatten(0, 1),
            (drawn.rewards / self._scales.get_buffer("reward")).flatten(),
            describe(drawn.next_observations, drawn.timesteps + 1, code).flatten(0, 1),
            1.0 - drawn.terminated.flatten().to(torch.float32),
        )


@torch.no_grad()
def _encode_tasks(
    run: TrainingRun, encoder: ContextEncoder, scales: Scales, data: TrainingData
) -> Iterator[Tensor]:
    """The code of each task, of as many of its transitions."""
    generator = run.generator("codes")
    for task in range(data.num_tasks):
        batch = data.sample_task_transitions(generator, np.array([task]), CODE_TRANSITIONS)
        context = scales.make_context(batch, torch.ones(1, CODE_TRANSITIONS, device=run.device))
        yield average(encoder.embed(context), context.weights)[0]
