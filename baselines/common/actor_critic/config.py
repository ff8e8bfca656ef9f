"""What an actor-critic is, and how it is held to the data."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from metabench import Config

Backbone = Literal["iql", "td3bc", "brac", "sac", "bc"]


class ImplicitQConfig(Config):
    """Networks and losses of values that are learned without leaving the data."""

    backbone: Backbone = Field(
        "iql",
        description="how values are learned without leaving the data: implicit Q-learning, TD3+BC, behaviour-"
        "regularised SAC with a dual divergence (as FOCAL and CSRO publish), or not at all (bc, the control); sac, "
        "which nothing holds to the data, is for transitions that its own actions led to",
    )
    actor_width: int = Field(
        128, ge=1, description="units of each hidden layer of actor and critics"
    )
    actor_depth: int = Field(2, ge=1, description="number of their hidden layers")
    discount: float = Field(0.99, gt=0, lt=1, description="discount of later rewards")
    target_rate: float = Field(
        0.005,
        gt=0,
        le=1,
        description="share of the critics' weights that their targets take over in each update",
    )
    expectile: float = Field(
        0.8, gt=0.5, lt=1, description="iql: expectile of the values (0.7 to 0.9)"
    )
    temperature: float = Field(
        3.0,
        gt=0,
        description="iql: actions are weighted by the exponential of this times their advantage",
    )
    largest_weight: float = Field(100.0, gt=1, description="iql: upper bound of these weights")


class ActorCriticConfig(ImplicitQConfig):
    """The other backbones as well, and optimisers; every field that only one backbone reads says so."""

    actor_learning_rate: float = Field(
        1e-3, gt=0, description="Adam's learning rate for actor and critics"
    )
    learning_rate_decay: bool = Field(
        True, description="all learning rates fall to zero along half a cosine"
    )
    imitation: float = Field(
        2.5, gt=0, description="td3bc: alpha, the weight of values against imitation"
    )
    policy_delay: int = Field(2, ge=1, description="td3bc: critic updates for each actor update")
    target_noise: float = Field(
        0.2, ge=0, description="td3bc: standard deviation of the noise on target actions"
    )
    largest_noise: float = Field(0.5, ge=0, description="td3bc: bound of that noise")
    entropy_weight: float = Field(1.0, ge=0, description="brac: weight of the actor's entropy")
    divergence_weight: float = Field(
        500.0, ge=0, description="brac: initial weight of the divergence"
    )
    largest_divergence_weight: float = Field(
        2_000.0, ge=0, description="brac: upper bound of the divergence's weight"
    )
    divergence_aim: float = Field(
        0.05, ge=0, description="brac: the weight changes until the divergence has this value"
    )
    divergence_updates: int = Field(
        3, ge=1, description="brac: updates of the divergence's critic in each update"
    )

    @model_validator(mode="after")
    def _bound_divergence(self) -> Self:
        if self.divergence_weight > self.largest_divergence_weight:
            raise ValueError(
                f"divergence_weight: expected at most largest_divergence_weight "
                f"{self.largest_divergence_weight:g}, found {self.divergence_weight:g}"
            )
        return self
