"""The configuration of the published TWM in the offline protocol: nothing that twm-plus adds can be switched on."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from ..twm_plus.config import TWMConfig, Widths, WorldModelConfig


class TWMPublishedConfig(WorldModelConfig):
    """World model, actor and critic, sampling and schedule; the defaults are the released code's.

    Fields of one value only say what is as published; twm-plus is the method that changes them.
    """

    front: Literal["vector"] = Field("vector", description="observations are vectors")
    attend_across_episodes: Literal[False] = Field(
        False, description="attention is cut where an episode ends"
    )
    discount_input: Literal[False] = Field(False, description="discounts are not tokens")
    ensemble: Literal[1] = Field(1, description="one head for the next latent")
    reward_map: Literal[0] = Field(0, description="no head for rewards elsewhere in the task")
    model_schedule: Literal["constant"] = Field("constant", description="step sizes stay constant")
    reward_transform: Literal["scaled", "tanh"] = Field(
        "scaled",
        description="rewards are divided by their standard deviation in the training tasks, or squashed (published)",
    )
    decoder_reduction: Literal["sum", "mean"] = Field(
        "mean",
        description="decoder loss over the values of an observation: sum (published) or mean",
    )
    decoder_weight: float = Field(
        64.0, gt=0, description="weight of the decoder loss; published: 1, of a sum"
    )

    policy_input: Literal["latent", "latent-and-hidden"] = Field(
        "latent",
        description="input of actor and critic: the latent (published), or also the transformer's output",
    )
    actor_widths: Widths = Field((512,) * 4, description="hidden layers of the actor")
    critic_widths: Widths = Field((512,) * 4, description="hidden layers of the critic")
    actor_learning_rate: float = Field(1e-4, gt=0, description="Adam's step size, actor")
    critic_learning_rate: float = Field(1e-5, gt=0, description="Adam's step size, critic")
    policy_clip: float = Field(1.0, gt=0, description="largest gradient norm of actor and critic")
    gae_lambda: float = Field(0.95, ge=0, le=1, description="lambda of GAE")
    actor_entropy_weight: float = Field(
        0.01, ge=0, description="weight of the thresholded entropy bonus"
    )
    actor_entropy_threshold: float = Field(
        0.1, ge=0, le=1, description="discrete actions: normalised entropy to keep"
    )
    actor_entropy_target: float = Field(
        -1.0,
        description="continuous actions: differential entropy to keep per action coordinate, before the bounds",
    )
    scored_actions: Literal["sample", "mode"] = Field(
        "sample", description="how scored episodes are acted; published: sampled"
    )

    sequences: int = Field(100, ge=1, description="sequences in each update")
    window: int = Field(17, ge=3, description="steps of a sequence, the first of them context")
    sampling: Literal["balanced", "uniform", "nearly-uniform"] = Field(
        "balanced",
        description="starts: the least used come first, all are equal, or as in the released code for an infinite "
        "temperature",
    )
    sampling_temperature: float = Field(
        20.0, gt=0, description="number of uses that makes a start e times less likely"
    )
    starts: int = Field(400, ge=1, description="imagined rollouts an update")
    horizon: int = Field(15, ge=1, description="steps of an imagined rollout")
    restart_below: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="a rollout starts again if its cumulative discount falls below this; 0: never",
    )

    observation_updates: int = Field(
        18_750, ge=0, description="pretraining of the observation model alone"
    )
    observation_batch: int = Field(1600, ge=1, description="observations in each update of it")
    dynamics_updates: int = Field(
        9_400, ge=0, description="pretraining of the dynamics on frozen encodings"
    )
    pretraining_updates: int = Field(
        21_875, ge=0, description="pretraining of actor and critic on logged sequences"
    )
    updates: int = Field(
        125_000, ge=1, description="updates of everything: world model, critic and actor"
    )
    log_interval: int = Field(
        50, ge=1, description="updates between two rows of the training curve"
    )

    @model_validator(mode="after")
    def _refuse_long_imagination(self) -> TWMPublishedConfig:
        if self.horizon + 2 > self.window:
            raise ValueError(
                f"horizon must be at most window - 2 ({self.window - 2}), found {self.horizon}: "
                "the model learned from sequences of one context step and no more than that"
            )
        return self

    def make_shared(self) -> TWMConfig:
        """The same for the networks and updates that twm-plus has, too: whatever it adds is off there."""
        shared = {
            name: value for name, value in dict(self).items() if name in TWMConfig.model_fields
        }
        return TWMConfig(**shared, burn_in=1)
