"""The world model of frames in three sizes, and what it trains on at a time."""

from __future__ import annotations

from collections.abc import Mapping

from ..config import TWMConfig
from ..presets import PUBLISHED_FRAMES

SIZES: Mapping[str, TWMConfig] = {
    "paper": TWMConfig(**PUBLISHED_FRAMES, policy_input="latent"),
    "M": TWMConfig(
        **PUBLISHED_FRAMES,
        policy_input="latent",
        layers=4,
        latent_head_widths=(512, 512),
        reward_head_widths=(256, 256),
        discount_head_widths=(256, 256),
        tasks_per_update=8,
        windows_per_task=8,
        observation_batch=1024,
        starts=256,
        horizon=8,
    ),
    "S": TWMConfig(
        **PUBLISHED_FRAMES,
        policy_input="latent",
        latent_groups=16,
        latent_classes=16,
        observation_widths=(256, 256),
        width=128,
        layers=2,
        feedforward=512,
        dropout=0.0,
        memory=8,
        latent_head_widths=(192,),
        reward_head_widths=(128, 128),
        discount_head_widths=(128,),
        actor_widths=(256, 256),
        critic_widths=(256, 256),
        tasks_per_update=4,
        windows_per_task=1,
        window=9,
        observation_batch=32,
        starts=32,
        horizon=5,
        observation_learning_rate=3e-4,
        dynamics_learning_rate=1e-3,
        actor_learning_rate=3e-4,
        critic_learning_rate=1e-3,
        log_interval=10,
    ),
}
"""`paper` is the published model; `M` has its front and a smaller transformer; `S` trains on a CPU, slowly."""
