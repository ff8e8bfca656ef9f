"""Dreams: episodes of training tasks, imagined by draws from the model after it has read some support."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from metabench import TrainingData

from ..common.world_models.mdn_rnn.model import DreamState, MdnRnnModel
from ..common.world_models.mdn_rnn.networks import MdnRnn, Recurrent
from ..common.world_models.mdn_rnn.sequences import draw_sequences
from .config import WorldModels2018Config
from .controller import Controllers


@dataclass(frozen=True)
class Beginnings:
    """Where R dreams begin.

    Attributes:
        observations: `(R, S)` an episode's first.
        recurrent: `(R, ...)` what the model has read: supports of different lengths, some of them empty.
    """

    observations: Tensor
    recurrent: Recurrent


@torch.no_grad()
def draw_beginnings(
    network: MdnRnn, data: TrainingData, generator: np.random.Generator, count: int
) -> Beginnings:
    """Draw tasks, supports and first observations."""
    batch = draw_sequences(data, network.config, generator, count, from_start=True)
    recurrent, every = network.begin(count), torch.arange(count, device=batch.support.device)
    longest = int(batch.support.max())
    if longest:
        rewards = network.scale_reward(batch.rewards)
        before = torch.cat([torch.zeros_like(rewards[:1]), rewards[:-1]])
        found = recurrent
        for step in range(longest):
            found = Recurrent(found.hidden, found.cell, before[step], batch.fresh[step])
            found = network.step(found, batch.observations[step], batch.actions[step])
            last = (batch.support == step + 1)[:, None]
            ended = Recurrent(found.hidden, found.cell, rewards[step], torch.ones_like(rewards[0]))
            recurrent = Recurrent(
                **{
                    name: torch.where(last, value, getattr(recurrent, name))
                    for name, value in vars(ended).items()
                }
            )
    return Beginnings(batch.observations[batch.support, every], recurrent)


def describe_state(network: MdnRnn, state: DreamState, config: WorldModels2018Config) -> Tensor:
    """What controllers read, `(..., F)`: the observation, scaled, and the hidden state."""
    scaled = network.scales.scale(state.observations)
    return torch.cat([scaled, state.recurrent.hidden], -1) if config.reads_hidden else scaled


def count_inputs(config: WorldModels2018Config, observation_dim: int) -> int:
    """F."""
    return observation_dim + (config.width if config.reads_hidden else 0)


@torch.no_grad()
def dream(
    model: MdnRnnModel,
    controllers: Controllers,
    beginnings: Beginnings,
    config: WorldModels2018Config,
) -> Tensor:
    """`(P,)` mean returns, in deviations of rewards, of P controllers in the same R dreams.

    What is drawn is the same for all of them, so that the better one is not only the luckier one. Torch's own generator
    draws.
    """
    network, scales = model.network, model.scales
    count = len(controllers.weights)

    def spread(values: Tensor) -> Tensor:
        return values.expand(count, *values.shape)

    observations = spread(beginnings.observations)
    recurrent = Recurrent(*(spread(each) for each in vars(beginnings.recurrent).values()))
    state = DreamState(observations, recurrent, torch.zeros_like(observations))
    going = torch.ones(observations.shape[:2], device=observations.device)
    total = torch.zeros_like(going)
    for _ in range(config.dream_steps or network.spaces.horizon):
        actions = controllers.act(describe_state(network, state, config))
        state, rewards, ends = model.draw_step(state, actions, config.temperature)
        total = total + going * rewards
        going = going * (1.0 - ends)
    found: Tensor = (total / scales.get_buffer("reward")).mean(1)
    return found
