"""The configuration of a recurrent state-space model, in PlaNet's form and in Dreamer's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from metabench import Config


class RecurrentConfig(Config):
    """Sizes, losses and training."""

    latent: Literal["gaussian", "categorical"] = Field(
        "gaussian", description="the stochastic state: Gaussians (PlaNet) or categories (DreamerV3)"
    )
    state_dim: int = Field(128, ge=1, description="units of the deterministic state, a GRU's")
    longest_kept: float = Field(
        32.0,
        gt=1,
        description="at first the GRU's units keep what they hold for 1 to so many steps; 2: for one or two, as usual",
    )
    width: int = Field(128, ge=1, description="units of encoder and decoder")
    latent_dim: int = Field(30, ge=1, description="gaussian: coordinates of the stochastic state")
    groups: int = Field(16, ge=1, description="categorical: variables of the stochastic state")
    classes: int = Field(16, ge=2, description="categorical: categories of each")
    uniform_mix: float = Field(
        0.01, ge=0, lt=1, description="categorical: share of the uniform distribution in each"
    )
    least_deviation: float = Field(
        0.1, gt=0, description="gaussian: deviations are no smaller than this"
    )
    prior_heads: int = Field(
        5,
        ge=1,
        description="networks that foresee the stochastic state; what they are apart is doubt",
    )
    head_width: int = Field(64, ge=1, description="hidden units of each")
    symlog: bool = Field(
        False, description="observations are read and told as symmetric logarithms (DreamerV3)"
    )
    two_hot: bool = Field(
        False, description="rewards are told as a distribution over bins, not as a mean (DreamerV3)"
    )
    bins: int = Field(255, ge=3, description="two_hot: bins, from minus to plus 20 in logarithms")
    observation_weight: float = Field(
        1.0, gt=0, description="of squared errors of observations, in units of one-step changes"
    )
    reward_weight: float = Field(10.0, gt=0, description="of errors of rewards (PlaNet's scale)")
    prior_weight: float = Field(
        1.0, ge=0, description="of the divergence by which the prior learns of the posterior"
    )
    posterior_weight: float = Field(
        0.1, ge=0, description="of the divergence by which the posterior is held to the prior"
    )
    free_nats: float = Field(
        0.3, ge=0, description="divergences below this cost nothing and teach nothing"
    )
    learning_rate: float = Field(1e-3, gt=0, description="Adam's")
    learning_rate_decay: bool = Field(
        True, description="the learning rate falls to zero along half a cosine"
    )
    clip: float = Field(100.0, gt=0, description="largest norm of the gradient")
    batch: int = Field(16, ge=1, description="sequences of an update, each of one task")
    length: int = Field(32, ge=2, description="steps of each")
    most_chunks: int = Field(
        20,
        ge=1,
        description="a sequence goes on for up to so many updates, from the state that it ended in: episodes of one "
        "task, one after another",
    )
    updates: int = Field(3_000, ge=1, description="of the model")
    held_out: int = Field(
        128, ge=1, description="held-out sequences by which deviations of predictions are measured"
    )
    reach: float = Field(
        1.5,
        ge=1,
        description="imagined states and rewards stay within so many half ranges of the data's middle",
    )
    model_log_interval: int = Field(
        100, ge=1, description="updates between two rows of the model's training curve"
    )


DREAMER: Mapping[str, Any] = {
    "latent": "categorical",
    "symlog": True,
    "two_hot": True,
    "reward_weight": 1.0,
}
"""What DreamerV3 has in place of PlaNet's."""

TINY_RECURRENT: Mapping[str, Any] = {
    "state_dim": 16,
    "width": 16,
    "latent_dim": 6,
    "groups": 4,
    "classes": 4,
    "prior_heads": 2,
    "head_width": 8,
    "batch": 8,
    "length": 12,
    "most_chunks": 4,
    "updates": 40,
    "held_out": 16,
    "model_log_interval": 10,
}
"""Of every recurrent model in the preset `tiny`."""
