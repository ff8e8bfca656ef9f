"""Configurations of the world model, of its pretraining and of acting with it, and their presets."""

from __future__ import annotations

from pydantic import Field

from metabench import Config

from ..common.planning.config import PlannerConfig


class ModelConfig(Config):
    """Size of the world model."""

    state_slots: int = Field(default=24, ge=1, description="S: most observation dimensions")
    action_slots: int = Field(
        default=8, ge=1, description="A: most action features: coordinates, or discrete actions"
    )
    width: int = Field(default=64, ge=8, description="width of the transformer")
    layers: int = Field(default=2, ge=1, description="number of blocks")
    heads: int = Field(default=2, ge=1, description="attention heads a block")
    buckets: int = Field(default=48, ge=4, description="buckets of the predicted distributions")
    prior_weight: float = Field(
        default=2.0, gt=0, description="weight of the prior's scales, in context rows"
    )


class PretrainingConfig(Config):
    """How long and on what the world model is pretrained."""

    model: ModelConfig = Field(default_factory=ModelConfig, description="size of the model")
    updates: int = Field(default=2_000, ge=1, description="gradient updates")
    environments: int = Field(default=12, ge=1, description="synthetic environments an update")
    episodes: int = Field(default=18, ge=2, description="episodes in each environment")
    steps: int = Field(default=64, ge=2, description="steps in each episode")
    queries: int = Field(
        default=96, ge=1, description="rows of each environment that are predicted"
    )
    largest_context: int = Field(
        default=256,
        ge=1,
        description="largest number of context rows; drawn from 0 to this, small numbers more often",
    )
    learning_rate: float = Field(
        default=1e-3, gt=0, description="AdamW's learning rate after the warm-up"
    )
    warmup: int = Field(
        default=200, ge=0, description="updates of linear warm-up; a cosine to a hundredth follows"
    )
    weight_decay: float = Field(default=0.01, ge=0, description="AdamW's weight decay")
    gradient_clip: float = Field(default=1.0, gt=0, description="largest norm of the gradient")
    log_interval: int = Field(default=50, ge=1, description="updates between two rows of the curve")


PRETRAINING = {
    "tiny": PretrainingConfig(
        model=ModelConfig(width=32, layers=2, heads=2, buckets=16),
        updates=20,
        environments=4,
        episodes=4,
        steps=32,
        queries=32,
        largest_context=64,
        warmup=5,
        log_interval=5,
    ),
    "cpu": PretrainingConfig(),
    "paper": PretrainingConfig(
        model=ModelConfig(state_slots=48, width=512, layers=6, heads=8, buckets=128),
        updates=100_000,
        environments=64,
        learning_rate=3e-4,
        warmup=2_000,
    ),
}
"""Budgets of `metabench pretrain oswm-plus`; `cpu` made the weights that are shipped."""


class OSWMConfig(PlannerConfig):
    """Where the world model comes from, and how it acts."""

    weights: str = Field(
        default="shipped",
        description="`shipped`, or the folder that `metabench pretrain oswm-plus` wrote",
    )
    samples: int = Field(default=24, ge=2, description="sequences of actions an iteration")
    largest_context: int = Field(
        default=256,
        ge=1,
        description="largest number of context rows; drawn from 0 to this, small numbers more often",
    )


class OSWMMetaConfig(OSWMConfig):
    """How the shipped world model goes on learning from the training tasks' data."""

    updates: int = Field(default=1_500, ge=1, description="gradient updates")
    tasks: int = Field(default=8, ge=1, description="training tasks an update")
    queries: int = Field(
        default=96, ge=1, description="transitions of each task that are predicted"
    )
    learning_rate: float = Field(
        default=3e-4, gt=0, description="AdamW's first learning rate; a cosine to 0 follows"
    )
    weight_decay: float = Field(default=0.01, ge=0, description="AdamW's weight decay")
    gradient_clip: float = Field(default=1.0, gt=0, description="largest norm of the gradient")
    log_interval: int = Field(default=50, ge=1, description="updates between two rows of the curve")


REPLANNING = {"cheetah-vel": 12, "pendulum-param": 6}
"""Steps that a plan is acted for in suites where a query of this model costs too much otherwise.

On validation tasks of pendulum-param, every 4 steps with 32 sequences and every 6 with 24: 10 and 12 zero-shot, 81 and
80 few-shot with 3 episodes, 87 and 83 logged-shot, one seed. Of cheetah-vel, every 8 steps and every 12: 21 and 27
zero-shot, 29 and 25 few-shot with 3 episodes, one seed; another seed has 26 and 31 every 12.
"""

LARGEST_CONTEXTS = {"cheetah-vel": 160}
"""Rows that are read at most where 256 take a cell beyond five minutes of evaluation.

On validation tasks, 160 rows and 256, two seeds: zero-shot 26, 25 and 27, 26, few-shot with one episode 27, 28 and 29,
30, with three 30, 32 and 25, 31.
"""

PRESETS = {
    "tiny": OSWMConfig(samples=8, horizon=4, largest_context=64),
    "demo": OSWMConfig(),
    "cpu": OSWMConfig(),
    "paper": OSWMConfig(samples=128, iterations=4, replan=1, largest_context=1_000),
}

META_PRESETS = {
    "tiny": OSWMMetaConfig(
        samples=8, horizon=4, largest_context=64, updates=10, tasks=4, queries=16, log_interval=5
    ),
    "demo": OSWMMetaConfig(updates=300),
    "cpu": OSWMMetaConfig(),
    "paper": OSWMMetaConfig(
        samples=128, iterations=4, replan=1, largest_context=1_000, updates=20_000, tasks=32
    ),
}
