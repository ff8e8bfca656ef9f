"""Named configurations of TWM: sizes, presets, ablations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .config import TWMConfig

PUBLISHED_FRAMES: Mapping[str, Any] = {"front": "frames"}
"""What the published model of Atari frames has besides the defaults, which are its own."""

OFFLINE: Mapping[str, Any] = {
    "attend_across_episodes": True,
    "discount_input": True,
    "ensemble": 5,
    "reward_transform": "scaled",
    "decoder_reduction": "mean",
    "decoder_weight": 64.0,
    "burn_in": 8,
    "restart_below": 0.0,
    "normalise_advantages": True,
    "critic_on_logged": True,
    "disagreement_penalty": 4.0,
    "anchor": "behaviour-policy",
    "anchor_weight": 0.5,
    "actor_average": 0.98,
    "continuous_actions": "clipped",
    "discount": 0.97,
    "foresight": 0.5,
    "reward_map": 128,
    "model_schedule": "linear",
    "segments": 4,
    "relabelled": 1.0,
}
"""What offline meta-RL changes of the published defaults; the README gives the reason for each."""

SMALL_NETWORKS: Mapping[str, Any] = {
    "latent_groups": 32,
    "latent_classes": 8,
    "observation_widths": (384, 384),
    "width": 128,
    "layers": 2,
    "feedforward": 512,
    "dropout": 0.0,
    "latent_head_widths": (192,),
    "reward_head_widths": (128, 128),
    "discount_head_widths": (128,),
    "actor_widths": (256, 256),
    "critic_widths": (256, 256),
}
"""Networks of size S, about 1.6 million parameters; `twm-published` has them on CPUs, too."""

SIZE_S: Mapping[str, Any] = {
    **OFFLINE,
    **SMALL_NETWORKS,
    "memory": 32,
    "tasks_per_update": 8,
    "windows_per_task": 2,
    "window": 24,
    "segment_steps": 6,
    "starts": 128,
    "horizon": 10,
    "observation_batch": 256,
    "observation_learning_rate": 1e-3,
    "dynamics_learning_rate": 1e-3,
    "actor_learning_rate": 3e-4,
    "critic_learning_rate": 1e-3,
    "gae_lambda": 0.9,
}
"""Size S: about 1.7 million parameters, for CPUs."""

SIZE_M: Mapping[str, Any] = {
    **OFFLINE,
    "layers": 4,
    "memory": 64,
    "latent_head_widths": (512, 512),
    "reward_head_widths": (256, 256),
    "discount_head_widths": (256, 256),
    "tasks_per_update": 16,
    "windows_per_task": 4,
    "window": 32,
    "starts": 256,
    "horizon": 10,
    "observation_batch": 512,
    "critic_learning_rate": 1e-4,
}
"""Size M: about 12 million parameters."""

PRESETS: Mapping[str, TWMConfig] = {
    "tiny": TWMConfig(
        **{
            **SIZE_S,
            "latent_groups": 4,
            "latent_classes": 8,
            "observation_widths": (32,),
            "width": 16,
            "heads": 2,
            "feedforward": 32,
            "memory": 8,
            "ensemble": 2,
            "latent_head_widths": (16,),
            "reward_head_widths": (16,),
            "discount_head_widths": (16,),
            "actor_widths": (16,),
            "critic_widths": (16,),
            "tasks_per_update": 2,
            "windows_per_task": 2,
            "window": 8,
            "segments": 2,
            "segment_steps": 4,
            "reward_map": 8,
            "starts": 8,
            "horizon": 3,
            "burn_in": 2,
            "observation_batch": 32,
            "task_reward_updates": 4,
            "observation_updates": 6,
            "dynamics_updates": 6,
            "joint_updates": 3,
            "behaviour_updates": 4,
            "behaviour_batch": 32,
            "pretraining_updates": 4,
            "policy_updates": 4,
            "finetune_model_updates": 3,
            "finetune_policy_updates": 2,
            "log_interval": 2,
        }
    ),
    "demo": TWMConfig(
        **{
            **SIZE_S,
            "task_reward_updates": 500,
            "observation_updates": 300,
            "dynamics_updates": 300,
            "joint_updates": 50,
            "behaviour_updates": 300,
            "pretraining_updates": 100,
            "policy_updates": 100,
        }
    ),
    "cpu": TWMConfig(
        **{
            **SIZE_S,
            "observation_updates": 1500,
            "dynamics_updates": 1600,
            "joint_updates": 300,
            "behaviour_updates": 1500,
            "pretraining_updates": 200,
            "policy_updates": 300,
        }
    ),
    "paper": TWMConfig(
        **{
            **SIZE_M,
            "task_reward_updates": 20_000,
            "observation_updates": 15_000,
            "dynamics_updates": 60_000,
            "joint_updates": 10_000,
            "behaviour_updates": 20_000,
            "pretraining_updates": 10_000,
            "policy_updates": 80_000,
        }
    ),
}
"""Budgets by name. No paper has TWM in offline meta-RL: `paper` is of a size that one GPU trains in hours."""

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "no_reward_input": {"reward_input": False},
    "latent_only_policy": {"policy_input": "latent"},
    "no_conservatism": {"disagreement_penalty": 0.0, "anchor_weight": 0.0},
    "no_relabelling": {"relabelled": 0.0},
    "no_reward_map": {"reward_map": 0},
    "uniform_sampling": {"sampling": "uniform"},
    "finetune": {"adaptation": "finetune"},
}
"""Ablations by name: `twm-plus/no_reward_input`."""
