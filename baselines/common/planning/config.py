"""The configuration of planning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from pydantic import Field

from metabench import Config


class SearchConfig(Config):
    """How sequences of actions are searched: by default 32 of 16 steps, 512 queries of the model, every 4 steps."""

    samples: int = Field(default=32, ge=2, description="sequences of actions an iteration")
    horizon: int = Field(default=16, ge=1, description="steps of each")
    iterations: int = Field(default=1, ge=1, description="rounds of drawing and averaging")
    replan: int = Field(default=4, ge=1, description="steps acted before it plans anew")
    deviation: float = Field(
        default=0.6, gt=0, description="standard deviation of what is drawn around the last plan"
    )
    persistence: float = Field(
        default=0.8, ge=0, lt=1, description="correlation of the drawn noise from step to step"
    )
    temperature: float = Field(
        default=0.3, gt=0, description="of the weights, in standard deviations of the returns"
    )
    penalty: float = Field(
        default=0.2,
        ge=0,
        description="reward taken off for each predicted standard deviation of it",
    )


class PlannerConfig(SearchConfig):
    """How to plan in a model that is fitted to a support, or to the episode so far."""

    largest_context: int = Field(
        default=384, ge=1, description="most rows of support that are read"
    )
    least_rows: int = Field(
        default=4, ge=0, description="uniformly random first actions of an episode without support"
    )
    reads_own_episode: bool = Field(
        default=True, description="beside a support read the episode so far as well"
    )
    imagined_steps: int = Field(
        default=0,
        ge=0,
        description="with support, learn a policy by so many imagined steps, in place of planning",
    )

    def make_imagination_config(self) -> ImaginationConfig | None:
        """How a policy is learned from the support; None if it plans."""
        return (
            TUNED.model_copy(update={"steps": self.imagined_steps}) if self.imagined_steps else None
        )


class EliteSearchConfig(SearchConfig):
    """The same search by the cross-entropy method, 1,536 queries of the model."""

    horizon: int = Field(default=24, ge=1, description="steps of each")
    iterations: int = Field(default=2, ge=1, description="rounds of drawing and averaging")
    search_elites: int = Field(
        default=8,
        ge=0,
        description="best sequences, whose mean is planned and whose spread is drawn next; 0: all by weight, MPPI",
    )
    smoothing: float = Field(
        default=0.1, ge=0, lt=1, description="share of mean and deviation that an iteration keeps"
    )
    least_deviation: float = Field(
        default=0.05, ge=0, description="elites' spread is taken to be no smaller"
    )


LONG_PLANS = frozenset(
    {
        "ant-dir",
        "ant-dir-arc",
        "cheetah-dir",
        "cheetah-vel",
        "door-lock",
        "hopper-param",
        "hopper-param-field",
        "ml10",
        "ml45",
        "pick-place",
        "push",
        "reach",
        "sweep",
        "walker-param",
    }
)
"""Suites whose models are wide, so that a query costs most: there a plan is acted for 8 steps before the next one.

Measured with `kernel-model` on validation tasks, few-shot with 3 episodes, every 4 steps and every 8: cheetah-vel 29
and 28, ant-dir 16 and 17, hopper-param 6 and 5; but pendulum-param 67 and 56, cartpole-param 61 and 49. In the other
suites of the list only every 8 steps was tried, or neither.
"""


PresetConfig = TypeVar("PresetConfig", bound=Config)


def fit_to_budget(
    presets: Mapping[str, PresetConfig],
    suite: str,
    replanning: Mapping[str, int] | None = None,
    contexts: Mapping[str, int] | None = None,
) -> Mapping[str, PresetConfig]:
    """Presets of a suite, of which `demo` and `cpu` are evaluated within minutes.

    Args:
        presets: by name.
        suite: its name.
        replanning: steps that a plan is acted for, by suite, beside the 8 of `LONG_PLANS`.
        contexts: rows that are read at most, by suite.
    """
    changes = {
        "replan": {**dict.fromkeys(LONG_PLANS, 8), **(replanning or {})}.get(suite),
        "largest_context": (contexts or {}).get(suite),
    }
    update = {name: value for name, value in changes.items() if value is not None}
    if not update:
        return presets
    return {
        **presets,
        **{name: presets[name].model_copy(update=update) for name in ("demo", "cpu")},
    }


VARIANTS: Mapping[str, Mapping[str, int]] = {"imagination": {"imagined_steps": 50_000}}
"""Of every method that plans: `oswm-plus/imagination` learns as long as published."""


class ImaginationConfig(Config):
    """How to learn a policy in imagination: proximal policy optimisation, as published but for the lanes.

    Published are one lane and rollouts of 128 steps. Rollouts of 64 lanes and 16 steps ask the model 64 times less
    often and learn as well; of 32 steps, so half as many, they learn `grid-world` and `simple-env` less reliably.
    """

    steps: int = Field(default=50_000, ge=1, description="imagined steps in all, of each group")
    lanes: int = Field(default=64, ge=1, description="imagined episodes at once, of each group")
    rollout: int = Field(default=16, ge=1, description="steps of each lane between improvements")
    epochs: int = Field(default=10, ge=1, description="passes over a rollout")
    minibatch: int = Field(default=64, ge=1, description="imagined steps a gradient update")
    learning_rate: float = Field(default=3e-4, gt=0, description="of Adam")
    discount: float = Field(default=0.99, ge=0, lt=1, description="of later rewards")
    trace: float = Field(default=0.95, ge=0, le=1, description="lambda of the advantage estimates")
    clip: float = Field(default=0.2, gt=0, description="how far a ratio of probabilities counts")
    value_weight: float = Field(default=0.5, ge=0, description="of the critic's loss")
    gradient_clip: float = Field(
        default=0.5, gt=0, description="largest norm of a group's gradient"
    )
    width: int = Field(default=64, ge=1, description="of the two hidden layers of actor and critic")
    deviation: float = Field(
        default=1.0, gt=0, description="standard deviation of continuous action features, at first"
    )
    scale_rewards: bool = Field(
        default=False, description="scale rewards so that a usual one, earned for ever, is worth 1"
    )
    penalty: float = Field(
        default=0.0,
        ge=0,
        description="usual rewards taken off where a model is wholly unsure of a step",
    )
    reach: float = Field(
        default=5.0,
        ge=1,
        description="imagined states stay within so many half ranges of the context's middle",
    )
    branch: int = Field(
        default=0, ge=0, description="steps of branches from any state of the context; 0: none"
    )
    final_time_outs: bool = Field(
        default=False, description="take the horizon for an end that nothing follows, as published"
    )


TUNED = ImaginationConfig(learning_rate=5e-4, discount=0.98, scale_rewards=True, penalty=3.0)
"""What learns four of the five environments of `reproduce oswm` in `gp-model`, from 1,000 random steps of each."""
