"""Budgets and sizes by name, and variants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..twm_plus.presets import SMALL_NETWORKS
from .config import TWMPublishedConfig

SIZE_S: Mapping[str, Any] = {
    **SMALL_NETWORKS,
    "sequences": 32,
    "starts": 128,
    "observation_batch": 256,
    "observation_learning_rate": 1e-3,
    "dynamics_learning_rate": 1e-3,
    "actor_learning_rate": 3e-4,
    "critic_learning_rate": 1e-3,
}
"""The sizes and step sizes that twm-plus has in size S, for CPUs; horizon, memory and losses stay as published."""

PRESETS: Mapping[str, TWMPublishedConfig] = {
    "tiny": TWMPublishedConfig(
        **{
            **SIZE_S,
            "latent_groups": 4,
            "observation_widths": (32,),
            "width": 16,
            "heads": 2,
            "feedforward": 32,
            "memory": 6,
            "latent_head_widths": (16,),
            "reward_head_widths": (16,),
            "discount_head_widths": (16,),
            "actor_widths": (16,),
            "critic_widths": (16,),
            "sequences": 4,
            "window": 7,
            "starts": 8,
            "horizon": 4,
            "observation_batch": 32,
            "observation_updates": 6,
            "dynamics_updates": 6,
            "pretraining_updates": 4,
            "updates": 6,
            "log_interval": 2,
        }
    ),
    "demo": TWMPublishedConfig(
        **{
            **SIZE_S,
            "observation_updates": 300,
            "dynamics_updates": 150,
            "pretraining_updates": 350,
            "updates": 200,
        }
    ),
    "cpu": TWMPublishedConfig(
        **{
            **SIZE_S,
            "observation_updates": 1500,
            "dynamics_updates": 750,
            "pretraining_updates": 1500,
            "updates": 1200,
        }
    ),
    "paper": TWMPublishedConfig.model_validate({}),
}
"""`paper` is the published network, batch and schedule, with the front of vectors; the others are cut down."""

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "tanh_rewards": {"reward_transform": "tanh"},
    "latent_and_hidden_policy": {"policy_input": "latent-and-hidden"},
    "no_reward_input": {"reward_input": False},
    "nearly_uniform_sampling": {"sampling": "nearly-uniform"},
}
"""By name: `twm-published/tanh_rewards` is the published reward, the others are the paper's own ablations."""
