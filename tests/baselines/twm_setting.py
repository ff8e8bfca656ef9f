"""What tests of twm-plus share: its smallest configuration, and a model, a policy and a batch of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from metabench_baselines.twm_plus.actor_critic import ActorCritic
from metabench_baselines.twm_plus.config import TWMConfig
from metabench_baselines.twm_plus.model.world_model import WorldModel
from metabench_baselines.twm_plus.presets import PRESETS
from metabench_baselines.twm_plus.training.batches import BatchSource, WindowBatch

from metabench import Spaces, TrainingData

CONTINUOUS = Spaces(3, 20, action_low=(-1.0, -1.0), action_high=(1.0, 1.0))
DISCRETE = Spaces(3, 20, num_actions=4)


def tiny(**overrides: Any) -> TWMConfig:
    """The preset `tiny` with changes."""
    return TWMConfig(**{**PRESETS["tiny"].model_dump(), **overrides})


def setting(
    data: TrainingData, seed: int = 0, **overrides: Any
) -> tuple[TWMConfig, WorldModel, ActorCritic, WindowBatch]:
    """An untrained model, a policy and a batch of real windows."""
    torch.manual_seed(seed)
    config = tiny(**overrides)
    model = WorldModel(config, data.spaces)
    model.measure(data)
    policy = ActorCritic(config, data.spaces)
    batch = BatchSource(config, data, "cpu").draw(np.random.default_rng(seed))
    return config, model.requires_grad_(False).eval(), policy.requires_grad_(False).eval(), batch
