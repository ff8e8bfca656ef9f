"""Spaces that a suite.toml declares, for families whose environments come from elsewhere."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from metabench.envs.spaces import Spaces


class DeclaredSpaces(BaseModel):
    """The table `[spaces]`: what is needed to train without making an environment."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    observation_dim: int = Field(ge=1, description="length of the flattened observation")
    observation_keys: tuple[str, ...] = Field(
        default=(),
        description="for observations that are dictionaries: the entries that are shown, in the order in which they "
        "are flattened; those left out are hidden",
    )
    action_low: tuple[float, ...] = Field(
        default=(), description="lower bound of each action coordinate"
    )
    action_high: tuple[float, ...] = Field(
        default=(), description="upper bound of each action coordinate"
    )
    num_actions: int = Field(
        default=0, ge=0, description="number of discrete actions; 0 for continuous actions"
    )

    @model_validator(mode="after")
    def _check_bounds(self) -> Self:
        if len(set(self.observation_keys)) < len(self.observation_keys):
            raise ValueError("observation_keys must not name an entry twice")
        self.spaces(horizon=1)
        return self

    def spaces(self, horizon: int) -> Spaces:
        """The same as policies are told it, with the suite's horizon."""
        return Spaces(
            self.observation_dim, horizon, self.action_low, self.action_high, self.num_actions
        )
