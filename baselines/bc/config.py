"""The configuration of behaviour cloning and its presets."""

from __future__ import annotations

from pydantic import Field

from metabench import Config


class BCConfig(Config):
    """Network, optimiser and budget."""

    width: int = Field(default=256, ge=1, description="units of each hidden layer")
    depth: int = Field(default=2, ge=1, description="number of hidden layers")
    learning_rate: float = Field(
        default=1e-3, gt=0, description="step size of AdamW, decayed to zero by a half cosine"
    )
    weight_decay: float = Field(default=1e-4, ge=0, description="decoupled weight decay of AdamW")
    batch_size: int = Field(default=256, ge=1, description="transitions a batch")
    updates: int = Field(default=8_000, ge=1, description="gradient steps")
    log_interval: int = Field(
        default=200, ge=1, description="updates between two rows of the training curve"
    )


PRESETS = {
    "tiny": BCConfig(width=32, batch_size=64, updates=200, log_interval=50),
    "demo": BCConfig(width=128, updates=2_000),
    "cpu": BCConfig(),
    "long": BCConfig(updates=80_000, log_interval=2_000),
    "paper": BCConfig(
        width=512, depth=3, learning_rate=3e-4, batch_size=1024, updates=100_000, log_interval=1_000
    ),
}
