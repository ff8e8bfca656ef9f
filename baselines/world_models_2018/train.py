"""Training: the model on logged sequences, then the controller in its dreams."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from metabench import Array, TrainingData, TrainingRun

from ..common.world_models.mdn_rnn.model import MdnRnnModel
from ..common.world_models.mdn_rnn.networks import MdnRnn
from ..common.world_models.mdn_rnn.train import train_mdn_rnn
from .config import WorldModels2018Config
from .controller import Controllers, count_numbers
from .dream import count_inputs, draw_beginnings, dream
from .search import Search


@dataclass
class Trained:
    """What training returns.

    Attributes:
        network: the model's.
        numbers: `(numbers,)` the controller's.
    """

    network: MdnRnn
    numbers: Array


def train_policy(config: WorldModels2018Config, data: TrainingData, run: TrainingRun) -> Trained:
    """Train the model, then search for a controller; it is the middle of the last generation, nothing is selected."""
    run.torch_seed("initialisation")
    network = MdnRnn(data.spaces, config)
    train_mdn_rnn(network, data, run)
    model, fitting = MdnRnnModel(network), data.fitting.to(run.device)
    inputs = count_inputs(config, data.spaces.observation_dim)
    search = Search(count_numbers(inputs, data.spaces), config)
    for generation in run.steps("controller", config.generations, search=search):
        generator = run.generator("controller", generation)
        tried = search.ask(int(generator.integers(2**31)))
        numbers = torch.as_tensor(tried, dtype=torch.float32, device=run.device)
        controllers = Controllers.from_numbers(numbers, inputs, data.spaces)
        beginnings = draw_beginnings(network, fitting, generator, config.dreams)
        returns = dream(model, controllers, beginnings, config).cpu().numpy()
        search.tell(tried, returns)
        if generation % config.log_interval == 0 or generation == config.generations:
            run.log(mean_return=returns.mean(), best_return=returns.max())
    return Trained(network, search.mean.astype("float32"))
