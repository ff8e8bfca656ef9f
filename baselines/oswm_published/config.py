"""Configurations of the published world model, of its pretraining and of acting with it, and their presets."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, model_validator

from metabench import Config

from ..common.planning.config import PlannerConfig


class PublishedWorldModelConfig(Config):
    """Size and pretraining of the world model; the defaults are as published."""

    state_slots: int = Field(
        default=11,
        ge=3,
        description="largest number of observation dimensions; beyond 11 the model is widened",
    )
    action_slots: int = Field(
        default=3,
        ge=1,
        description="largest number of action coordinates; beyond 3 the model is widened",
    )
    width: int = Field(default=512, ge=8, multiple_of=8, description="width of the transformer")
    layers: int = Field(default=6, ge=1, description="number of its blocks")
    heads: int = Field(default=4, ge=1, description="attention heads of each")
    defects: bool = Field(
        default=True, description="keep two errors of the released synthetic prior"
    )
    momentum: bool = Field(
        default=True, description="the prior has pairs of position and velocity beside networks"
    )
    pretraining_updates: int = Field(
        default=5_000, ge=1, description="gradient steps of pretraining"
    )
    environments: int = Field(default=4, ge=1, description="synthetic environments an update")
    learning_rate: float = Field(default=5e-5, gt=0, description="AdamW's largest step size")
    log_interval: int = Field(
        default=100, ge=1, description="updates between two rows of the training curve"
    )

    @model_validator(mode="after")
    def _check_heads(self) -> PublishedWorldModelConfig:
        if self.width % self.heads:
            raise ValueError(f"expected a width that {self.heads} heads divide, found {self.width}")
        return self


class PublishedConfig(PlannerConfig, PublishedWorldModelConfig):
    """Where the world model comes from, and how it acts."""

    largest_context: int = Field(
        default=1_000, ge=1, description="most rows of support that are read"
    )
    least_rows: int = Field(
        default=16, ge=0, description="uniformly random first actions of an episode without support"
    )
    reads_own_episode: bool = Field(
        default=False, description="beside a support read the episode so far as well; as published"
    )
    weights: str = Field(
        default="",
        description="folder that `metabench pretrain` wrote, with a model of any size, or the released weights' "
        "file; empty: pretrain first",
    )

    @property
    def world_model(self) -> PublishedWorldModelConfig:
        """Size and pretraining alone."""
        return PublishedWorldModelConfig(
            **{key: getattr(self, key) for key in PublishedWorldModelConfig.model_fields}
        )


SMALL = 256
"""Width of `oswm-published-small`: 4,046,464 parameters."""

PRETRAINING = {
    "tiny": PublishedWorldModelConfig(
        width=32, layers=2, heads=1, environments=1, pretraining_updates=10, log_interval=5
    ),
    "paper": PublishedWorldModelConfig(),
}
"""Budgets of `oswm-published`."""

_FEW_UPDATES = PublishedWorldModelConfig(
    width=SMALL, environments=1, learning_rate=5e-4, pretraining_updates=1_000
)

SMALL_PRETRAINING = {
    "tiny": PRETRAINING["tiny"],
    "demo": _FEW_UPDATES.model_copy(update={"pretraining_updates": 150, "log_interval": 25}),
    "cpu": _FEW_UPDATES,
    "paper": PublishedWorldModelConfig(width=SMALL),
}
"""Budgets of `oswm-published-small`; the most of few updates: one environment each, ten times the step size."""

WIDENED = {
    **dict.fromkeys(("ant-dir", "ant-dir-arc"), (27, 8)),
    **dict.fromkeys(("cheetah-dir", "cheetah-vel"), (20, 6)),
    "walker-param": (17, 6),
    **dict.fromkeys(("reach", "push", "pick-place", "door-lock", "sweep", "ml10", "ml45"), (39, 4)),
}
"""State and action slots for suites wider than the published model."""


def make_presets(
    suite: str, pretraining: Mapping[str, PublishedWorldModelConfig]
) -> Mapping[str, PublishedConfig]:
    """Configurations for `suite` by preset: the budgets of `pretraining`, widened where the suite needs it."""
    slots = dict(zip(("state_slots", "action_slots"), WIDENED.get(suite, ()), strict=False))
    planning = {"tiny": {"samples": 8, "horizon": 4}}
    return {
        name: PublishedConfig(**{**config.model_dump(), **slots, **planning.get(name, {})})
        for name, config in pretraining.items()
    }
