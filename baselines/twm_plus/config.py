"""The configuration of TWM: the published world model, and what offline adaptation adds."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from metabench import Config

Widths = tuple[int, ...]


class WorldModelConfig(Config):
    """Sizes and losses of the world model; where slides and released code differ, a field chooses."""

    front: Literal["vector", "frames"] = Field(
        "vector", description="observations are vectors, or stacks of four 64 x 64 grey frames"
    )
    latent_groups: int = Field(32, ge=1, description="categorical variables of a latent")
    latent_classes: int = Field(32, ge=2, description="classes of each categorical variable")
    observation_widths: Widths = Field(
        (512, 512), description="hidden layers of encoder MLP and vector decoder"
    )
    width: int = Field(256, ge=2, multiple_of=2, description="width of the transformer")
    layers: int = Field(10, ge=1, description="transformer blocks")
    heads: int = Field(4, ge=1, description="attention heads a block")
    feedforward: int = Field(
        1024, ge=1, description="inner width of the blocks' feed-forward layers"
    )
    dropout: float = Field(0.1, ge=0, lt=1, description="dropout in the transformer and the heads")
    memory: int = Field(16, ge=1, description="steps before its own that a token sees")
    attention_scale: Literal["model", "head"] = Field(
        "model",
        description="scores are divided by the root of the model's width (released code) or of a head's",
    )
    attend_across_episodes: bool = Field(
        False,
        description="tokens see earlier episodes of their sequence (which is of one task); published: no",
    )
    reward_input: bool = Field(True, description="rewards are tokens")
    discount_input: bool = Field(
        False, description="discounts are tokens, zero where an episode or segment ends"
    )
    latent_head_widths: Widths = Field(
        (512,) * 4, description="hidden layers of each head for the next latent"
    )
    reward_head_widths: Widths = Field((256,) * 4, description="hidden layers of the reward head")
    discount_head_widths: Widths = Field(
        (256,) * 4, description="hidden layers of the discount head"
    )
    ensemble: int = Field(
        1, ge=1, description="heads for the next latent; their disagreement measures uncertainty"
    )
    discount: float = Field(
        0.99, gt=0, lt=1, description="gamma: the discount of a step that does not terminate"
    )
    discount_target: Literal["soft", "binary"] = Field(
        "soft",
        description="the discount head learns gamma (released code), or 1 and is multiplied by gamma",
    )
    discount_bias: float = Field(
        0.99, description="initial bias of the discount head; it is a logit"
    )
    decoder_initialisation: Literal["default", "intended"] = Field(
        "default",
        description="transposed convolutions start as in PyTorch (released code), or with Kaiming's initialisation, "
        "as the code intended",
    )
    reward_transform: Literal["scaled", "tanh"] = Field(
        "tanh",
        description="rewards are divided by their standard deviation in the training tasks, or squashed (published)",
    )
    decoder_reduction: Literal["sum", "mean"] = Field(
        "sum", description="decoder loss over the values of an observation: sum (published) or mean"
    )
    decoder_weight: float = Field(1.0, gt=0, description="weight of the decoder loss")
    latent_weight: float = Field(
        1.0, ge=0, description="weight of the cross-entropy of the next latent"
    )
    reward_weight: float = Field(10.0, ge=0, description="weight of the reward loss")
    discount_weight: float = Field(50.0, ge=0, description="weight of the discount loss")
    entropy_weight: float = Field(
        5.0, ge=0, description="weight of the encoder's entropy regulariser"
    )
    entropy_form: Literal["hinge", "linear"] = Field(
        "hinge",
        description="entropy counts below `entropy_threshold` only (released code), or always (slides)",
    )
    entropy_threshold: float = Field(
        0.1, ge=0, le=1, description="normalised entropy that the encoder should keep"
    )
    reward_map: int = Field(
        0,
        ge=0,
        description="logged transitions whose rewards in the current task a linear head predicts; 0: no head",
    )
    reward_map_weight: float = Field(20.0, ge=0, description="weight of that head's loss")
    consistency_weight: float = Field(0.01, ge=0, description="weight of the consistency loss")
    consistency_order: Literal["dynamics-first", "encoder-first"] = Field(
        "dynamics-first",
        description="cross-entropy H(dynamics, encoder) (released code) or H(encoder, dynamics)",
    )
    observation_learning_rate: float = Field(
        1e-4, gt=0, description="Adam's step size, observation model"
    )
    dynamics_learning_rate: float = Field(1e-4, gt=0, description="Adam's step size, dynamics")
    model_schedule: Literal["constant", "linear"] = Field(
        "constant",
        description="both step sizes stay constant, or each falls to 0 over its updates of the offline training",
    )
    weight_decay: float = Field(1e-6, ge=0, description="L2 penalty of all optimisers")
    model_clip: float = Field(
        100.0, gt=0, description="largest gradient norm of observation model and dynamics"
    )


class TWMConfig(WorldModelConfig):
    """World model, actor-critic, offline adaptation and budget."""

    policy_input: Literal["latent-and-hidden", "latent"] = Field(
        "latent-and-hidden",
        description="input of actor and critic: the latent and the transformer's output, or one of them",
    )
    actor_widths: Widths = Field((512,) * 4, description="hidden layers of the actor")
    critic_widths: Widths = Field((512,) * 4, description="hidden layers of the critic")
    continuous_actions: Literal["squashed", "clipped"] = Field(
        "squashed", description="a Gaussian is squashed by tanh into the bounds, or clipped to them"
    )
    actor_learning_rate: float = Field(1e-4, gt=0, description="Adam's step size, actor")
    critic_learning_rate: float = Field(1e-5, gt=0, description="Adam's step size, critic")
    policy_clip: float = Field(1.0, gt=0, description="largest gradient norm of actor and critic")
    gae_lambda: float = Field(
        0.95, ge=0, le=1, description="lambda of GAE (released code); 1 is the slides' advantage"
    )
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
    normalise_advantages: bool = Field(
        False, description="advantages are divided by their standard deviation in the batch"
    )
    foresight: float = Field(
        0.0,
        ge=0,
        description="1 / (1 - gamma) is at most this share of the suite's horizon; 0: no limit",
    )
    actor_average: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="a running average of the actor acts; it keeps this share in each update",
    )
    critic_on_logged: bool = Field(
        False, description="in imagination the critic also learns from logged steps"
    )
    starts: int = Field(
        400, ge=1, description="imagined rollouts an update, the same number for every task"
    )
    horizon: int = Field(15, ge=1, description="steps of an imagined rollout")
    burn_in: int = Field(
        1,
        ge=0,
        description="real steps of the episode before imagination, unless imagination starts at the episode's start",
    )
    restart_below: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="a rollout starts again if its cumulative discount falls below this; 0: never",
    )
    disagreement_penalty: float = Field(
        0.0,
        ge=0,
        description="lambda: imagined rewards are lowered by lambda times the disagreement of the latent heads",
    )
    anchor: Literal["logged-actions", "behaviour-policy"] = Field(
        "logged-actions",
        description="term that keeps the actor near the data: the likelihood of logged actions on real steps, or, on "
        "imagined steps, the divergence from a policy cloned from latents alone",
    )
    anchor_weight: float = Field(
        0.0, ge=0, description="alpha: weight of the anchor in imagination"
    )
    anchor_selectivity: float = Field(
        0.0,
        ge=0,
        description="`logged-actions`: the weight of an action is exp(this times its standardised advantage)",
    )

    tasks_per_update: int = Field(10, ge=1, description="tasks in a batch of sequences")
    windows_per_task: int = Field(
        10, ge=1, description="windows of each task, which share their support"
    )
    window: int = Field(17, ge=2, description="steps of a window")
    first_share: float = Field(
        0.2, ge=0, le=1, description="share of windows that start at their episode's start"
    )
    segments: int = Field(0, ge=0, description="number of pinned support segments; 0: none")
    segment_steps: int = Field(8, ge=1, description="steps of a support segment")
    support_dropout: float = Field(
        0.5, ge=0, le=1, description="share of training windows without support"
    )
    sampling: Literal["balanced", "uniform", "nearly-uniform"] = Field(
        "balanced",
        description="episodes of a task: the least used come first, all are equal, or as in the released code for an "
        "infinite temperature",
    )
    sampling_temperature: float = Field(
        20.0, gt=0, description="number of uses that makes an episode e times less likely"
    )

    relabelled: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of tasks in a batch that get the rewards of another training task",
    )
    task_reward_updates: int = Field(
        1500, ge=0, description="updates of the reward functions used for relabelling"
    )

    observation_updates: int = Field(
        18_750, ge=0, description="updates of the observation model alone"
    )
    observation_batch: int = Field(1600, ge=1, description="observations in each of them")
    dynamics_updates: int = Field(
        9_400, ge=0, description="updates of the dynamics on frozen encodings"
    )
    joint_updates: int = Field(1, ge=0, description="updates of both, with the consistency loss")
    behaviour_updates: int = Field(
        0, ge=0, description="updates of the behaviour policy on logged transitions"
    )
    behaviour_batch: int = Field(512, ge=1, description="transitions in each of them")
    behaviour_learning_rate: float = Field(
        1e-3, gt=0, description="Adam's step size, behaviour policy"
    )
    pretraining_updates: int = Field(
        0, ge=0, description="updates of actor and critic on logged sequences"
    )
    policy_updates: int = Field(1, ge=0, description="updates of actor and critic in imagination")
    log_interval: int = Field(
        50, ge=1, description="updates between two rows of the training curve"
    )

    scored_actions: Literal["mode", "sample"] = Field(
        "mode", description="how scored episodes are acted; in other episodes actions are sampled"
    )
    adaptation: Literal["context", "finetune"] = Field(
        "context",
        description="support is pinned in memory; or it is pinned, and heads and actor are also fine-tuned on it",
    )
    finetune_model_updates: int = Field(
        30, ge=0, description="updates of the dynamics' heads an adaptation"
    )
    finetune_policy_updates: int = Field(
        8, ge=0, description="updates of actor and critic an adaptation"
    )
    finetune_learning_rate: float = Field(1e-4, gt=0, description="Adam's step size in adaptations")

    def adapt_to_horizon(self, horizon: int) -> TWMConfig:
        """This configuration for episodes of `horizon` steps: gamma as `foresight` has it."""
        longest = 1.0 - 1.0 / max(2.0, self.foresight * horizon)
        return (
            self
            if not self.foresight or self.discount <= longest
            else self.model_copy(update={"discount": longest})
        )

    @model_validator(mode="after")
    def _support_is_seen(self) -> TWMConfig:
        if self.segments and not self.attend_across_episodes:
            raise ValueError(
                "segments > 0 needs attend_across_episodes: support is of other episodes"
            )
        if self.burn_in + self.horizon >= self.window:
            raise ValueError(f"burn_in + horizon must be below window ({self.window})")
        return self
